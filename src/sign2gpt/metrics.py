"""Scores: BLEU and ROUGE-L of sentences, presence and place in time of pseudo-glosses.

Shapes: N clips, V pseudo-glosses. BLEU and ROUGE-L are in per cent, all other scores in [0, 1].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from sign2gpt.errors import UserError

Interval = tuple[float, float]
LabelledInterval = tuple[str, float, float]

ROUGE_BETA: Final = 1.2

# What sacrebleu is told, beside the n-gram order. "paper" is what the field's published scores on
# PHOENIX14T and CSL-Daily were made with: texts as they are, and an order without a match gives 0.
_CONVENTIONS: dict[str, dict[str, Any]] = {
    "paper": {"tokenize": "none", "smooth_method": "floor", "smooth_value": 0.0, "force": True},
    "sacrebleu": {"tokenize": "13a", "smooth_method": "exp"},
}


@dataclass(frozen=True)
class TranslationScores:
    """Corpus BLEU-1 to 4 and mean sentence ROUGE-L, in per cent, and how they were made."""

    bleu1: float
    bleu2: float
    bleu3: float
    bleu4: float
    rouge_l: float
    signature: str
    convention: str


@dataclass(frozen=True)
class PresenceScores:
    """Precision, recall and F1 of pseudo-gloss presence, in [0, 1] (Table 8)."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class LocalisationScores:
    """How well signs are placed in time, in [0, 1].

    Args:
        mean_iou: mean over the true signs of the time-IoU of their best spotted interval.
        matched_share: share of them whose time-IoU reaches ``match_iou``.
        touched_share: share of them that any interval of their word overlaps at all.
        num_signs: the true signs that count.
        match_iou: the time-IoU from which a sign is matched.
    """

    mean_iou: float
    matched_share: float
    touched_share: float
    num_signs: int
    match_iou: float


