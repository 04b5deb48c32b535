"""A store of clips, in whichever form it lies: a folder with a manifest, or Parquet shards.

store = open_store("data/phoenix14t")
for row in store.rows("train"):
    processor.read(store.clip(row), source_fps=row.fps or None)
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol, runtime_checkable

from sign2gpt.data.hub import hub_dataset
from sign2gpt.data.manifest import MANIFEST_NAMES, ClipRow, read_manifest
from sign2gpt.data.shards import ShardStore, shards_in
from sign2gpt.video.source import ClipSource


@runtime_checkable
class ClipStore(Protocol):
    """Where rows and their clips come from; it can be handed to other processes."""

    name: str
    """What error messages call the store: its folder or address."""

    def rows(self, split: str | None = None) -> list[ClipRow]:
        """The rows, in the store's order, all or those of one split; no clip is read.

        Raises UserError for an unknown split, or a store that cannot be read.
        """
        ...

    def clip(self, row: ClipRow) -> ClipSource:
        """The clip of a row, or where it lies; UserError where its shard cannot be read."""
        ...

    def has(self, row: ClipRow) -> bool:
        """Whether the clip is there, without opening it."""
        ...

    def changed(self, row: ClipRow) -> int:
        """When the file that holds the clip was last written, in nanoseconds."""
        ...


class FolderStore:
    """A folder with a manifest, and clips as files or folders of frames."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = str(folder)

    def rows(self, split: str | None = None) -> list[ClipRow]:
        return read_manifest(self.folder, split)

    def clip(self, row: ClipRow) -> Path:
        return row.file(self.folder)

    def has(self, row: ClipRow) -> bool:
        return os.path.exists(self.clip(row))  # false, too, of a path that the system does not take

    def changed(self, row: ClipRow) -> int:
        return self.clip(row).stat().st_mtime_ns


def open_store(store: ClipStore | Path | str, *, stream: bool = False) -> ClipStore:
    """Open a store: a folder with a manifest, a folder of shards, or ``hf://datasets/USER/NAME``.

    Args:
        store: where it lies; one that is open already is given back.
        stream: leave the shards of a dataset on the Hub there, reading their rows alone, and fetch
            a shard when a clip of it is asked for. Else all of them are fetched now, once.

    Raises:
        UserError: shards that cannot be read or fetched. A folder's manifest is looked at when
            its rows are asked for.
    """
    if isinstance(store, ClipStore):
        return store
    if dataset := hub_dataset(store):
        now = dataset.at_commit()
        return ShardStore(now if stream else now.folder(), str(dataset))
    folder = Path(store)
    sharded = not _has_manifest(folder) and shards_in(folder)
    return ShardStore(folder) if sharded else FolderStore(folder)


def is_store(place: Path | str) -> bool:
    """Whether there is something to open, as far as can be said without a network."""
    return bool(hub_dataset(place)) or Path(place).is_dir()


def lists_clips(store: Path | str) -> bool:
    """Whether a store says which clips it has, as it does once its preparation is through."""
    folder = Path(store)
    return bool(hub_dataset(store)) or _has_manifest(folder) or bool(shards_in(folder))


def _has_manifest(folder: Path) -> bool:
    return any((folder / name).is_file() for name in MANIFEST_NAMES)
