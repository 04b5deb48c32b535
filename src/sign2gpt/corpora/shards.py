"""A store -> Parquet shards that stream, in the layout of the Hugging Face Hub, with their card.

One clip at a time goes through memory, and its checksum is compared on the way. The columns are
those of a manifest and `video`, which is what `datasets.Video` takes.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sign2gpt.data.hub import HubDataset, hub_dataset, reaching_hub
from sign2gpt.data.manifest import COLUMNS, ClipRow, arrow_schema
from sign2gpt.data.shards import VIDEO, shard_name
from sign2gpt.data.store import ClipStore, FolderStore, open_store
from sign2gpt.errors import UserError
from sign2gpt.files import check_output, whole_folder, write_whole
from sign2gpt.progress import Advance
from sign2gpt.video.source import open_source

if TYPE_CHECKING:
    import pyarrow as pa

SHARD_SIZE = "500MB"
_GROUP_BYTES = 2 * 2**20  # of clips in a row group: what reading any one of them costs at most
_SPLIT = re.compile(r"\w+(\.\w+)*")  # what `datasets` takes for the name of a split

_CARD = """
# {title}

Clips of people signing, each with its sentence, as Parquet shards: {clips:,} clips, {size:.2f} GB.

| split | clips | shards |
|---|---|---|
{splits}

Columns: {columns}, and `video`: a clip's file byte for byte, whose SHA-256 is `sha256`. What is not
known is 0 or empty.

```python
from datasets import Video, load_dataset

clips = load_dataset(PLACE, split="{first}", streaming=True)  # this folder, or "USER/NAME"
clips = clips.cast_column("video", Video())  # to have it decoded, by torchcodec
```

sign2gpt reads it as a store, from a folder or as `hf://datasets/USER/NAME`.
"""


@dataclass(frozen=True)
class Sharded:
    """What was written.

    Attributes:
        clips: of each split.
        shards: of each split.
        size: bytes of all shards.
    """

    clips: dict[str, int]
    shards: dict[str, int]
    size: int


def make_shards(
    store: ClipStore | Path | str,
    out: Path | str,
    *,
    shard_size: str = SHARD_SIZE,
    progress: Advance | None = None,
) -> Sharded:
    """Write a store's clips and manifest as shards, a set of them a split.

    Args:
        store: any store whose clips are files.
        out: a folder that is not there yet, which appears when all is in it; or
            ``hf://datasets/USER/NAME``, a private dataset that is not there yet, made in one
            commit.
        shard_size: bytes of clips in a shard at most, such as "500MB"; a clip is not cut.
        progress: called with (clips done, clips in all).

    Raises:
        UserError: the library `datasets` is missing, `out` is taken or cannot be written to, a
            wrong size, or a clip that is missing, changed or a folder of frames.
    """
    most = _bytes(shard_size)
    store = open_store(store)
    rows = store.rows()
    for row in rows:
        _check_row(store, row)
    dataset = hub_dataset(out)
    if dataset is not None:
        _check_new(dataset)
        with tempfile.TemporaryDirectory(prefix="sign2gpt-shards-") as parent:
            folder = Path(parent) / "shards"
            folder.mkdir()
            sharded = _write(store, rows, folder, dataset.repository, most, progress)
            _upload(folder, dataset)
        return sharded
    target = Path(out)
    if os.path.lexists(target):
        raise UserError(f"{target} is there already; name a new folder for the shards.")
    check_output(target)
    with whole_folder(target) as folder:
        return _write(store, rows, folder, target.name, most, progress)


def _bytes(size: str) -> int:
    """A size as `datasets` writes it; UserError for another, or where that is not installed."""
    try:
        from datasets.utils.py_utils import convert_file_size_to_int
    except ImportError as error:
        raise UserError(
            "Shards need the library datasets; install it with `pip install 'sign2gpt[shards]'`."
        ) from error
    try:
        number = convert_file_size_to_int(size)
    except ValueError:
        number = 0
    if number < 1:
        raise UserError(f"The shard size is {size!r}; give a size such as 500MB or 2GB.")
    return number


def _check_row(store: ClipStore, row: ClipRow) -> None:
    """What can be said of a clip before any work."""
    if not _SPLIT.fullmatch(row.split) or row.split == "all":
        raise UserError(
            f"The split {row.split!r} of {store.name} cannot be one of a dataset; call it by "
            'letters, digits, "_" and ".", and not "all".'
        )
    if not store.has(row):
        raise UserError(
            f"The clip {row.id!r} of {store.name} is missing ({row.path}); fetch it, or take its "
            "row out of the manifest."
        )
    if isinstance(store, FolderStore) and store.clip(row).is_dir():
        raise UserError(
            f"The clip {row.id!r} of {store.name} is a folder of frames, and shards hold video "
            "files; make a store of files first, with `sign2gpt prepare table`."
        )


def _write(
    store: ClipStore,
    rows: Sequence[ClipRow],
    folder: Path,
    title: str,
    most: int,
    progress: Advance | None,
) -> Sharded:
    """Write all shards and the card to an empty folder."""
    by_split: dict[str, list[ClipRow]] = {}
    for row in rows:
        by_split.setdefault(row.split, []).append(row)
    shards, done = {}, 0

    def whole(own: Sequence[ClipRow]) -> Iterator[tuple[ClipRow, bytes]]:
        nonlocal done
        for row in own:
            yield _whole_clip(store, row)
            done += 1
            if progress is not None:
                progress(done, len(rows))

    for split, own in by_split.items():
        unnumbered = _write_split(folder, split, whole(own), most)
        for number, path in enumerate(unnumbered):
            path.rename(folder / shard_name(split, number, len(unnumbered)))
        shards[split] = len(unnumbered)
    size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    clips = {split: len(own) for split, own in by_split.items()}
    sharded = Sharded(clips, shards, size)
    write_whole(folder / "README.md", _card(sharded, folder, title))
    return sharded


def _whole_clip(store: ClipStore, row: ClipRow) -> tuple[ClipRow, bytes]:
    """A clip's content and its row with the checksum; UserError where they do not agree."""
    with open_source(store.clip(row)) as file:
        content = file.read()
    found = hashlib.sha256(content).hexdigest()
    if row.sha256 and found != row.sha256.lower():
        raise UserError(
            f"The clip {row.id!r} of {store.name} has changed since its manifest was written "
            f"({row.path}); fetch it again, or prepare the store again."
        )
    return replace(row, sha256=row.sha256 or found), content


