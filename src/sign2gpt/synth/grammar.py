"""What the invented forecasts say: meanings, their glosses, and their German wordings.

A meaning is a statement with its slots filled. It is signed in one order and worded in many:
wordings change word order, verbs and function words, and now and then a content word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import numpy as np

from sign2gpt.synth import weather
from sign2gpt.synth.templates import TEMPLATES, Template
from sign2gpt.synth.weather import ADJECTIVES, NOUNS, Phrases

FEWEST_SIGNS: Final = 3
MOST_SIGNS: Final = 7
FEWEST_WORDS: Final = 5
_EMPTY_SHARE: Final = 0.55  # how often a slot that may stay empty does
_USUAL: Final = 0.75  # how often an entry's first wording is taken
_FILLED: Final = 0.4  # how often a word without a sign of its own is put in
_FILLERS: Final = ("wohl", "auch", "voraussichtlich")
_UNFILLED: Final = ("umbrella", "perhaps")  # a request, and what is unsure already
# The last time or place, unless it opens or ends the wording or stands before an "und".
_FILLER_PLACE: Final = re.compile(r"(?<=.)\{[tp]\}(?= (?!und)[^{\s]| \{(?![tpqr]\}))(?!.*\{[tp]\})")

_ENDINGS: Final[dict[str, dict[str, str]]] = {  # adjectives without article
    "nom": {"m": "er", "f": "e", "n": "es", "p": "e"},
    "acc": {"m": "en", "f": "e", "n": "es", "p": "e"},
    "dat": {"m": "em", "f": "er", "n": "em", "p": "en"},
}
_NO: Final = {"m": "keinen", "f": "keine", "n": "kein", "p": "keine"}
_THE: Final = {"m": "der", "f": "die", "n": "das", "p": "die"}
_BY_DAY: Final = ("mixed", "sun_or_clouds", "sun_shines")
_VERBS: Final = {"ist": "sind", "kommt": "kommen", "verschwindet": "verschwinden", "löst": "lösen"}


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
            signs += _signs(kinds[part], filled[part])
    return tuple(signs)


def realise(meaning: Meaning, rng: np.random.Generator) -> str:
    """One wording of a meaning: lower-case German without a full stop."""
    usable = _usable_wordings(meaning)
    wording = usable[int(rng.integers(len(usable)))]
    if meaning.template not in _UNFILLED and rng.random() < _FILLED:
        filler = _FILLERS[int(rng.integers(len(_FILLERS)))]
        wording = _FILLER_PLACE.sub(rf"\g<0> {filler}", wording)
    template = TEMPLATES[meaning.template]
    filled = dict(meaning.slots)
    forms: dict[str, str] = {}
    for slot, kind, _ in _slots(template):
        forms |= _forms(slot, kind, filled[slot], rng) if slot in filled else {slot: ""}
    words = wording.format_map(forms).split()
    if len(words) < FEWEST_WORDS and "{p}" in wording and "p" not in filled:
        words = wording.format_map({**forms, "p": "bei uns"}).split()
    return " ".join(words)


def paraphrases(meaning: Meaning, count: int, rng: np.random.Generator) -> list[str]:
    """Up to `count` different wordings in the order drawn; every meaning has at least 4."""
    found: dict[str, None] = {}
    for _ in range(8 * count):
        found.setdefault(realise(meaning, rng))
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
                found.update(_signs(kind, value))
    return tuple(sorted(found))


def _noun_phrases(nouns: Sequence[str]) -> tuple[str, ...]:
    """Each noun alone and with each of its adjectives: "regen", "stark regen"."""
    alone = tuple(nouns)
    return alone + tuple(f"{q} {noun}" for noun in nouns for q in weather.QUALITIES.get(noun, ()))


_PHRASES: Final[dict[str, Phrases]] = {
    "time": weather.TIMES,
    "place": weather.PLACES,
    "river": weather.RIVERS,
    "country": weather.COUNTRIES,
    "direction": weather.DIRECTIONS,
    "verbal": weather.VERBAL,
    "more": weather.MORE,
    "system": weather.SYSTEMS,
    "season": weather.SEASONS,
    "month": weather.MONTHS,
    "wish": weather.WISHES,
    "greeting": weather.GREETINGS,
    "day": weather.DAYS,
    "number": weather.NUMBERS,
    "ordinal": weather.ORDINALS,
}
_ADJECTIVE_KINDS: Final[dict[str, tuple[str, ...]]] = {
    "weather": weather.WEATHER_IS,
    "sky": weather.SKY_IS,
    "air": weather.AIR_IS,
    "wind": weather.WIND_IS,
}
_NOUN_KINDS: Final[dict[str, tuple[str, ...]]] = {
    "event": _noun_phrases(weather.EVENTS),
    "noun": (*weather.EVENTS, "sonne", "wolken"),
    "danger": weather.DANGERS,
    "clearing": ("nebel", "wolken", "dunst", "gewitter", "schauer", "frost"),
    "seen": _noun_phrases(("sonne", "wolken")),
}


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
    for table in (_NOUN_KINDS, _ADJECTIVE_KINDS):
        if kind in table:
            return table[kind]
    entries = _PHRASES[kind]
    if kind != "time":
        return tuple(entries)
    simple = tuple(value for value in entries if len(entries[value][0]) == 1)
    return simple * 3 + tuple(entries)


def _signs(kind: str, value: str) -> tuple[str, ...]:
    """Topic before comment: the noun is signed before its adjective."""
    if kind in _NOUN_KINDS:
        quality, _, noun = value.rpartition(" ")
        return NOUNS[noun].glosses + (ADJECTIVES[quality][0] if quality else ())
    if kind in _ADJECTIVE_KINDS:
        return ADJECTIVES[value][0]
    return _PHRASES[kind][value][0]


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
def _usable_wordings(meaning: Meaning) -> tuple[str, ...]:
    """Those that do not begin with a slot that is empty, which would leave a question."""
    filled = dict(meaning.slots)
    usable = []
    for wording in TEMPLATES[meaning.template].wordings:
        first = re.match(r"(?:achtung )?\{(\w+)\}", wording)
        if first is None or first[1].partition("_")[0] not in ("t", "p") or first[1] in filled:
            usable.append(wording)
    return tuple(usable)


def _pick(wordings: Sequence[str], rng: np.random.Generator) -> str:
    if len(wordings) == 1 or rng.random() < _USUAL:
        return wordings[0]
    return wordings[1 + int(rng.integers(len(wordings) - 1))]


def _forms(slot: str, kind: str, value: str, rng: np.random.Generator) -> dict[str, str]:
    """Everything that a wording may ask of a filled slot, by placeholder."""
    if kind in _NOUN_KINDS:
        return _noun_forms(slot, value, rng)
    table = ADJECTIVES if kind in _ADJECTIVE_KINDS else _PHRASES[kind]
    word = _pick(table[value][1], rng)
    forms = {slot: word}
    if kind in _ADJECTIVE_KINDS:
        forms |= {f"{slot}_{ending}": word + ending for ending in ("e", "er", "en", "em", "es")}
    if kind == "ordinal":
        forms[f"{slot}_nom"] = word.removesuffix("n")
    return forms


def _noun_forms(slot: str, value: str, rng: np.random.Generator) -> dict[str, str]:
    quality, _, key = value.rpartition(" ")
    noun = NOUNS[key]
    stem = _pick(ADJECTIVES[quality][1], rng) if quality else ""
    fixed = stem in ("viel", "wenig") and noun.gender != "p"  # "viel regen", but "viele wolken"
    forms = {}
    for case, endings in _ENDINGS.items():
        word = noun.dative if case == "dat" and noun.dative else noun.word
        ending = "" if fixed else endings[noun.gender]
        forms[f"{slot}_{case}"] = f"{stem}{ending} {word}" if stem else word
    forms[f"{slot}_kein"] = f"{_NO[noun.gender]} {noun.word}"
    forms[f"{slot}_der"] = f"{_THE[noun.gender]} {noun.word}"
    for singular, plural in _VERBS.items():
        forms[f"{singular}_{slot}"] = plural if noun.gender == "p" else singular
    return forms
