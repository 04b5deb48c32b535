"""What a corpus with ground truth lets one score: localisation, and the ceiling of wording.

``truth.jsonl`` stands beside the manifest of an invented corpus; no real corpus has it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sign2gpt.data.manifest import ClipRow
from sign2gpt.errors import UserError
from sign2gpt.files import reading
from sign2gpt.metrics import LabelledInterval, bleu_rouge


@dataclass(frozen=True)
class ClipTruth:
    """What was really signed in a clip.

    Attributes:
        signs: (gloss, start, end) of each sign in seconds.
        paraphrases: right wordings of the clip's meaning, drawn as its sentence was.
    """

    signs: tuple[LabelledInterval, ...]
    paraphrases: tuple[str, ...]


def read_truth(store: Path, rows: Sequence[ClipRow]) -> list[ClipTruth]:
    """The ground truth of some clips, in their order.

    Raises:
        UserError: the store has none, or not for one of the clips.
    """
    path = store / "truth.jsonl"
    if not path.is_file():
        raise UserError(f"The store {store} has no truth.jsonl, so localisation cannot be scored.")
    with reading(path, "make the corpus again"), path.open(encoding="utf-8") as lines:
        records = {record["id"]: record for record in map(json.loads, lines)}
    missing = [row.id for row in rows if row.id not in records]
    if missing:
        raise UserError(f"{path} has no line for the clip {missing[0]}; make the corpus again.")
    return [
        ClipTruth(
            signs=tuple(
                (sign["gloss"], sign["start"] / row.fps, sign["end"] / row.fps)
                for sign in records[row.id]["glosses"]
            ),
            paraphrases=tuple(records[row.id]["paraphrases"]),
        )
        for row in rows
    ]


def paraphrase_ceiling(
    truths: Sequence[ClipTruth], references: Sequence[str], draws: int = 20, seed: int = 0
) -> float:
    """BLEU-4 of the right content in a wording drawn at random, the mean over so many draws.

    A translator that understands every clip but cannot know which wording the corpus chose scores
    this.
    """
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(draws):
        drawn = [str(rng.choice(truth.paraphrases)) for truth in truths]
        scores.append(bleu_rouge(drawn, references).bleu4)
    return float(np.mean(scores))


def with_pseudo_gloss(
    truths: Sequence[ClipTruth], pseudo_glosses: Sequence[Sequence[str]]
) -> list[list[LabelledInterval]]:
    """The signs that are a pseudo-gloss of the clip's own sentence, under that word.

    Only these can be spotted: where the sentence words a sign otherwise, no column of E is its own.
    """
    located = []
    for truth, words in zip(truths, pseudo_glosses, strict=True):
        word_of = {word.casefold(): word for word in words}  # HEISS is heiß
        located.append(
            [
                (word_of[gloss.casefold()], start, end)
                for gloss, start, end in truth.signs
                if gloss.casefold() in word_of
            ]
        )
    return located


def random_spots(
    spotted: Sequence[Sequence[LabelledInterval]],
    durations: Sequence[float],
    rng: np.random.Generator,
) -> list[list[LabelledInterval]]:
    """The same words for as long, each at a place drawn at random: a spotter that cannot see."""
    return [
        [
            (word, start, start + (old_end - old_start))
            for word, old_start, old_end in clip
            for start in [rng.uniform(0.0, max(0.0, duration - (old_end - old_start)))]
        ]
        for clip, duration in zip(spotted, durations, strict=True)
    ]
