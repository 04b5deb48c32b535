"""A store as Parquet shards: the manifest's columns, and each clip's bytes in the column `video`.

The layout is that of the Hugging Face Hub: `data/SPLIT-00000-of-00007.parquet`, a clip being a
struct of `bytes` and `path` as `datasets.Video` has it. A clip is read by its row group, which
holds few clips, so any one costs a megabyte or two of reading. No file stays open: a shard store
can be handed to worker processes, and read by threads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sign2gpt.data.hub import HubDataset
from sign2gpt.data.manifest import COLUMNS, ClipRow, checked_rows, of_split
from sign2gpt.errors import UserError, one_line
from sign2gpt.files import reading
from sign2gpt.video.source import ClipBytes

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

VIDEO = "video"
_FOLDER = "data"
_NAME = re.compile(r".+-\d{5,}-of-\d{5,}\.parquet")


def shard_name(split: str, number: int, count: int) -> str:
    """A shard's path in its store."""
    return f"{_FOLDER}/{split}-{number:05d}-of-{count:05d}.parquet"


def shards_in(folder: Path) -> list[str]:
    """The shards of a folder, as paths from it; empty where there are none."""
    return _shards(path.relative_to(folder).as_posix() for path in folder.glob("**/*.parquet"))


@dataclass(frozen=True)
class _Place:
    """Where a clip lies: a row of a row group of a shard."""

    shard: str
    group: int
    position: int


