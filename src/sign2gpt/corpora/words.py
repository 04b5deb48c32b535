"""The pseudo-glosses of a corpus's sentences, from a store or from any tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sign2gpt.data.store import is_store, open_store
from sign2gpt.data.tables import read_records
from sign2gpt.errors import UserError
from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary, pseudo_glosses
from sign2gpt.text.tagged_words import Tagger

TEXT_COLUMNS = ("text", "translation", "SENTENCE", "sentence", "raw-text")
"""Where tables keep their sentences: this package's, PHOENIX14T, How2Sign, others, OpenASL."""

PUBLISHED_TYPES = {"de": ("PHOENIX14T", 2533), "zh": ("CSL-Daily", 7918)}
"""Pseudo-glosses in Table 1(a) of the paper, by language."""


@dataclass(frozen=True)
class Extraction:
    """Pseudo-glosses of sentences.

    Attributes:
        sentences: the texts.
        glosses: those of each.
        types: how many different ones there are, before frequent and rare ones are left out.
        vocabulary: what a model would learn to find.
    """

    sentences: list[str]
    glosses: list[list[str]]
    types: int
    vocabulary: PseudoGlossVocabulary


def extract(
    sources: Sequence[Path],
    tagger: Tagger,
    *,
    splits: Sequence[str] = ("train",),
    text_column: str = "",
    all_words: bool = False,
    max_share: float = 0.4,
    min_count: int = 1,
) -> Extraction:
    """Take pseudo-glosses from sentences (section 3.3).

    Args:
        sources: stores, or tables with a column of sentences.
        tagger: what finds words and their parts of speech.
        splits: of a store, or of a table with a column `split`.
        text_column: of tables; one of TEXT_COLUMNS where empty.
        all_words: every word, whatever its part of speech (the ablation of Table 9).
        max_share, min_count: see `PseudoGlossVocabulary.build`.

    Raises:
        UserError: sources that cannot be read, or no sentences.
    """
    sentences = [text for source in sources for text in _texts(source, splits, text_column)]
    if not sentences:
        raise UserError(
            f"There are no sentences of {', '.join(splits)} in {sources[0]}; name other --splits."
        )
    glosses = pseudo_glosses(tagger, sentences, all_words)
    types = len({gloss for own in glosses for gloss in own})
    vocabulary = PseudoGlossVocabulary.build(glosses, tagger, max_share, min_count)
    return Extraction(sentences, glosses, types, vocabulary)


def _texts(source: Path, splits: Sequence[str], text_column: str) -> list[str]:
    if is_store(source):
        rows = open_store(source, stream=True).rows()
        return [row.text for row in rows if row.split in splits]
    texts = []
    column = text_column
    for where, record in read_records(source, (text_column,) if text_column else ()):
        column = column or next((name for name in TEXT_COLUMNS if name in record), "")
        if record.get(column) is None:
            raise UserError(
                f"{source}, {where}: no column of sentences; name it with --text, there are "
                f"{', '.join(map(str, record))}."
            )
        if record.get("split", splits[0]) in splits:
            texts.append(str(record[column]))
    return texts
