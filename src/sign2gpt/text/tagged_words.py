"""What a tagger makes of a sentence."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sign2gpt.errors import UserError

WORD = "WORD"
"""In place of a part of speech: a content word, as far as a stop list can tell."""


class Token(NamedTuple):
    """A word of a sentence.

    Args:
        text: the word as it stands in the sentence.
        lemma: its base form, in lower case; the word itself in languages that do not inflect.
        pos: universal part of speech (NOUN, VERB, ...).
    """

    text: str
    lemma: str
    pos: str


class Tagger(Protocol):
    """What :func:`load_tagger` returns: sentences in, a list of tokens for each out."""

    name: str
    version: str
    language: str

    def __call__(self, sentences: Sequence[str]) -> list[list[Token]]: ...


# Taggers, and the package that each needs.
_PACKAGES = {
    "hanta": "HanTa",
    "jieba": "jieba",
    "spacy:PIPELINE": "spacy",
    "plain:LANGUAGE": "spacy",
}


def missing_package(package: str, spec: str) -> UserError:
    """The error of a tagger whose package is not there."""
    others = [name for name, needed in _PACKAGES.items() if needed != package]
    return UserError(
        f"The tagger '{spec}' needs the package {package}, which is not installed: run "
        f"'pip install {package}', or name another one ({', '.join(others)})."
    )
