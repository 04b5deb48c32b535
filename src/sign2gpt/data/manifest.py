"""The table of clips that makes a folder a store: one row a clip, with its sentence and its file.

A store is a folder with one manifest in it: `manifest.parquet` (written by this package), or a
`manifest.csv`, `.tsv` or `.jsonl` made by hand with at least the columns path, text and split.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from sign2gpt.data.tables import NO_TEXT, Records, read_records
from sign2gpt.errors import UserError
from sign2gpt.files import whole_file

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET_NAME = "manifest.parquet"
MANIFEST_NAMES = (PARQUET_NAME, "manifest.csv", "manifest.tsv", "manifest.jsonl")


@dataclass(frozen=True, kw_only=True)
class ClipRow:
    """One clip and what is known of it; 0 or "" stands for what is not known.

    Attributes:
        id: unique in its manifest.
        split: "train", "dev", "test" or any other name.
        text: the spoken-language sentence, as it is to be scored.
        signer: who signs.
        frames: frames in the clip file, before any sampling.
        fps: frames a second in the clip file.
        width, height: pixels.
        path: the clip (a video file or a folder of frames), relative to the store folder.
        annotated_frames: what the corpus's annotation says of `frames`.
        source: the corpus or tool it came from.
        sha256: hex digest of the clip file.
    """

    id: str
    split: str
    text: str
    path: str
    signer: str = ""
    frames: int = 0
    fps: float = 0.0
    width: int = 0
    height: int = 0
    annotated_frames: int = 0
    source: str = ""
    sha256: str = ""

    def file(self, store: Path | str) -> Path:
        """Where the clip lies, given its store folder."""
        return Path(store) / self.path


_TYPES: dict[str, type] = get_type_hints(ClipRow)
COLUMNS = tuple(_TYPES)
_MOST = 2**63  # whole numbers in Parquet stay below
_REQUIRED = [field.name for field in fields(ClipRow) if field.default is MISSING]


def write_manifest(store: Path | str, rows: Iterable[ClipRow]) -> Path:
    """Write `rows` to `store/manifest.parquet` at once or not at all; return its path.

    Raises UserError for no rows, a doubled id, or a row without id, path or split.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = Path(store) / PARQUET_NAME
    rows = list(rows)
    _check_rows(((f"row {number}", row) for number, row in enumerate(rows, 1)), target)
    table = pa.Table.from_pylist([vars(row) for row in rows], schema=arrow_schema())
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as unfinished:
        pq.write_table(table, unfinished)
    return target


def arrow_schema() -> pa.Schema:
    """The columns of a manifest in Parquet."""
    import pyarrow as pa

    arrow_types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    return pa.schema([(name, arrow_types[kind]) for name, kind in _TYPES.items()])


def read_manifest(store: Path | str, split: str | None = None) -> list[ClipRow]:
    """Read the rows of a store, in the manifest's order, all or those of one split.

    Raises UserError for a missing folder or manifest, two manifests, an unreadable one, unknown
    or missing columns, a wrong number, a doubled id, a row without a clip, or an unknown split.
    """
    manifest = find_manifest(Path(store))
    return of_split(checked_rows(read_records(manifest), manifest), split, manifest)


def checked_rows(records: Records, manifest: Path | str) -> list[ClipRow]:
    """Records as rows; UserError, naming `manifest`, for what `read_manifest` refuses."""
    return _check_rows(
        ((where, _row(record, f"{manifest}, {where}")) for where, record in records), manifest
    )


def of_split(rows: list[ClipRow], split: str | None, manifest: Path | str) -> list[ClipRow]:
    """The rows of one split, all where None; UserError, naming `manifest`, where it has none."""
    if split is None:
        return rows
    splits = list(dict.fromkeys(row.split for row in rows))
    if split not in splits:
        raise UserError(
            f"{manifest} has no split {split!r}, only {', '.join(splits)}; prepare the store "
            "with it, or ask for another one."
        )
    return [row for row in rows if row.split == split]


def find_manifest(store: Path) -> Path:
    """The one manifest of a store folder; UserError where there is none or more than one."""
    if not store.is_dir():
        raise UserError(f"The store folder {store} does not exist; give the folder of a manifest.")
    found = [store / name for name in MANIFEST_NAMES if (store / name).is_file()]
    if not found:
        raise UserError(
            f"The store folder {store} has no manifest; put a manifest.csv with the columns "
            f"path, text and split in it, or prepare a store."
        )
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise UserError(f"The store folder {store} has {names}; keep the one that is meant.")
    return found[0]


def clip_name(path: str) -> str:
    """What a clip is called where nothing else is said: its path without the extension; "" where
    the path names no file or folder, as "." and "/" do not."""
    place = Path(path)
    return place.with_suffix("").as_posix() if place.name else ""


def _check_rows(rows: Iterable[tuple[str, ClipRow]], manifest: Path | str) -> list[ClipRow]:
    seen: dict[str, str] = {}
    checked = []
    for where, row in rows:
        if not row.path.strip() or not clip_name(row.path):
            raise UserError(
                f"{manifest}, {where}: a manifest line without a clip (its path is {row.path!r}); "
                "give the path of a file or a folder."
            )
        if not row.id.strip() or not row.split.strip():
            empty = "split" if row.id.strip() else "id"
            raise UserError(f"{manifest}, {where}: the {empty} is empty; fill it.")
        if row.id in seen:
            raise UserError(
                f"{manifest}, {where}: the id {row.id!r} was taken by {seen[row.id]}; "
                f"give every clip its own id."
            )
        seen[row.id] = where
        checked.append(row)
    if not checked:
        raise UserError(f"The manifest {manifest} has no clips; add at least one row.")
    return checked


def _row(record: dict[str, Any], where: str) -> ClipRow:
    """One record, checked and typed; a missing id is the path without its extension."""
    record = {name: value for name, value in record.items() if value is not None}
    if "id" not in record and record.get("path"):
        record["id"] = clip_name(str(record["path"]))
    if unknown := [name for name in record if name not in _TYPES]:
        raise UserError(
            f"{where}: unknown column {unknown[0]!r}; the columns are {', '.join(_TYPES)}."
        )
    record.setdefault("id", "")
    if missing := [name for name in _REQUIRED if name not in record]:
        raise UserError(
            f"{where}: the column {missing[0]!r} is missing; a manifest needs path, text and split."
        )
    return ClipRow(**{name: _typed(name, value, where) for name, value in record.items()})


def _typed(name: str, value: Any, where: str) -> Any:
    kind = _TYPES[name]
    if kind is str:
        if isinstance(value, NO_TEXT) or value != value:
            raise UserError(f"{where}: {name} is {value!r}, which is no text; write it as one.")
        return str(value)
    if value == "":  # an empty cell: not known
        return kind(0)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    most = _MOST if kind is int else math.inf
    if not 0 <= number < most or (kind is int and number != int(number)):
        sort = "a whole number" if kind is int else "a number"
        raise UserError(f"{where}: {name} is {value!r}; give {sort} not below 0, or nothing.")
    return kind(number)
