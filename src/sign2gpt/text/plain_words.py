"""Words without parts of speech, for languages that have no tagger here: a tokenizer, a stop list.

Both are spaCy's, which has them for some seventy languages without any model. Function words go by
the stop list; inflected forms of a word stay apart, so there are more pseudo-glosses than with a
tagger, each seen less often.
"""

from collections.abc import Sequence
from typing import Any

from sign2gpt.errors import UserError
from sign2gpt.text.tagged_words import WORD, Token, missing_package


class PlainWords:
    """Tagger that calls what is not on the stop list a WORD (extra ``spacy``).

    Args:
        language: ISO 639-1, such as "pl".

    Raises:
        UserError: spaCy is not installed, or knows no such language or no stop words of it.
    """

    def __init__(self, language: str) -> None:
        try:
            import spacy
        except ImportError as error:
            raise missing_package("spacy", f"plain:{language}") from error
        try:
            self._pipeline = spacy.blank(language)
        except Exception as error:  # an unknown language, or one that needs another package
            reason = str(error).splitlines()[0]
            raise UserError(
                f"The tagger 'plain:{language}' cannot be used ({reason}): give the code of "
                "another language, such as plain:pl."
            ) from error
        if not self._pipeline.Defaults.stop_words:
            raise UserError(
                f"spaCy has no stop words of {language!r}, so function words would become "
                "pseudo-glosses: give another tagger, or --all-words."
            )
        self.name = f"plain:{language}"
        self.version = f"stop list of spaCy {spacy.__version__}"
        self.language = language

    def __call__(self, sentences: Sequence[str]) -> list[list[Token]]:
        return [
            [
                Token(word.text, word.lower_, WORD if _says_something(word) else "X")
                for word in self._pipeline(sentence)
                if not word.is_space
            ]
            for sentence in sentences
        ]


def _says_something(word: Any) -> bool:
    return not word.is_stop and any(mark.isalnum() for mark in word.text)
