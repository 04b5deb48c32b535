"""Any table with a column of clips and one of sentences: CSV, TSV, JSON lines, Parquet."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sign2gpt.corpora.corpus import SourceClip
from sign2gpt.corpora.times import seconds
from sign2gpt.data.tables import read_records
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
    """Yield the clips of a table.

    Raises:
        UserError: no such table or column, or an empty cell where something has to stand.
    """
    if bool(columns.start) != bool(columns.end):
        raise UserError("A start column and an end column come together; name both or neither.")
    split_column = "" if columns.only_split else columns.split
    needed = [columns.clip, columns.text, columns.id, columns.signer]
    needed += [columns.start, columns.end, columns.fps]
    folder = columns.clips or table.parent
    for where, record in read_records(table, [name for name in needed if name]):
        place = f"{table}, {where}"
        if split_column and record.get(split_column) is None:
            raise UserError(
                f"{place}: no column {split_column!r} says which split a clip is of; name it with "
                f"--split (there are {', '.join(map(str, record))}), or give all clips one with "
                "--only-split train."
            )
        path = _filled(record, columns.clip, place)
        span = None
        if columns.start:
            span = (seconds(record[columns.start], place), seconds(record[columns.end], place))
        name = str(Path(path).with_suffix("")) + (f"@{span[0]:g}-{span[1]:g}" if span else "")
        yield SourceClip(
            id=_filled(record, columns.id, place) if columns.id else name,
            split=columns.only_split or _filled(record, split_column, place),
            text=_filled(record, columns.text, place, as_is=True),
            clip=folder / path,
            signer=str(record[columns.signer]) if columns.signer else "",
            fps=_rate(record[columns.fps], place) if columns.fps else None,
            span=span,
        )


def _filled(record: dict[str, Any], column: str, place: str, as_is: bool = False) -> str:
    value = str(record[column])
    if not value.strip():
        raise UserError(f"{place}: nothing stands in the column {column!r}; fill it.")
    return value if as_is else value.strip()


def _rate(value: Any, place: str) -> float | None:
    if str(value).strip() == "":
        return None
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = 0.0
    if not 0 < rate < 1000:
        raise UserError(f"{place}: the frame rate is {value!r}; give frames a second.")
    return rate
