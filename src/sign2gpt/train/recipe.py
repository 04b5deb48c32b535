"""A training run as one YAML file: what is read, what is built, how it is trained.

What the model *is* ends up in its ``config.json``; a recipe says what a *run* does. Every key can
be overridden on the command line (``training.learning_rate=1e-3``), and the resolved copy is saved
beside the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sign2gpt.errors import UserError
from sign2gpt.model.precision import Precision
from sign2gpt.train.keys import check_keys, check_values

if TYPE_CHECKING:
    from yaml import YAMLError

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
    all_words: bool = False  # every word, not only those of the kept parts of speech (Table 9)


@dataclass
class Recipe:
    """One training run. See ``recipes/`` for commented examples."""

    stage: Stage
    store: str  # folder of clips with a manifest, or of shards, or hf://datasets/USER/NAME
    output: str  # folder the trained model is written to
    vision: str  # frozen vision model: folder, Hub name or DINOv2 .pth (model/sources.py)
    language: str | None = None  # frozen language model: folder, Hub name or .gguf
    language_precision: Precision = Precision.float32  # of the language model (model/precision.py)
    start_from: str | None = None  # a trained model whose weights this run begins with
    train_on: TrainOn = TrainOn.video
    stream: bool = False  # read train from its shards in one pass an epoch, shuffled as they come
    variants: int = 1  # stored copies of each training clip, augmented but for the first
    plain_copy: bool = True  # whether the first stored copy is the plain clip; else augmented too
    max_shift: int = 4  # frames off either end of a clip in training; stored Z is of whole clips
    features: str | None = None  # where stored features lie; default: OUTPUT/features
    model: dict[str, Any] = field(default_factory=dict)  # keys of Sign2GPTConfig
    processor: dict[str, Any] = field(default_factory=dict)  # keys of SignVideoProcessor
    augment: dict[str, Any] = field(default_factory=dict)  # keys of ClipAugment
    pseudo_glosses: PseudoGlosses = field(default_factory=PseudoGlosses)
    max_text_tokens: int = 64  # the longest sentence, its end included; a longer one is an error
    score_characters: bool = False  # dev BLEU by character, as CSL-Daily is scored
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
    raise UserError(
        f"There is no recipe {name}; the shipped ones are {', '.join(shipped_recipes())}."
    )


def shipped_recipes() -> list[str]:
    """The names of the recipes that come with the package, such as ``demo/pretrain``."""
    paths = (path.relative_to(RECIPES) for path in RECIPES.rglob("*.yaml"))
    return sorted(path.with_suffix("").as_posix() for path in paths)


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, apply ``key=value`` overrides and check every key.

    Args:
        path: a YAML file, or the name of a shipped recipe.
        overrides: dotted assignments, e.g. ``training.learning_rate=1e-3``.

    Raises:
        UserError: unknown key (with the nearest known one), missing key, wrong type, a number out
            of range, unreadable file.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
    from yaml import YAMLError

    path = find_recipe(path)
    layers = []
    for override in (None, *overrides):
        try:
            layer = OmegaConf.load(path) if override is None else OmegaConf.from_dotlist([override])
        except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
            what = f"The recipe {path}" if override is None else f"The override {override}"
            raise UserError(f"{what} is not readable YAML: {_place_and_reason(error)}.") from error
        if not OmegaConf.is_dict(layer):
            raise UserError(f"The recipe {path} holds no keys; compare it with recipes/demo.")
        check_keys(OmegaConf.to_container(layer, resolve=False), Recipe, path)
        layers.append(layer)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Recipe), *layers)
        recipe = OmegaConf.to_object(merged)
    except MissingMandatoryValue as error:
        raise UserError(f"The recipe {path} lacks the key {error.full_key}; add it.") from error
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "a key"
        reason = str(error).splitlines()[0]
        raise UserError(f"{key} in the recipe {path} cannot be used: {reason}.") from error
    assert isinstance(recipe, Recipe)
    check_values(recipe, path)
    return recipe


def _place_and_reason(error: YAMLError | Exception) -> str:
    """In one line: where in the file a reader stumbled, if it says so, and over what."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(error).splitlines()[0]
    return f"line {mark.line + 1}, {getattr(error, 'problem', None) or 'it breaks off'}"


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