def read_lines(path: str | Path) -> list[str]:
    """Read a file of hypotheses or references, a sentence a line, its spaces kept.

    Raises:
        UserError: the file cannot be read or is not UTF-8.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = file.read().split("\n")
    except OSError as error:
        raise UserError(
            f"The sentences in {path} cannot be read ({error.strerror}): mend the path."
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8, a sentence a line."
        ) from error
    if lines[-1] == "":
        lines.pop()  # what follows the last newline is no sentence
    return [line.removesuffix("\r") for line in lines]


def spaced_characters(text: str) -> str:
    """The characters of a text with a space between each two: how CSL-Daily is scored."""
    return " ".join("".join(text.split()))


def bleu_rouge(
    hypotheses: Sequence[str], references: Sequence[str], convention: str = "paper"
) -> TranslationScores:
    """Score translations against one reference each, the texts taken as they are.

    Nothing is lower-cased, appended or split here: for Chinese, give both sides through
    :func:`spaced_characters`.

    Args:
        hypotheses: one sentence a clip; may be empty strings.
        references: as many, in the same order.
        convention: ``"paper"`` (untokenised BLEU that is 0 where an n-gram order has no match) or
            ``"sacrebleu"`` (its defaults: 13a, exponential smoothing). ROUGE-L is the same in both:
            F with beta 1.2 on words between single spaces, averaged over sentences.

    Raises:
        UserError: unknown convention, no sentences, or not one reference a hypothesis.
    """
    from sacrebleu.metrics.bleu import BLEU

    if convention not in _CONVENTIONS:
        raise UserError(
            f"There is no scoring convention '{convention}': use one of {sorted(_CONVENTIONS)}."
        )
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise UserError("bleu_rouge scores lists of sentences, not one string: put it in a list.")
    _check_pairs(len(hypotheses), len(references), "hypotheses", "references")
    scores: list[float] = []
    for order in range(1, 5):
        metric = BLEU(max_ngram_order=order, effective_order=False, **_CONVENTIONS[convention])
        scores.append(metric.corpus_score(list(hypotheses), [list(references)]).score)
    bleu1, bleu2, bleu3, bleu4 = scores
    rouge = sum(map(_rouge_l, hypotheses, references)) / len(hypotheses)
    signature = f"BLEU|{metric.get_signature()} ROUGE-L|F|beta:{ROUGE_BETA}|tok:none"
    return TranslationScores(bleu1, bleu2, bleu3, bleu4, 100 * rouge, signature, convention)


def presence_scores(
    presence: ArrayLike, labels: ArrayLike, threshold: float = 0.2
) -> PresenceScores:
    """Precision, recall and F1 of Ê > threshold, micro-averaged over all N x V entries (Table 8).

    Args:
        presence: Ê (N, V), the predicted presence of each pseudo-gloss in each clip.
        labels: (N, V), 1 where it is among the clip's pseudo-glosses.
        threshold: the paper's is 0.2.

    Returns:
        A score whose denominator is 0 (nothing predicted, nothing to find) is 0.

    Raises:
        UserError: shapes that differ or are not (N, V), no entries, or a presence that is NaN.
    """
    predicted, truth = np.asarray(presence), np.asarray(labels)
    if predicted.shape != truth.shape or predicted.ndim != 2 or not predicted.size:
        raise UserError(
            f"presence {predicted.shape} and labels {truth.shape} cannot be scored: give both as "
            "(clips, pseudo-glosses), the same and not empty."
        )
    if np.isnan(predicted).any():
        raise UserError("presence holds NaN: the model that predicted it has diverged; retrain it.")
    found, wanted = predicted > threshold, truth > 0.5
    hits = int((found & wanted).sum())
    num_found, num_wanted = int(found.sum()), int(wanted.sum())
    return PresenceScores(
        precision=hits / num_found if num_found else 0.0,
        recall=hits / num_wanted if num_wanted else 0.0,
        f1=2 * hits / (num_found + num_wanted) if num_found + num_wanted else 0.0,
    )


def interval_iou(a: Interval, b: Interval) -> float:
    """Intersection over union of two (start, end) intervals in the same unit; 0 if both are empty.

    Raises:
        UserError: an interval ends before it starts, or has a bound that is not a number.
    """
    for start, end in (a, b):
        if not start <= end:
            raise UserError(f"The interval ({start}, {end}) ends before it starts: mend its times.")
    overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - overlap
    return overlap / union if union > 0 else 0.0


def localisation_scores(
    spotted: Sequence[Sequence[LabelledInterval]],
    truth: Sequence[Sequence[LabelledInterval]],
    pseudo_gloss_of: Mapping[str, str] | None = None,
    match_iou: float = 0.5,
) -> LocalisationScores:
    """Compare spotted intervals with the true places of the signs.

    The rule: every true sign whose gloss has a pseudo-gloss counts once. Its score is the best
    time-IoU of the same clip's spotted intervals with that pseudo-gloss, and 0 if there is none.
    An interval may serve two signs of one word; intervals that serve none cost nothing (precision
    is :func:`presence_scores`'s concern).

    Args:
        spotted: for each of N clips, (pseudo-gloss, start, end).
        truth: for each of N clips, (gloss, start, end) in the same unit.
        pseudo_gloss_of: gloss -> pseudo-gloss; true signs with other glosses do not count. None
            where the truth is labelled with pseudo-glosses already: then all count.
        match_iou: time-IoU from which a sign is matched.

    Raises:
        UserError: not as many clips on both sides, no clips, or no true sign that counts.
    """
    _check_pairs(len(spotted), len(truth), "clips of spotted signs", "clips of true signs")
    ious = []
    for found, signs in zip(spotted, truth, strict=True):
        for gloss, start, end in signs:
            word = gloss if pseudo_gloss_of is None else pseudo_gloss_of.get(gloss)
            if word is not None:
                places = [(first, last) for label, first, last in found if label == word]
                ious.append(max((interval_iou(p, (start, end)) for p in places), default=0.0))
    if not ious:
        raise UserError(
            f"None of the true signs of {len(truth)} clips has a pseudo-gloss: check that the "
            "vocabulary belongs to this corpus."
        )
    best = np.array(ious)
    return LocalisationScores(
        mean_iou=float(best.mean()),
        matched_share=float((best >= match_iou).mean()),
        touched_share=float((best > 0).mean()),
        num_signs=len(ious),
        match_iou=match_iou,
    )


def _rouge_l(hypothesis: str, reference: str) -> float:
    """Sentence ROUGE-L F with beta 1.2 (the mscoco caption definition), in [0, 1]."""
    predicted, wanted = hypothesis.split(" "), reference.split(" ")
    common = _common_subsequence_length(predicted, wanted)
    precision, recall = common / len(predicted), common / len(wanted)
    if not common:
        return 0.0
    return (1 + ROUGE_BETA**2) * precision * recall / (recall + ROUGE_BETA**2 * precision)


def _common_subsequence_length(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table in one integer (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for place, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << place
    full = row = (1 << len(a)) - 1
    for word in b:
        matches = row & places.get(word, 0)
        row = (row + matches | row - matches) & full
    return len(a) - row.bit_count()


def _check_pairs(first: int, second: int, first_name: str, second_name: str) -> None:
    if first != second or not first:
        raise UserError(
            f"{first} {first_name} cannot be scored against {second} {second_name}: there must be "
            "as many of both, and at least one."
        )
