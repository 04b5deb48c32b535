"""What the invented forecasts say: meanings, their glosses, and their wordings in a language.

A meaning is a statement with its slots filled. It is signed in one order and worded in many:
wordings change word order, verbs and function words, and now and then a content word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import numpy as np

from sign2gpt.synth.english import ENGLISH
from sign2gpt.synth.german import GERMAN
from sign2gpt.synth.language import Language
from sign2gpt.synth.templates import TEMPLATES, Template
from sign2gpt.synth.weather import ADJECTIVE_KINDS, NOUN_KINDS, PHRASES, signs_of

LANGUAGES: Final[dict[str, Language]] = {"de": GERMAN, "en": ENGLISH}

FEWEST_SIGNS: Final = 3
MOST_SIGNS: Final = 7
FEWEST_WORDS: Final = 5
_EMPTY_SHARE: Final = 0.55  # how often a slot that may stay empty does
_FILLED: Final = 0.4  # how often a word without a sign of its own is put in
_UNFILLED: Final = ("umbrella", "perhaps")  # a request, and what is unsure already
_BY_DAY: Final = ("mixed", "sun_or_clouds", "sun_shines")


@dataclass(frozen=True)
class Meaning:
    """A statement: the name of its template and what fills each slot; empty slots are left out."""

    template: str
    slots: tuple[tuple[str, str], ...]


def random_meaning(rng: np.random.Generator) -> Meaning:
    """Draw a meaning of 3 to 7 signs."""
    names, bounds = _template_bounds()
    while True:
        template = TEMPLATES[names[int(np.searchsorted(bounds, rng.random(), side="right"))]]
        filled: dict[str, str] = {}
        for slot, kind, optional in _slots(template):
            if optional and rng.random() < _EMPTY_SHARE:
                continue
            choices = _choices(kind)
            filled[slot] = choices[int(rng.integers(len(choices)))]
        meaning = Meaning(template.name, tuple(filled.items()))
        if _sensible(template.name, filled) and FEWEST_SIGNS <= len(glosses(meaning)) <= MOST_SIGNS:
            return meaning


def glosses(meaning: Meaning) -> tuple[str, ...]:
    """The signs of a meaning in signed order; function words have none."""
    filled = dict(meaning.slots)
    template = TEMPLATES[meaning.template]
    kinds = {slot: kind for slot, kind, _ in _slots(template)}
    signs: list[str] = []
    for part in template.order.split():
        if part not in kinds:
            signs.append(part)
        elif part in filled:
            signs += signs_of(kinds[part], filled[part])
    return tuple(signs)


def realise(meaning: Meaning, rng: np.random.Generator, language: str = "de") -> str:
    """One wording of a meaning: lower-case, without a full stop."""
    spoken = LANGUAGES[language]
    usable = _usable_wordings(meaning, language)
    wording = usable[int(rng.integers(len(usable)))]
    filled = dict(meaning.slots)
    forms = {"filler": ""}
    if meaning.template not in _UNFILLED and rng.random() < _FILLED:
        forms["filler"] = spoken.fillers[int(rng.integers(len(spoken.fillers)))]
    for slot, kind, _ in _slots(TEMPLATES[meaning.template]):
        forms |= spoken.forms(slot, kind, filled[slot], rng) if slot in filled else {slot: ""}
    words = wording.format_map(forms).split()
    if len(words) < FEWEST_WORDS and "{p}" in wording and "p" not in filled:
        words = wording.format_map({**forms, "p": spoken.here}).split()
    return " ".join(words)


def paraphrases(
    meaning: Meaning, count: int, rng: np.random.Generator, language: str = "de"
) -> list[str]:
    """Up to `count` different wordings in the order drawn; every meaning has at least 4."""
    found: dict[str, None] = {}
    for _ in range(8 * count):
        found.setdefault(realise(meaning, rng, language))
        if len(found) == count:
            break
    return list(found)


@cache
def inventory() -> tuple[str, ...]:
    """Every gloss that the grammar signs, sorted."""
    found: set[str] = set()
    for template in TEMPLATES.values():
        kinds = {slot: kind for slot, kind, _ in _slots(template)}
        found |= {part for part in template.order.split() if part not in kinds}
        for kind in kinds.values():
            for value in _choices(kind):
                found.update(signs_of(kind, value))
    return tuple(sorted(found))


@cache
def _slots(template: Template) -> tuple[tuple[str, str, bool], ...]:
    """(name, kind, may stay empty) of each slot."""
    found = []
    for part in template.slots.split():
        name, kind = part.split("=")
        found.append((name, kind.rstrip("?"), kind.endswith("?")))
    return tuple(found)


@cache
def _template_bounds() -> tuple[tuple[str, ...], np.ndarray]:
    """The templates' names, and up to where in [0, 1) a random number means each."""
    weights = np.array([template.weight for template in TEMPLATES.values()])
    bounds = np.cumsum(weights / weights.sum())
    bounds[-1] = 1.0  # whatever the rounding
    return tuple(TEMPLATES), bounds


@cache
def _choices(kind: str) -> tuple[str, ...]:
    for table in (NOUN_KINDS, ADJECTIVE_KINDS):
        if kind in table:
            return table[kind]
    values = PHRASES[kind]
    if kind != "time":
        return tuple(values)
    simple = tuple(value for value, signs in values.items() if len(signs) == 1)
    return simple * 3 + tuple(values)


def _sensible(template: str, filled: Mapping[str, str]) -> bool:
    """Two slots of a kind differ; a range of degrees rises, by 2 to 5; no sun at night."""
    if template in _BY_DAY and "nacht" in filled["t"].split():
        return False
    if "k" in filled and "l" in filled and "q" not in filled:
        return 2 <= int(filled["l"]) - int(filled["k"]) <= 5
    pairs = (("a", "b"), ("p", "q"), ("n", "m"), ("k", "l"))
    nouns = {slot: filled[slot].split()[-1] for slot in filled}
    return all(nouns.get(one, 1) != nouns.get(two, 2) for one, two in pairs)


@lru_cache(maxsize=256)
def _usable_wordings(meaning: Meaning, language: str) -> tuple[str, ...]:
    """Those that an empty slot at their beginning, but for a word, does not turn into questions."""
    spoken, filled = LANGUAGES[language], dict(meaning.slots)
    usable = []
    for wording in spoken.wordings[meaning.template]:
        first = re.match(r"(?:\w+ )?\{([tp])\}", wording)
        if not spoken.verb_second or first is None or first[1] in filled:
            usable.append(wording)
    return tuple(usable)
