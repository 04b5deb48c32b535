"""Corpora as they are published -> rows of a manifest.

A reader is given the corpus folder and yields its clips as they lie there, with paths relative to
it, so that `write_manifest(corpus, read_corpus(name, corpus))` makes a store of the folder itself.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from sign2gpt.data.csl_daily import read_csl_daily
from sign2gpt.data.manifest import ClipRow
from sign2gpt.data.phoenix14t import read_phoenix14t
from sign2gpt.errors import UserError


class Reader(Protocol):
    """Yields the clips of a corpus folder one by one; UserError where something is not there."""

    def __call__(self, corpus: Path) -> Iterator[ClipRow]: ...


READERS: dict[str, Reader] = {"phoenix14t": read_phoenix14t, "csl_daily": read_csl_daily}


def read_corpus(name: str, corpus: Path | str) -> Iterator[ClipRow]:
    """The clips of a corpus in its published layout.

    Args:
        name: one of READERS.
        corpus: its folder.

    Raises:
        UserError: an unknown name; while reading, annotations or frames that are not there.
    """
    if name not in READERS:
        raise UserError(f"There is no reader for the corpus {name!r}; known: {', '.join(READERS)}.")
    return READERS[name](Path(corpus))
