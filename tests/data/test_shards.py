"""Shards give back the rows and clips that went in, any one at any time, or say what is wrong."""

import hashlib
import pickle
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader

from sign2gpt.corpora.shards import make_shards
from sign2gpt.data.collator import ClipCollator
from sign2gpt.data.dataset import ClipDataset
from sign2gpt.data.manifest import COLUMNS, read_manifest, write_manifest
from sign2gpt.data.store import open_store
from sign2gpt.errors import UserError
from sign2gpt.video.augment import ClipAugment
from sign2gpt.video.processor import SignVideoProcessor

PROCESSOR = SignVideoProcessor(store_size=32, crop_size=32, fit="stretch", max_frames=8)


@pytest.fixture
def shards(video_store: Path, tmp_path: Path) -> Path:
    make_shards(video_store, tmp_path / "shards", shard_size="4KB")
    return tmp_path / "shards"


def first_shard(shards: Path) -> Path:
    return sorted(shards.glob("data/train-*.parquet"))[0]


def change(shard: Path, how: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(how(pq.read_table(shard)), shard)


def test_rows_and_clips_are_those_of_the_folder_at_any_index(
    video_store: Path, shards: Path
) -> None:
    store = open_store(shards)
    assert len(list(shards.glob("data/train-*.parquet"))) > 2
    for split in ("train", "dev"):
        assert store.rows(split) == read_manifest(video_store, split)
    rows = [*store.rows(), *store.rows()]
    random.Random(0).shuffle(rows)
    for row in rows:
        clip = store.clip(row)
        assert clip.content == row.file(video_store).read_bytes()
        assert hashlib.sha256(clip.content).hexdigest() == row.sha256


def test_one_clip_costs_its_row_group_alone(video_store: Path, tmp_path: Path) -> None:
    """The rest of the shard may be rubbish."""
    rows = read_manifest(video_store)
    big = [replace(row, split="train", sha256="") for row in rows]
    for row in big:
        row.file(video_store).write_bytes(random.Random(row.id).randbytes(1_500_000))
    write_manifest(video_store, big)
    make_shards(video_store, tmp_path / "one")
    (shard,) = (tmp_path / "one" / "data").iterdir()
    footer = pq.read_metadata(shard)
    assert footer.num_row_groups == len(big)
    last = footer.row_group(footer.num_row_groups - 1)
    begin = min(last.column(k).data_page_offset for k in range(last.num_columns)) - 4096
    store = open_store(tmp_path / "one")
    with shard.open("r+b") as file:
        file.write(b"\0" * begin)
    row = store.rows()[-1]
    assert store.clip(row).content == row.file(video_store).read_bytes()


def test_items_are_those_of_the_folder_in_workers_too(video_store: Path, shards: Path) -> None:
    datasets = [
        ClipDataset(place, "train", PROCESSOR, ClipAugment(), seed=5)
        for place in (video_store, shards, pickle.loads(pickle.dumps(open_store(shards))))
    ]
    batches = [
        list(DataLoader(d, 4, collate_fn=ClipCollator(with_ids=True), num_workers=workers))
        for d, workers in zip(datasets, (0, 2, 0), strict=True)
    ]
    for other in batches[1:]:
        for ours, theirs in zip(batches[0], other, strict=True):
            assert ours["ids"] == theirs["ids"]
            assert torch.equal(ours["pixel_values"], theirs["pixel_values"])


def test_the_datasets_library_reads_them_with_clips_as_videos(
    video_store: Path, shards: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    found = datasets.load_dataset(str(shards), split="dev", streaming=True)
    assert found.features["video"] == datasets.Video(decode=False)
    assert list(found.features) == [*COLUMNS, "video"]
    rows = read_manifest(video_store, "dev")
    for row, example in zip(rows, found, strict=True):
        video = example.pop("video")
        assert example == vars(row)
        content = row.file(video_store).read_bytes()
        assert video == {"bytes": content, "path": Path(row.path).name}


def test_shards_of_others_need_no_more_than_id_text_and_video(tmp_path: Path) -> None:
    video = {"bytes": b"abc", "path": None}
    table = pa.Table.from_pylist([{"id": "a/1", "text": "regen", "video": video}])
    pq.write_table(table, tmp_path / "train-00000-of-00001.parquet")
    store = open_store(tmp_path)
    (row,) = store.rows("train")
    assert (row.id, row.text, row.split) == ("a/1", "regen", "train")
    assert store.clip(row).content == b"abc"


def without(*names: str) -> Callable[[Path], None]:
    return lambda shards: change(first_shard(shards), lambda table: table.drop_columns([*names]))


def videos_of(value: object) -> Callable[[Path], None]:
    def changed(table: pa.Table) -> pa.Table:
        return table.drop_columns(["video"]).append_column("video", pa.array([value] * len(table)))

    return lambda shards: change(first_shard(shards), changed)


def cut(shards: Path) -> None:
    shard = first_shard(shards)
    shard.write_bytes(shard.read_bytes()[:-100])


def elsewhere(shards: Path) -> None:
    for shard in shards.glob("data/dev-*"):
        shard.rename(shard.with_name(shard.name.replace("dev", "test")))


def twice(shards: Path) -> None:
    change(first_shard(shards), lambda table: pa.concat_tables([table, table]))


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (without("video"), "train-00000-of-.* has no column 'video'; there are id, split"),
        (without("id"), "has no column 'id'"),
        (without("text"), "has no column 'text'"),
        (videos_of("a.mp4"), "'video' of .* is string, not a clip's bytes"),
        (videos_of({"bytes": "abc"}), "is struct<bytes: string>, not a clip's bytes"),
        (videos_of({"bytes": 7}), "is struct<bytes: int64>, not a clip's bytes"),
        (videos_of({"bytes": [b"abc"]}), "not a clip's bytes"),
        (cut, "train-00000-of-.* is missing, cut short or damaged"),
        (lambda shards: first_shard(shards).unlink(), "lacks the shard data/train-00000-of-"),
        (elsewhere, "row 1: a clip of dev in a shard of test"),
        (twice, "the id 'c[0-9]' was taken"),
    ],
)
def test_what_is_wrong_is_said_when_the_shards_are_opened(
    shards: Path, harm: Callable[[Path], None], sentence: str
) -> None:
    harm(shards)
    with pytest.raises(UserError, match=sentence):
        open_store(shards)


