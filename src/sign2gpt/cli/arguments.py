"""Arguments of several verbs that are checked as they are read."""

from __future__ import annotations

from pathlib import Path

from sign2gpt.errors import UserError


def new_place(text: str) -> Path:
    """Where a verb is to write; ``new/../name`` makes no folder ``new``.

    Raises UserError for nothing, which would be the current folder.
    """
    if not text.strip():
        raise UserError("The place to write to is empty; name a folder (. is the current one).")
    place = Path(text)
    return place.resolve() if ".." in place.parts else place
