"""Frozen weights into our models: when one is built, and when a checkpoint is read again.

A checkpoint of ours holds what was trained; its frozen models' weights come from the sources that
its configuration names, and join it under the names that they have inside our models.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM
from transformers.utils import cached_file, logging

from sign2gpt.errors import UserError
from sign2gpt.model.configuration import Sign2GPTConfig
from sign2gpt.model.hub import INDEX, WEIGHTS, weight_files
from sign2gpt.model.provenance import find_source
from sign2gpt.model.sources import load_weights

TRAINABLE_NAMES = ("lora_a", "lora_b", "gate")  # what was added inside the frozen models
FROZEN = {  # part -> where it stands in our models, and how it is loaded
    "vision": ("spatial_model.backbone", AutoModel),
    "language": ("decoder.language_model", AutoModelForCausalLM),
}
ADDED = ".added"  # after a weight's name: its rows for tokens that the source does not have
# Arguments of `from_pretrained` that say where a checkpoint lies, and what they are if not given.
HUB_OPTIONS: dict[str, Any] = {
    "cache_dir": None,
    "revision": None,
    "subfolder": "",
    "token": None,
    "local_files_only": False,
}


@contextmanager
def quietly() -> Iterator[None]:
    """Hold back what transformers tells of a checkpoint that does not fit; `require_whole` does."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def require_whole(info: dict[str, Any], source: str) -> None:
    """Raise `UserError` unless a checkpoint filled every weight and nothing else."""
    faults = {
        "lacks": sorted(info["missing_keys"]),
        "has a left-over": sorted(info["unexpected_keys"]),
        "has another shape of": sorted(str(key[0]) for key in info["mismatched_keys"]),
    }
    for what, names in faults.items():
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise UserError(
                f"The model in {source} {what} {names[0]}{more}; give the folder that was saved "
                "for this kind of model, with the configuration it was saved with."
            )


def checkpoint_config(source: str | Path, kwargs: dict[str, Any]) -> Sign2GPTConfig:
    """The configuration that `from_pretrained` is about to load or was given, settings among its
    arguments included; these leave `kwargs` where the checkpoint names frozen models."""
    given = kwargs.get("config")
    if isinstance(given, Sign2GPTConfig):
        return given
    names = {field.name for field in fields(Sign2GPTConfig)} - {"dtype"}
    options = {key: kwargs[key] for key in kwargs if key in HUB_OPTIONS or key in names}
    config = Sign2GPTConfig.from_pretrained(given or source, **options)
    if config.frozen_sources:  # it will be given, and then nothing else takes its settings
        for name in names & kwargs.keys():
            kwargs.pop(name)
    return config


def rejoin(
    source: str | Path,
    config: Sign2GPTConfig,
    given: dict[str, str | Path | None],
    kwargs: dict[str, Any],
) -> dict[str, Tensor]:
    """A checkpoint's own weights and those of its sources, by the model's names.

    The frozen weights come in the dtype that the model will have, so that it takes them over and
    they are in memory once.

    Args:
        source: the checkpoint's folder or name on the Hub.
        config: its configuration.
        given: where the frozen models lie now, by "vision" and "language"; None = where noted.
        kwargs: what `from_pretrained` was given besides.

    Raises:
        UserError: a frozen model that is not there or not the same.
    """
    options = {key: kwargs[key] for key in HUB_OPTIONS if key in kwargs}
    files = [
        cached_file(source, name, _raise_exceptions_for_missing_entries=False, **options)
        for name in (WEIGHTS, INDEX)
    ]
    place = next((Path(file).parent for file in files if file), None)
    joined: dict[str, Tensor] = {}
    for file in weight_files(place) if place else ():
        joined |= load_file(file)
    dtype = kwargs.get("dtype", kwargs.get("torch_dtype"))
    dtype = config.dtype if dtype in (None, "auto") else dtype
    dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    sources = config.frozen_sources or {}
    places = {
        part: find_source(part, sources[part], given[part], str(source))
        for part in FROZEN
        if part in sources
    }
    for part, found in places.items():
        path, auto_class = FROZEN[part]
        weights, info = load_weights(found, auto_class)
        require_whole(info, str(found))
        seen: set[int] = set()
        while weights:
            name = next(iter(weights))
            weight = weights.pop(name)
            if weight.data_ptr() in seen:
                continue  # a tied weight; the model ties its own
            seen.add(weight.data_ptr())
            name = f"{path}.{_gated_name(name, auto_class)}"
            if name in joined:
                raise UserError(
                    f"The model in {source} has a left-over {name}, which its frozen {part} model "
                    "has too; copy or train it again."
                )
            rows = joined.pop(name + ADDED, None)
            weight = weight.to(dtype) if weight.is_floating_point() else weight
            if rows is not None:
                weight = torch.cat((weight, rows.to(weight.dtype)))
            joined[name] = weight
    return joined


def own_weights(frozen: nn.Module, keep_vars: bool = False) -> dict[str, Tensor]:
    """The weights that a frozen model had before anything was added inside it."""
    return {
        name: weight
        for name, weight in frozen.state_dict(keep_vars=keep_vars).items()
        if name.rsplit(".", 1)[-1] not in TRAINABLE_NAMES
    }


def _gated_name(name: str, auto_class: Any) -> str:
    """A weight's name in our model: the language model's attention stands inside the gated one."""
    gated = auto_class is AutoModelForCausalLM
    return name.replace(".self_attn.", ".self_attn.attention.") if gated else name


def fill(frozen: nn.Module, auto_class: Any, source: str | Path) -> None:
    """Copy a pretrained model's weights into the frozen weights of ours."""
    weights, info = load_weights(source, auto_class)
    require_whole(info, str(source))
    given = {_gated_name(name, auto_class): weight for name, weight in weights.items()}
    own = own_weights(frozen)
    shapes = {name for name in own.keys() & given.keys() if own[name].shape != given[name].shape}
    info = {
        "missing_keys": own.keys() - given.keys(),
        "unexpected_keys": given.keys() - own.keys(),
        "mismatched_keys": {(name,) for name in shapes},
    }
    require_whole(info, str(source))
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(given[name])
