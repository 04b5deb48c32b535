"""Which keys the sections of a recipe take, and what each of them may be.

Looked at before any work: a wrong one is named, with the nearest known key or with its range.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from sign2gpt.errors import UserError
from sign2gpt.train.recipe import PseudoGlosses, Recipe

# Fields that a recipe says elsewhere, or not at all.
_SCORED = "dev is scored by what the stage is for"
_ONE_PROCESS = "one process trains"
_NOT_HERE = {
    "model.vision_config": "set the key vision",
    "model.text_config": "set the key language",
    "model.num_pseudo_glosses": "the size of the vocabulary is read from the sentences",
    "model.is_encoder_decoder": "every model of sign2gpt is one",
    "training.output_dir": "set the key output",
    "training.resume_from_checkpoint": "a run that broke off goes on by itself",
    "training.label_smoothing_factor": "set model.label_smoothing",
    "training.save_only_model": "a run that broke off goes on with its optimiser as it was",
    "training.gradient_checkpointing": "set training.activation_checkpointing",
    "training.torch_compile": "clips of many lengths break off torch's compiler, and on one length "
    "it gains nothing (docs/log.md)",
    "training.metric_for_best_model": _SCORED,
    "training.greater_is_better": _SCORED,
    "training.predict_with_generate": _SCORED,
    "training.prediction_loss_only": _SCORED,
    "training.batch_eval_metrics": _SCORED,
    "training.include_for_metrics": _SCORED,
    "training.label_names": "the stage knows them",
    "training.remove_unused_columns": "the stage knows them",
    "training.deepspeed": _ONE_PROCESS,
    "training.fsdp": _ONE_PROCESS,
    "training.use_liger_kernel": "it does not know these models",
    "training.push_to_hub": "a finished model's folder can be uploaded as it is",
}
# Least and greatest of numbers; those that are not named here may not be below 0.
_RANGES: dict[str, tuple[float, float]] = {
    "variants": (1, math.inf),
    "max_text_tokens": (1, math.inf),
    "training.seed": (0, 2**32 - 1),  # what numpy takes
    "training.data_seed": (0, 2**32 - 1),
    "training.per_device_train_batch_size": (1, math.inf),
    "training.per_device_eval_batch_size": (1, math.inf),
    "training.gradient_accumulation_steps": (1, math.inf),
    "training.eval_accumulation_steps": (1, math.inf),
    "training.dataloader_prefetch_factor": (1, math.inf),
    "training.save_total_limit": (1, math.inf),
    "training.generation_num_beams": (1, 64),  # as on the command line
    "training.generation_max_length": (2, math.inf),  # the start token and one more
    "training.max_steps": (-1, math.inf),  # -1: as many as the epochs have
    "training.num_train_epochs": (1, math.inf),
    "training.local_rank": (-1, math.inf),
}


def check_keys(layer: Any, top: type, path: Path) -> None:
    """Every key, nested ones too, must be one that something reads.

    Raises:
        UserError: an unknown key, or a section that is none.
    """
    _known(layer, _names(top), "", path)
    for section, kinds in _sections().items():
        given = layer.get(section) or {}
        if not isinstance(given, Mapping):
            raise UserError(f"The recipe {path} has {section}: {given}; give keys and values.")
        _known(given, list(kinds), f"{section}.", path)


def check_values(recipe: Recipe, path: Path) -> None:
    """Every value must be of its key's kind, and every number in its range.

    Raises:
        UserError: one that is not; those of the section ``model`` are left to its configuration.
    """
    values: dict[str, tuple[Any, Any]] = {
        name: (getattr(recipe, name), int) for name in ("variants", "max_shift", "max_text_tokens")
    }
    values |= {f"rate_multipliers.{k}": (v, float) for k, v in recipe.rate_multipliers.items()}
    for section, kinds in _sections().items():
        if section not in ("model", "pseudo_glosses"):
            given = getattr(recipe, section).items()
            values |= {f"{section}.{key}": (value, kinds[key]) for key, value in given}
    for key, (value, kind) in values.items():
        least, most = _RANGES.get(key, (0, math.inf))
        numbers = [x for x in (value if isinstance(value, list) else [value]) if _is_number(x)]
        fits = _fits(value, kind)
        if not fits or not all(least <= number <= most for number in numbers):
            allowed = _words(kind)
            if fits or (_kinds(kind) & {int, float} and key in _RANGES):
                allowed = f"{least} or more" if most == math.inf else f"{least} to {most}"
                whole = int in _kinds(kind) and float not in _kinds(kind)
                allowed = f"a whole number, {allowed}" if whole else allowed
            raise UserError(f"The recipe {path} has {key} = {value!r}; give {allowed}.")
    if recipe.training.get("max_steps") == 0:
        raise UserError(f"The recipe {path} has training.max_steps = 0; give 1 or more, or -1.")
    epochs = recipe.training.get("num_train_epochs", 1)
    if epochs != int(epochs):  # scores, and the weights kept, are of whole ones
        raise UserError(
            f"The recipe {path} has training.num_train_epochs = {epochs}; give a whole number."
        )
    if not recipe.output.strip():
        raise UserError(f"The recipe {path} has an empty output; name a folder.")


def _sections() -> dict[str, dict[str, Any]]:
    """Of each section its keys, and the kind of value that each key takes."""
    from transformers import Seq2SeqTrainingArguments

    from sign2gpt.model.configuration import Sign2GPTConfig
    from sign2gpt.video.augment import ClipAugment
    from sign2gpt.video.processor import SignVideoProcessor

    processor = get_type_hints(SignVideoProcessor.__init__)
    return {
        "model": dict.fromkeys(_names(Sign2GPTConfig), Any),  # it looks at its values itself
        "processor": {name: processor[name] for name in SignVideoProcessor.setting_names()},
        "augment": _fields(ClipAugment),
        "pseudo_glosses": dict.fromkeys(_names(PseudoGlosses), Any),
        "training": _fields(Seq2SeqTrainingArguments),
    }


def _fields(cls: type) -> dict[str, Any]:
    kinds = get_type_hints(cls)
    return {name: kinds[name] for name in _names(cls)}


def _names(cls: type) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def _known(given: Iterable[Any], names: Sequence[str], prefix: str, path: Path) -> None:
    for key in given:
        if key not in names:
            near = [
                f"{section}.{key}"
                for section, keys in _sections().items()
                if not prefix and key in keys and f"{section}.{key}" not in _NOT_HERE
            ] or [prefix + name for name in difflib.get_close_matches(str(key), names, n=1)]
            hint = f"did you mean {near[0]}?" if near else "recipes/ shows the known ones."
            raise UserError(f"The recipe {path} has the unknown key {prefix}{key}; {hint}")
        if prefix + str(key) in _NOT_HERE:
            raise UserError(
                f"The recipe {path} has the key {prefix}{key}, which is not set there: "
                f"{_NOT_HERE[prefix + key]}."
            )


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value read from YAML can be what is annotated; a whole number can be a float."""
    kinds = _kinds(kind)
    if isinstance(value, bool):
        return bool in kinds or Any in kinds
    if isinstance(value, int | float):
        return (float in kinds and math.isfinite(value)) or (
            isinstance(value, int) and int in kinds
        )
    if isinstance(value, str):
        return value in _choices(kind) or any(
            isinstance(one, type) and issubclass(one, str | Enum | Path) for one in kinds
        )
    if isinstance(value, list):
        lists = [one for one in _options(kind) if get_origin(one) in (list, tuple, Sequence)]
        return any(all(_fits(item, get_args(one)[0]) for item in value) for one in lists)
    return type(value) in kinds  # nothing, or keys and values


def _options(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _choices(kind: Any) -> list[Any]:
    literals = [one for one in _options(kind) if get_origin(one) is Literal]
    return [choice for one in literals for choice in get_args(one)]


def _kinds(kind: Any) -> set[Any]:
    """The plain types among what is annotated."""
    return {get_origin(one) or one for one in _options(kind)}


def _words(kind: Any) -> str:
    """What a key takes, in words."""
    if choices := _choices(kind):
        return "one of " + ", ".join(map(str, choices))
    kinds = _kinds(kind)
    names = {
        float: "a number",
        int: "a whole number",
        bool: "true or false",
        str: "a word",
        dict: "keys and values",
        list: "a list",
        tuple: "two numbers",
        type(None): "null",
    }
    if Sequence in kinds:
        return "three numbers"
    return " or ".join(name for one, name in names.items() if one in kinds) or "another value"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
