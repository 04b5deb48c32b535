"""What a spoken language brings along, so that meanings can be put into its words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

Words = dict[str, tuple[str, ...]]
"""Wordings of each value of a slot: interchangeable, the first the usual one."""

_USUAL: Final = 0.75  # how often the first wording is taken


@dataclass(frozen=True)
class Language:
    """A language of the sentences: lower-case, without marks.

    Args:
        wordings: of each template, by its name; each names all of the template's slots, and may
            have `{filler}` where a word without a sign of its own can stand.
        forms: (slot, kind, value, rng) -> everything a wording may ask of a filled slot, by
            placeholder.
        fillers: words without a sign of their own.
        here: the place of a sentence that would be too short without one.
        verb_second: whether a sentence that lost its first part becomes a question.
    """

    wordings: Mapping[str, tuple[str, ...]]
    forms: Callable[[str, str, str, np.random.Generator], dict[str, str]]
    fillers: tuple[str, ...]
    here: str
    verb_second: bool


def pick(wordings: Sequence[str], rng: np.random.Generator) -> str:
    """One of a slot's wordings, mostly the usual one."""
    if len(wordings) == 1 or rng.random() < _USUAL:
        return wordings[0]
    return wordings[1 + int(rng.integers(len(wordings) - 1))]
