"""Pseudo-glosses (section 3.3): the content words of a sentence, and the vocabulary they form.

Shapes: V pseudo-glosses of the vocabulary.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sign2gpt.errors import UserError
from sign2gpt.files import write_json
from sign2gpt.text.tagged_words import WORD, Tagger

KEPT_POS = frozenset({"NOUN", "NUM", "ADV", "PRON", "PROPN", "ADJ", "VERB"})

_FORMAT = "sign2gpt pseudo-glosses 1"


def pseudo_glosses(
    tagger: Tagger, sentences: Sequence[str], all_words: bool = False
) -> list[list[str]]:
    """The words of each sentence that may have a sign: lower-cased lemmas with a kept POS.

    In spoken-language order, repeated as often as they are said. Chinese taggers give a segment as
    its own lemma, as the paper does.

    Args:
        tagger: finds words, their lemmas and parts of speech.
        sentences: the texts.
        all_words: keep every word, lower-cased as it stands, as in the ablation of Table 9; only
            punctuation goes.
    """
    if all_words:
        return [
            [token.text.lower() for token in tokens if any(map(str.isalnum, token.text))]
            for tokens in tagger(sentences)
        ]
    kept = {*KEPT_POS, WORD}
    return [[token.lemma for token in tokens if token.pos in kept] for tokens in tagger(sentences)]


@dataclass(frozen=True)
class PseudoGlossVocabulary:
    """The V pseudo-glosses a model learns to find, in a fixed order, and where they came from.

    Args:
        counts: of each pseudo-gloss, the number of training sentences that have it.
        frequent: the same for those left out because they are in too many sentences.
        num_sentences: how many training sentences there were.
        max_share, min_count: the bounds it was built with.
        tagger, tagger_version, language: what made the pseudo-glosses.
    """

    counts: dict[str, int]
    frequent: dict[str, int] = field(default_factory=dict)
    num_sentences: int = 0
    max_share: float = 0.4
    min_count: int = 1
    tagger: str = ""
    tagger_version: str = ""
    language: str = ""

    @classmethod
    def build(
        cls,
        glosses_per_sentence: Sequence[Sequence[str]],
        tagger: Tagger,
        max_share: float = 0.4,
        min_count: int = 1,
    ) -> "PseudoGlossVocabulary":
        """Collect the vocabulary from the pseudo-glosses of the TRAINING sentences.

        Args:
            glosses_per_sentence: what :func:`pseudo_glosses` gave.
            tagger: what made them, for the record.
            max_share: a pseudo-gloss in more than this share of the sentences tells clips apart
                too little and is left out of the targets.
            min_count: one in fewer sentences than this is left out.

        Raises:
            UserError: nothing is left, or the bounds are out of range.
        """
        if not 0 < max_share <= 1 or min_count < 1:
            raise UserError(
                f"The pseudo-gloss bounds max_share={max_share} and min_count={min_count} cannot "
                "be used: max_share lies in (0, 1] and min_count is at least 1."
            )
        limit = max_share * len(glosses_per_sentence)
        counts = Counter(word for glosses in glosses_per_sentence for word in set(glosses))
        kept = {word: counts[word] for word in sorted(counts) if min_count <= counts[word] <= limit}
        if not kept:
            raise UserError(
                f"No pseudo-gloss is left of {len(counts)} in {len(glosses_per_sentence)} training "
                f"sentences with max_share={max_share} and min_count={min_count}: give more "
                "sentences, raise max_share or lower min_count."
            )
        return cls(
            counts=kept,
            frequent={word: counts[word] for word in sorted(counts) if counts[word] > limit},
            num_sentences=len(glosses_per_sentence),
            max_share=max_share,
            min_count=min_count,
            tagger=tagger.name,
            tagger_version=tagger.version,
            language=tagger.language,
        )

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def words(self) -> list[str]:
        """The V pseudo-glosses; a word's place here is its column everywhere."""
        return list(self.counts)

    @cached_property
    def index(self) -> dict[str, int]:
        """Word -> column."""
        return {word: column for column, word in enumerate(self.words)}

    def encode(self, glosses: Iterable[str]) -> NDArray[np.float32]:
        """Presence labels (V,), 1 where the pseudo-gloss is among those given; others are ignored.

        Targets of eq. (6) as float, the type binary cross-entropy wants.
        """
        labels = np.zeros(len(self), dtype=np.float32)
        labels[[self.index[word] for word in glosses if word in self.index]] = 1
        return labels

    def save(self, path: str | Path) -> None:
        """Write it as JSON, one place for the words, their counts and the tagger's version; the
        file is there whole or not at all."""
        content = {
            "format": _FORMAT,
            "tagger": {
                "name": self.tagger,
                "version": self.tagger_version,
                "language": self.language,
            },
            "num_sentences": self.num_sentences,
            "max_share": self.max_share,
            "min_count": self.min_count,
            "counts": self.counts,
            "frequent": self.frequent,
        }
        write_json(Path(path), content)

    @classmethod
    def load(cls, path: str | Path) -> "PseudoGlossVocabulary":
        """Read what :meth:`save` wrote, the order of the words included.

        Raises:
            UserError: the file is missing or is not such a vocabulary.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(
                f"The pseudo-gloss vocabulary {path} cannot be read ({error.strerror}): "
                "extract the pseudo-glosses first, or mend the path."
            ) from error
        except ValueError as error:
            raise _not_a_vocabulary(path, f"not UTF-8 JSON: {error}") from error
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise _not_a_vocabulary(path, f"its format is not '{_FORMAT}'")
        try:
            return cls(
                counts=_word_counts(content["counts"]),
                frequent=_word_counts(content["frequent"]),
                num_sentences=int(content["num_sentences"]),
                max_share=float(content["max_share"]),
                min_count=int(content["min_count"]),
                tagger=str(content["tagger"]["name"]),
                tagger_version=str(content["tagger"]["version"]),
                language=str(content["tagger"]["language"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _not_a_vocabulary(path, f"{type(error).__name__}: {error}") from error


def _word_counts(value: Any) -> dict[str, int]:
    return {str(word): int(count) for word, count in value.items()}


def _not_a_vocabulary(path: str | Path, reason: str) -> UserError:
    return UserError(
        f"{path} is not a pseudo-gloss vocabulary ({reason}): extract the pseudo-glosses anew."
    )
