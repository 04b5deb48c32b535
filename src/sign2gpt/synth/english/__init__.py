"""English, as it is worded and chosen; it needs articles and the number of a verb, no more."""

from typing import Final

import numpy as np

from sign2gpt.synth.english.wordings import WORDINGS
from sign2gpt.synth.english.words import ADJECTIVES, NOUNS, PHRASE_WORDS
from sign2gpt.synth.language import Language, pick
from sign2gpt.synth.weather import ADJECTIVE_KINDS, NOUN_KINDS


def forms(slot: str, kind: str, value: str, rng: np.random.Generator) -> dict[str, str]:
    """Everything that a wording may ask of a filled slot, by placeholder."""
    if kind in NOUN_KINDS:
        noun = NOUNS[value]
        bare = pick(noun.words, rng)
        return {
            slot: f"{noun.article} {bare}".strip(),
            f"{slot}_bare": bare,
            f"{slot}_the": f"the {bare}",
            f"is_{slot}": "are" if noun.plural else "is",
        }
    words = ADJECTIVES if kind in ADJECTIVE_KINDS else PHRASE_WORDS[kind]
    return {slot: pick(words[value], rng)}


ENGLISH: Final = Language(
    wordings=WORDINGS,
    forms=forms,
    fillers=("probably", "also", "most likely"),
    here="here",
    verb_second=False,
)
