"""German cases, genders and agreement: the forms a wording may ask of a filled slot."""

from __future__ import annotations

from typing import Final

import numpy as np

from sign2gpt.synth.german.words import NOUNS, OTHER_STEMS, PHRASE_WORDS
from sign2gpt.synth.language import pick
from sign2gpt.synth.weather import ADJECTIVE_KINDS, NOUN_KINDS

_ENDINGS: Final[dict[str, dict[str, str]]] = {  # adjectives without article
    "nom": {"m": "er", "f": "e", "n": "es", "p": "e"},
    "acc": {"m": "en", "f": "e", "n": "es", "p": "e"},
    "dat": {"m": "em", "f": "er", "n": "em", "p": "en"},
}
_NO: Final = {"m": "keinen", "f": "keine", "n": "kein", "p": "keine"}
_THE: Final = {"m": "der", "f": "die", "n": "das", "p": "die"}
_VERBS: Final = {"ist": "sind", "kommt": "kommen", "verschwindet": "verschwinden", "löst": "lösen"}


def forms(slot: str, kind: str, value: str, rng: np.random.Generator) -> dict[str, str]:
    """Everything that a wording may ask of a filled slot, by placeholder."""
    if kind in NOUN_KINDS:
        return _noun_forms(slot, value, rng)
    if kind in ADJECTIVE_KINDS:
        stem = _stem(value, rng)
        return {slot: stem} | {f"{slot}_{e}": stem + e for e in ("e", "er", "en", "em", "es")}
    word = pick(PHRASE_WORDS[kind][value], rng)
    if kind == "ordinal":
        return {slot: word, f"{slot}_nom": word.removesuffix("n")}
    return {slot: word}


def _stem(adjective: str, rng: np.random.Generator) -> str:
    other = OTHER_STEMS.get(adjective)
    return pick((adjective, other) if other else (adjective,), rng)


def _noun_forms(slot: str, value: str, rng: np.random.Generator) -> dict[str, str]:
    quality, _, key = value.rpartition(" ")
    noun = NOUNS[key]
    stem = _stem(quality, rng) if quality else ""
    fixed = stem in ("viel", "wenig") and noun.gender != "p"  # "viel regen", but "viele wolken"
    found = {}
    for case, endings in _ENDINGS.items():
        word = noun.dative if case == "dat" and noun.dative else noun.word
        ending = "" if fixed else endings[noun.gender]
        found[f"{slot}_{case}"] = f"{stem}{ending} {word}" if stem else word
    found[f"{slot}_kein"] = f"{_NO[noun.gender]} {noun.word}"
    found[f"{slot}_der"] = f"{_THE[noun.gender]} {noun.word}"
    for singular, plural in _VERBS.items():
        found[f"{singular}_{slot}"] = plural if noun.gender == "p" else singular
    return found