def _write_split(
    folder: Path, split: str, clips: Iterator[tuple[ClipRow, bytes]], most: int
) -> list[Path]:
    """Write the clips of a split in their order; the shards, whose count is known at the end."""
    import pyarrow.parquet as pq

    schema = _schema()
    paths: list[Path] = []
    writer: pq.ParquetWriter | None = None
    group: list[dict[str, Any]] = []
    in_shard = in_group = 0
    try:
        for row, content in clips:
            full = bool(in_shard) and in_shard + len(content) > most
            if group and (full or in_group + len(content) > _GROUP_BYTES):
                _write_group(writer, group, schema)
                group, in_group = [], 0
            if full and writer is not None:
                writer.close()
                writer, in_shard = None, 0
            if writer is None:
                paths.append(folder / shard_name(split, len(paths), 0))
                paths[-1].parent.mkdir(exist_ok=True)
                # A clip does not compress, and a column of them has no common values.
                writer = pq.ParquetWriter(
                    paths[-1],
                    schema,
                    compression={name: "snappy" for name in COLUMNS},
                    use_dictionary=list(COLUMNS),
                    write_statistics=list(COLUMNS),
                )
            video = {"bytes": content, "path": Path(row.path).name}
            group.append({**vars(row), VIDEO: video})
            in_shard, in_group = in_shard + len(content), in_group + len(content)
        _write_group(writer, group, schema)
    finally:
        if writer is not None:
            writer.close()
    return paths


def _write_group(writer: Any, group: list[dict[str, Any]], schema: pa.Schema) -> None:
    import pyarrow as pa

    table = pa.Table.from_pylist(group, schema=schema)
    writer.write_table(table, row_group_size=len(group))


def _features() -> Any:
    """The columns as `datasets` knows them; `video` is not decoded where it is not asked for."""
    from datasets import Features, Video

    columns = Features.from_arrow_schema(arrow_schema())
    return Features({**columns, VIDEO: Video(decode=False)})


def _schema() -> pa.Schema:
    """The columns with what `datasets` and the Hub want to know of them."""
    return _features().arrow_schema


def _card(sharded: Sharded, folder: Path, title: str) -> str:
    """The dataset card: what the Hub shows, and where `datasets` reads which shard is what."""
    from huggingface_hub import DatasetCardData

    total = sum(sharded.clips.values())
    configs = [{"split": split, "path": f"data/{split}-*.parquet"} for split in sharded.clips]
    split_sizes = [
        {
            "name": split,
            "num_bytes": sum(p.stat().st_size for p in folder.glob(f"data/{split}-*-of-*.parquet")),
            "num_examples": count,
        }
        for split, count in sharded.clips.items()
    ]
    data = DatasetCardData(
        pretty_name="Sign-language clips with their sentences",
        task_categories=["translation", "video-classification"],
        tags=["sign-language", "sign2gpt"],
        configs=[{"config_name": "default", "data_files": configs}],
        dataset_info={
            "features": _features()._to_yaml_list(),
            "splits": split_sizes,
            "download_size": sharded.size,
            "dataset_size": sharded.size,
        },
    )
    lines = [
        f"| {split} | {count:,} | {sharded.shards[split]} |"
        for split, count in sharded.clips.items()
    ]
    text = _CARD.format(
        title=title,
        clips=total,
        size=sharded.size / 1e9,
        splits="\n".join(lines),
        columns=", ".join(f"`{name}`" for name in COLUMNS),
        first=next(iter(sharded.clips)),
    )
    return f"---\n{data.to_yaml()}\n---\n{text}"


def _check_new(dataset: HubDataset) -> None:
    """Find out before the work whether a dataset can be made; one left empty may be filled.

    Raises:
        UserError: it is there already, or nobody is logged in.
    """
    from huggingface_hub import HfApi

    if dataset.revision:
        raise UserError(f"Shards are written to no revision; write {dataset} without it.")
    with reaching_hub(dataset):
        api = HfApi()
        api.whoami()
        if not api.repo_exists(dataset.repository, repo_type="dataset"):
            return
        there = api.dataset_info(dataset.repository)
    files = [file.rfilename for file in there.siblings or ()]
    if not there.private or set(files) - {".gitattributes"}:
        raise UserError(f"{dataset} is there already; name a new dataset for the shards.")


def _upload(folder: Path, dataset: HubDataset) -> None:
    """Make a private dataset on the Hub of a folder, its files in one commit."""
    from huggingface_hub import HfApi

    with reaching_hub(dataset):
        api = HfApi()
        api.create_repo(dataset.repository, repo_type="dataset", private=True, exist_ok=True)
        api.upload_folder(
            repo_id=dataset.repository,
            repo_type="dataset",
            folder_path=folder,
            commit_message="Clips as Parquet shards",
        )