def test_an_unknown_split_is_named_with_the_known_ones(shards: Path) -> None:
    with pytest.raises(UserError, match="no split 'x', only dev, train; prepare"):
        open_store(shards).rows("x")


@pytest.mark.parametrize("video", [None, {"bytes": None, "path": "a.mp4"}])
def test_a_clip_without_bytes_or_a_shard_that_went_is_named(
    shards: Path, video: dict[str, str | None] | None
) -> None:
    def emptied(table: pa.Table) -> pa.Table:
        kind = table.schema.field("video").type
        none = pa.array([video] * len(table), kind)
        return table.drop_columns(["video"]).append_column("video", none)

    change(first_shard(shards), emptied)
    store = open_store(shards)
    row = store.rows("train")[0]
    with pytest.raises(UserError, match=f"clip '{row.id}' has no bytes in .*train-00000"):
        store.clip(row)
    first_shard(shards).unlink()
    with pytest.raises(UserError, match=r"train-00000-of-.* is missing, cut short or damaged"):
        store.clip(row)


def test_a_damaged_clip_is_named_by_row_and_shard(video_store: Path, tmp_path: Path) -> None:
    rows = [replace(row, sha256="") for row in read_manifest(video_store)]
    clip = rows[1].file(video_store)
    clip.write_bytes(clip.read_bytes()[:-200])
    write_manifest(video_store, rows)
    make_shards(video_store, tmp_path / "cut")
    dataset = ClipDataset(tmp_path / "cut", "train", PROCESSOR)
    with pytest.raises(
        UserError, match=r"Row 'c1' of .*: The clip c1 in .*train-00000.* cut short"
    ):
        dataset[1]


def test_a_dataset_in_the_hubs_cache_is_read_offline(
    video_store: Path, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    folder, commit = cache / "datasets--someone--signs", "0" * 40
    shutil.copytree(shards, folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    for address in ("hf://datasets/someone/signs", Path("hf://datasets/someone/signs@main")):
        store = open_store(address)
        assert store.name.startswith("hf://datasets/someone/signs")
        assert store.rows("train") == read_manifest(video_store, "train")
        row = store.rows("train")[2]
        assert store.clip(row).content == row.file(video_store).read_bytes()


@pytest.mark.parametrize("stream", [False, True])
def test_the_hub_out_of_reach_is_one_sentence(stream: bool) -> None:
    with pytest.raises(UserError, match="hf://datasets/no/such cannot be reached on the Hub"):
        open_store("hf://datasets/no/such", stream=stream)


def test_an_address_that_is_no_dataset_is_refused() -> None:
    for address in ("hf://someone/signs", "hf://datasets/signs", "hf://models/a/b"):
        with pytest.raises(UserError, match="write hf://datasets/USER/NAME"):
            open_store(address)


def test_shards_that_change_under_an_open_store_are_noticed(shards, tmp_path):
    """Rows stay where they were, or it is an error: never another clip by a row's name."""
    import pyarrow.parquet as pq

    copy = shutil.copytree(shards, tmp_path / "copy")
    store = open_store(copy)
    row = store.rows()[0]
    assert store.clip(row).content
    file = next(copy.glob(f"data/{row.split}-*.parquet"))
    table = pq.read_table(file)
    pq.write_table(table.take(list(reversed(range(len(table))))), file, row_group_size=1)
    for one in (store, pickle.loads(pickle.dumps(store))):
        with pytest.raises(UserError, match=r"changed|damaged"):
            one.clip(row)
    with pytest.raises(UserError, match="no clip 'nobody'"):
        store.clip(replace(row, id="nobody"))


def test_a_split_that_the_card_names_must_be_there(shards, tmp_path):
    copy = shutil.copytree(shards, tmp_path / "copy")
    for file in copy.glob("data/dev-*.parquet"):
        file.unlink()
    with pytest.raises(UserError, match=r"0 clips of dev where its README.md says"):
        open_store(copy)


@pytest.mark.parametrize(
    "card",
    [
        b"---\na: [\n---\n",
        b"---\n- a\n---\n",
        b"\xff\xfe\xff",
        b"---\ndataset_info:\n  splits: [1, 2]\n---\n",
    ],
)
def test_a_card_that_is_none_is_named(shards, tmp_path, card):
    copy = shutil.copytree(shards, tmp_path / "copy")
    (copy / "README.md").write_bytes(card)
    with pytest.raises(UserError, match=r"README.md is damaged .*; mend .* or remove it"):
        open_store(copy)


def test_what_lies_elsewhere_is_no_shard(shards, tmp_path):
    copy = shutil.copytree(shards, tmp_path / "copy")
    shutil.copytree(copy / "data", copy / "other")
    assert len(open_store(copy).rows()) == len(open_store(shards).rows())
