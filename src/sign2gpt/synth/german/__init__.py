"""German, as it is worded, chosen and inflected."""

from typing import Final

from sign2gpt.synth.german.inflection import forms
from sign2gpt.synth.german.wordings import WORDINGS
from sign2gpt.synth.language import Language

GERMAN: Final = Language(
    wordings=WORDINGS,
    forms=forms,
    fillers=("wohl", "auch", "voraussichtlich"),
    here="bei uns",
    verb_second=True,
)