class ShardStore:
    """Shards in a folder, or those of a dataset on the Hub, as a store of clips.

    Args:
        place: the folder; or the dataset, whose rows alone are then read over the network, and
            whose shards are fetched into the Hub's cache when a clip of theirs is asked for.
        name: what error messages call the store; its place where empty.

    Raises:
        UserError: no shards, one missing or damaged, a column missing, or rows that no manifest
            could have either.
    """

    def __init__(self, place: Path | HubDataset, name: str = "") -> None:
        self.place = place
        self.name = name or str(place)
        self.shards = shards_in(place) if isinstance(place, Path) else _shards(place.files())
        self._check_whole()
        self._footers: dict[str, pq.FileMetaData] = {}
        self._places: dict[str, _Place] = {}
        records = ((where, record) for shard in self.shards for where, record in self._read(shard))
        self._rows = checked_rows(records, self.name)
        self._check_card()
        for row, place_of in zip(self._rows, self._in_order(), strict=True):
            self._places[row.id] = place_of

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_footers": {}}  # long; read again where they are needed

    def rows(self, split: str | None = None) -> list[ClipRow]:
        """The rows in the order of the shards, all or those of one split; UserError for none."""
        return of_split(self._rows, split, self.name)

    def clip(self, row: ClipRow) -> ClipBytes:
        """A row's clip; UserError where its shard cannot be read or fetched, or lacks it."""
        place = self._places.get(row.id)
        if place is None:
            raise UserError(f"{self.name} has no clip {row.id!r}; give a row of this store.")
        with self._reading(place.shard):
            content = self._content(row.id, place)
        return self.as_clip(row, content)

    def as_clip(self, row: ClipRow, content: bytes | None) -> ClipBytes:
        """The content of a row's clip, by its name; UserError for none."""
        shard = self._places[row.id].shard
        if not content:
            raise UserError(
                f"The clip {row.id!r} has no bytes in {self.name}/{shard}; make the shards again."
            )
        return ClipBytes(f"{row.id} in {self.name}/{shard}", content)

    def has(self, row: ClipRow) -> bool:
        """Whether the row is of this store: its clip lies beside it."""
        return row.id in self._places

    def changed(self, row: ClipRow) -> int:
        """When the shard of a clip was last written, in nanoseconds."""
        return Path(self._local(self._places[row.id].shard)).stat().st_mtime_ns

    def addresses(self, split: str) -> list[str]:
        """The shards that hold a split, as paths or addresses on the Hub, in their order."""
        own = dict.fromkeys(self._places[row.id].shard for row in self.rows(split))
        return [f"{self.place}/{shard}" for shard in own]

    def _check_whole(self) -> None:
        if not self.shards:
            raise UserError(
                f"{self.name} holds no shards; make some with `sign2gpt shards`, which are called "
                f"{shard_name('train', 0, 1)} and so on."
            )
        there = set(self.shards)
        for shard in self.shards:
            count = int(PurePosixPath(shard).stem.rpartition("-")[2])
            for number in range(count):
                name = PurePosixPath(shard_name(_split_of(shard), number, count)).name
                beside = str(PurePosixPath(shard).with_name(name))
                if beside not in there:
                    raise UserError(
                        f"{self.name} lacks the shard {beside}; copy or make the shards again."
                    )

    def _check_card(self) -> None:
        """Splits that the card names are there whole: a cache may hold what was fetched of some."""
        card = self.place / "README.md" if isinstance(self.place, Path) else None
        if card is None or not card.is_file():
            return
        from huggingface_hub.repocard import metadata_load
        from yaml import YAMLError

        with reading(card, "mend what stands between its lines of ---, or remove it"):
            try:
                info = (metadata_load(card) or {}).get("dataset_info")
            except YAMLError as error:
                raise ValueError(one_line(error)) from error
            splits = info.get("splits") if isinstance(info, dict) else None
            sizes = [(said.get("name"), said.get("num_examples")) for said in splits or []]
        for name, count in sizes:
            own = sum(row.split == name for row in self._rows)
            if isinstance(count, int) and own != count:
                raise UserError(
                    f"{self.name} has {own:,} clips of {name} where its README.md says "
                    f"{count:,}; copy or fetch all of its shards, or make them again."
                )

    def _read(self, shard: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The records of a shard, without their clips; its footer is kept."""
        import pyarrow.parquet as pq

        # No threads: one that reads from Python as the interpreter ends brings it down.
        with (
            self._reading(shard),
            self._opened(shard) as source,
            pq.ParquetFile(source, pre_buffer=False) as file,
        ):
            self._footers[shard] = file.metadata
            schema = file.schema_arrow
            for name in ("id", "text", VIDEO):
                if name not in schema.names:
                    raise UserError(
                        f"The shard {self.name}/{shard} has no column {name!r}; there are "
                        f"{', '.join(schema.names)}."
                    )
            kind = schema.field(VIDEO).type
            if not _holds_bytes(kind):
                raise UserError(
                    f"The column {VIDEO!r} of {self.name}/{shard} is {kind}, not a clip's bytes "
                    "and path; make the shards with `sign2gpt shards`."
                )
            names = [name for name in COLUMNS if name in schema.names]
            records = file.read(columns=names, use_threads=False).to_pylist()
        split = _split_of(shard)
        for number, record in enumerate(records, 1):
            if record.setdefault("split", split) != split:
                raise UserError(
                    f"{self.name}/{shard}, row {number}: a clip of {record['split']} in a shard "
                    f"of {split}; make the shards again."
                )
            yield f"{shard}, row {number}", {"path": record["id"], **record}

    def _in_order(self) -> Iterator[_Place]:
        """Where each row lies, from the shards' footers alone."""
        for shard in self.shards:
            footer = self._footers[shard]
            for group in range(footer.num_row_groups):
                for position in range(footer.row_group(group).num_rows):
                    yield _Place(shard, group, position)

    def _content(self, name: str, place: _Place) -> bytes | None:
        """The bytes of the clip of that id, which was there when the store was opened."""
        import pyarrow.parquet as pq

        path = self._local(place.shard)
        if place.shard not in self._footers:
            self._footers[place.shard] = pq.read_metadata(path)
        with pq.ParquetFile(path, metadata=self._footers[place.shard]) as file:
            columns = ["id", f"{VIDEO}.bytes"]
            group = file.read_row_group(place.group, columns=columns, use_threads=False)
        if str(group.column("id")[place.position].as_py()) != name:
            raise UserError(
                f"The shard {self.name}/{place.shard} has changed since it was opened, and the "
                f"clip {name!r} is no longer where it was; start again."
            )
        return (group.column(VIDEO)[place.position].as_py() or {}).get("bytes")

    def _local(self, shard: str) -> str:
        """A shard's path on this machine, fetched first where it lies on the Hub."""
        if isinstance(self.place, Path):
            return str(self.place / shard)
        return self.place.fetch(shard)

    @contextmanager
    def _opened(self, shard: str) -> Iterator[Any]:
        """A shard for reading a part of it, where it lies."""
        if isinstance(self.place, Path):
            yield self.place / shard
        else:
            with self.place.open(shard) as file:
                yield file

    @contextmanager
    def _reading(self, shard: str) -> Iterator[None]:
        """Turns what a damaged shard breaks into a sentence."""
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, OSError, LookupError, ValueError) as error:
            raise UserError(
                f"The shard {self.name}/{shard} is missing, cut short or damaged "
                f"({one_line(error)}); copy or make it again."
            ) from error


def _holds_bytes(kind: pa.DataType) -> bool:
    """Whether a column's values are structs with the content of a file."""
    import pyarrow as pa

    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    content = kind.field("bytes").type
    return pa.types.is_binary(content) or pa.types.is_large_binary(content)


def _split_of(shard: str) -> str:
    return PurePosixPath(shard).name.rsplit("-", 3)[0]


def _shards(paths: Iterable[str]) -> list[str]:
    """Those of the paths that are called like shards and lie where shards do, in their order."""
    places = (".", _FOLDER)
    return sorted(
        path
        for path in paths
        if _NAME.fullmatch(PurePosixPath(path).name) and str(PurePosixPath(path).parent) in places
    )
