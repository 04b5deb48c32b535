"""A training run as one YAML file: what is read, what is built, how it is trained.

What the model *is* ends up in its ``config.json``; a recipe says what a *run* does. Every key can
be overridden on the command line (``training.learning_rate=1e-3``), and the resolved copy is saved
beside the result.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from sign2gpt.errors import UserError

RECIPES = Path(__file__).resolve().parent.parent / "recipes"


class Stage(Enum):
    """Which of the two training stages a recipe runs (section 3 of the paper)."""

    pretrain = "pretrain"
    translate = "translate"


class TrainOn(Enum):
    """What a clip is when it reaches the trained part of the model."""

    video = "video"  # decoded and augmented anew each epoch
    frame_tokens = "frame_tokens"  # stored output of the frozen blocks below the first adapter
    sign_features = "sign_features"  # stored Z: Sign(Z)2GPT, only the decoder's adapters train


@dataclass
class PseudoGlosses:
    """How the targets of pretraining are made from the sentences (section 3.3)."""

    tagger: str = "spacy:de_core_news_sm"
    vectors: str = "corpus"  # a fastText .bin or .vec file, or "corpus": trained on the sentences
    max_share: float = 0.4
    min_count: int = 1


@dataclass
class Recipe:
    """One training run. See ``recipes/`` for commented examples."""

    stage: Stage
    store: str  # folder with manifest.parquet and the clips
    output: str  # folder the trained model is written to
    vision: str  # frozen vision model: folder, Hub name or DINOv2 .pth (model/sources.py)
    language: str | None = None  # frozen language model: folder, Hub name or .gguf
    start_from: str | None = None  # a trained model whose weights this run begins with
    train_on: TrainOn = TrainOn.video
    variants: int = 1  # stored copies of each training clip, augmented but for the first
    plain_copy: bool = True  # whether the first stored copy is the plain clip; else augmented too
    max_shift: int = 4  # frames off either end of a clip in training; stored Z is of whole clips
    features: str | None = None  # where stored features lie; default: OUTPUT/features
    model: dict[str, Any] = field(default_factory=dict)  # keys of Sign2GPTConfig
    processor: dict[str, Any] = field(default_factory=dict)  # keys of SignVideoProcessor
    augment: dict[str, Any] = field(default_factory=dict)  # keys of ClipAugment
    pseudo_glosses: PseudoGlosses = field(default_factory=PseudoGlosses)
    max_text_tokens: int = 64  # the longest sentence, its end included; a longer one is an error
    rate_multipliers: dict[str, float] = field(default_factory=dict)  # by part of a weight's name
    training: dict[str, Any] = field(default_factory=dict)  # keys of Seq2SeqTrainingArguments


def find_recipe(name: str | Path) -> Path:
    """The recipe file for a path, or for a name such as ``demo/pretrain`` of the shipped ones.

    Raises:
        UserError: when neither exists.
    """
    for candidate in (Path(name), RECIPES / name, RECIPES / f"{name}.yaml"):
        if candidate.is_file():
            return candidate
    shipped = sorted(str(path.relative_to(RECIPES)) for path in RECIPES.rglob("*.yaml"))
    raise UserError(f"There is no recipe {name}; the shipped ones are {', '.join(shipped)}.")


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, apply ``key=value`` overrides and check every key.

    Args:
        path: a YAML file, or the name of a shipped recipe.
        overrides: dotted assignments, e.g. ``training.learning_rate=1e-3``.

    Raises:
        UserError: unknown key (with the nearest known one), wrong type, unreadable file.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    path = find_recipe(path)
    try:
        layers = [OmegaConf.load(path), OmegaConf.from_dotlist(list(overrides))]
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"The recipe {path} is not readable YAML: {reason}.") from error
    for layer in layers:
        if not OmegaConf.is_dict(layer):
            raise UserError(f"The recipe {path} holds no keys; compare it with recipes/demo.")
        _check_keys(OmegaConf.to_container(layer, resolve=False), path)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Recipe), *layers)
        recipe = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "a key"
        reason = str(error).splitlines()[0]
        raise UserError(f"{key} in the recipe {path} cannot be used: {reason}.") from error
    assert isinstance(recipe, Recipe)
    for name, least in (("variants", 1), ("max_shift", 0), ("max_text_tokens", 1)):
        value = getattr(recipe, name)
        if value < least:
            raise UserError(f"The recipe {path} has {name} = {value}; give {least} or more.")
    return recipe


def seed_of(recipe: Recipe) -> int:
    """The seed of everything that the run draws: weights, order, augmentation."""
    return int(recipe.training.get("seed", 42))


@contextmanager
def wrong_values(section: str) -> Iterator[None]:
    """Turns what a section's values break into a sentence."""
    try:
        yield
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"The recipe's section `{section}` cannot be used: {reason}.") from error


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write the resolved recipe as YAML."""
    from omegaconf import OmegaConf

    OmegaConf.save(OmegaConf.structured(recipe), path)


def _check_keys(layer: Any, path: Path) -> None:
    """Every key, nested ones too, must be one that something reads."""
    from transformers import Seq2SeqTrainingArguments

    from sign2gpt.model.configuration import Sign2GPTConfig
    from sign2gpt.video.augment import ClipAugment
    from sign2gpt.video.processor import SignVideoProcessor

    _known(layer, _names(Recipe), "", path)
    sections = {
        "model": _names(Sign2GPTConfig),
        "processor": SignVideoProcessor.setting_names(),
        "augment": _names(ClipAugment),
        "pseudo_glosses": _names(PseudoGlosses),
        "training": _names(Seq2SeqTrainingArguments),
    }
    for section, names in sections.items():
        given = layer.get(section) or {}
        if not isinstance(given, Mapping):
            raise UserError(f"The recipe {path} has {section}: {given}; give keys and values.")
        _known(given, names, f"{section}.", path)


def _names(cls: type) -> list[str]:
    return [f.name for f in dataclasses.fields(cls)]


def _known(given: Iterable[str], names: list[str], prefix: str, path: Path) -> None:
    for key in given:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            hint = f"did you mean {prefix}{near[0]}?" if near else "recipes/ shows the known ones."
            raise UserError(f"The recipe {path} has the unknown key {prefix}{key}; {hint}")
