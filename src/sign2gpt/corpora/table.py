"""Any table with a column of clips and one of sentences: CSV, TSV, JSON lines, Parquet."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sign2gpt.corpora.corpus import SourceClip
from sign2gpt.corpora.times import seconds
from sign2gpt.data.manifest import clip_name
from sign2gpt.data.tables import NO_TEXT, read_records
from sign2gpt.errors import UserError


@dataclass(frozen=True, kw_only=True)
class TableColumns:
    """Which column holds what; those left empty are not there.

    Attributes:
        clip: path of a video or a folder of frames, relative to `clips` or the table's folder.
        text: the sentence.
        split: the split's name; empty with `only_split`.
        only_split: the split of all rows.
        id: a unique name; empty: the clip's path without extension, and start and end.
        signer: who signs.
        start, end: time stamps in a longer video.
        fps: frames a second, of folders of frames.
        clips: the folder that paths are relative to.
    """

    clip: str = "path"
    text: str = "text"
    split: str = "split"
    only_split: str = ""
    id: str = ""
    signer: str = ""
    start: str = ""
    end: str = ""
    fps: str = ""
    clips: Path | None = None


def read_any_table(table: Path, columns: TableColumns) -> Iterator[SourceClip]:
    """Yield the clips of a table; a row that does not do for one says so in its `fault`.

    Raises:
        UserError: no such table or column.
    """
    if bool(columns.start) != bool(columns.end):
        raise UserError("A start column and an end column come together; name both or neither.")
    if columns.only_split and not columns.only_split.strip():
        raise UserError("--only-split is blank; name the split, as train.")
    split_column = "" if columns.only_split else columns.split
    needed = {"clip": columns.clip, "text": columns.text}
    if not columns.only_split:
        needed["split"] = columns.split
    for option, column in needed.items():
        if not column:
            raise UserError(f"--{option} is empty; name the table's column.")
    wanted = [columns.id, columns.signer, columns.start, columns.end, columns.fps]
    for where, record in read_records(table, [name for name in wanted if name], filled=False):
        place = f"{table}, {where}"
        for option in ("clip", "text"):
            if needed[option] not in record:
                raise UserError(
                    f"{place}: no column {needed[option]!r}; name the one that holds it with "
                    f"--{option} (there are {', '.join(map(str, record))})."
                )
        if split_column and split_column not in record:
            raise UserError(
                f"{place}: no column {split_column!r} says which split a clip is of; name it with "
                f"--split (there are {', '.join(map(str, record))}), or give all clips one with "
                "--only-split train."
            )
        try:
            yield _clip(record, columns, columns.clips or table.parent, place)
        except UserError as error:
            name = str(record.get(columns.id) or record[columns.clip] or "").strip()
            yield SourceClip(
                id=f"{where}: {name}" if name else where,
                split=columns.only_split or str(record[split_column] or ""),
                text="",
                clip=table,
                fault=str(error),
            )


def _clip(record: dict[str, Any], columns: TableColumns, folder: Path, place: str) -> SourceClip:
    """A row's clip; UserError for an empty cell where something has to stand, or a wrong value."""
    path = _filled(record, columns.clip, place)
    name = clip_name(path)
    if not name:
        raise UserError(f"{place}: {path!r} is no clip; give the path of a file or a folder.")
    span = None
    if columns.start:
        span = (seconds(record[columns.start], place), seconds(record[columns.end], place))
        name += f"@{span[0]:g}-{span[1]:g}"
    return SourceClip(
        id=_filled(record, columns.id, place) if columns.id else name,
        split=columns.only_split or _filled(record, columns.split, place),
        text=_text(record[columns.text], f"{place}, column {columns.text!r}"),
        clip=folder / path,
        signer=_text(record[columns.signer], place) if columns.signer else "",
        fps=_rate(record[columns.fps], place) if columns.fps else None,
        span=span,
    )


def _filled(record: dict[str, Any], column: str, place: str) -> str:
    value = _text(record[column], f"{place}, column {column!r}").strip()
    if not value:
        raise UserError(f"{place}: nothing stands in the column {column!r}; fill it.")
    return value


def _text(value: Any, place: str) -> str:
    """A cell as text, a number too; "" for none, as which a table of numbers has NaN."""
    if isinstance(value, NO_TEXT):
        raise UserError(f"{place}: {value!r} is no text; write it as one.")
    return "" if value is None or value != value else str(value)


def _rate(value: Any, place: str) -> float | None:
    if not _text(value, place).strip():
        return None
    try:
        rate = float(value)
    except (TypeError, ValueError, OverflowError):
        rate = 0.0
    if not 0.01 <= rate < 1000:
        raise UserError(f"{place}: the frame rate is {value!r}; give frames a second.")
    return rate
