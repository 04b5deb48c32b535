"""A training run as one YAML file: what is read, what is built, how it is trained.

What the model *is* ends up in its ``config.json``; a recipe says what a *run* does. Every key can
be overridden on the command line (``training.learning_rate=1e-3``), and the resolved copy is saved
beside the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from sign2gpt.errors import UserError
from sign2gpt.model.precision import Precision


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


def seed_of(recipe: Recipe) -> int:
    """The seed of everything that the run draws: weights, order, augmentation."""
    return int(recipe.training.get("seed", 42))


@contextmanager
def wrong_values(section: str) -> Iterator[None]:
    """Turns what a section's values break into a sentence."""
    try:
        yield
    except (TypeError, ValueError, LookupError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise UserError(f"The recipe's section `{section}` cannot be used: {reason}.") from error
