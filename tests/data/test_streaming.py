"""Every clip once an epoch, in an order drawn from the seed, shared out without gap or overlap."""

import sys
from pathlib import Path

import pytest
import torch

from sign2gpt.corpora.shards import make_shards
from sign2gpt.data.dataset import ClipDataset
from sign2gpt.data.streaming import StreamedClips
from sign2gpt.errors import UserError
from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary
from sign2gpt.video.augment import ClipAugment
from sign2gpt.video.processor import SignVideoProcessor

datasets = pytest.importorskip("datasets")

PROCESSOR = SignVideoProcessor(store_size=32, crop_size=32, fit="stretch", max_frames=8)
TRAIN = {f"c{number}" for number in range(7)}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library waits 5 seconds at an epoch's end, for threads that interpreters trip over."""
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0, raising=False)


@pytest.fixture
def shards(video_store: Path, tmp_path: Path) -> Path:
    make_shards(video_store, tmp_path / "shards", shard_size="4KB")
    return tmp_path / "shards"


def streamed(shards: Path, seed: int = 1, **settings: int) -> StreamedClips:
    clips = ClipDataset(shards, "train", PROCESSOR, ClipAugment(), seed=seed)
    return StreamedClips(clips, "train", **settings)


def order(clips: StreamedClips, epoch: int) -> list[str]:
    clips.set_epoch(epoch)
    return [item["id"] for item in clips]


@pytest.mark.parametrize("workers", [0, 2])
def test_every_clip_comes_once_an_epoch_in_the_seeds_order(shards: Path, workers: int) -> None:
    clips = streamed(shards, workers=workers)
    assert len(clips) == 7
    orders = [order(clips, epoch) for epoch in range(2)]
    assert all(sorted(ids) == sorted(TRAIN) for ids in orders)
    assert len({tuple(ids) for ids in orders}) > 1
    assert order(clips, 1) == orders[1]
    assert [order(streamed(shards, workers=workers), epoch) for epoch in range(2)] == orders
    assert [order(streamed(shards, seed=2, workers=workers), epoch) for epoch in range(2)] != orders


def test_items_are_those_of_random_access_to_the_bit(shards: Path) -> None:
    class Named:
        name, version, language = "test", "0", "de"

    clips = ClipDataset(shards, "train", PROCESSOR)
    glosses = [row.text.split() for row in clips.rows]
    vocabulary = PseudoGlossVocabulary.build(glosses, Named(), max_share=1.0)
    labels = {"pseudo_glosses": glosses, "vocabulary": vocabulary}
    clips, apart = (
        ClipDataset(shards, "train", PROCESSOR, ClipAugment(), seed=3, **labels) for _ in range(2)
    )
    stream = StreamedClips(clips, "train", workers=2)
    for epoch in (0, 1):
        stream.set_epoch(epoch)
        apart.set_epoch(epoch)
        expected = {item["id"]: item for item in (apart[k] for k in range(len(apart)))}
        for item in stream:
            other = expected.pop(item["id"])
            assert item.keys() == other.keys() and item["text"] == other["text"]
            assert torch.equal(item["pixel_values"], other["pixel_values"])
            assert torch.equal(item["pseudo_gloss_labels"], other["pseudo_gloss_labels"])
        assert not expected


@pytest.mark.parametrize("shard_size", ["4KB", "1GB"])
def test_two_processes_see_disjoint_halves_that_make_the_whole(
    video_store: Path, tmp_path: Path, shard_size: str
) -> None:
    make_shards(video_store, tmp_path / "shards", shard_size=shard_size)
    halves = [streamed(tmp_path / "shards", rank=rank, world_size=2) for rank in (0, 1)]
    for epoch in range(3):
        seen = [order(half, epoch) for half in halves]
        assert sorted(seen[0] + seen[1]) == sorted(TRAIN)
        assert all(seen)


def test_a_folder_does_not_stream(video_store: Path) -> None:
    with pytest.raises(UserError, match="sign2gpt shards"):
        streamed(video_store)


def test_a_shard_that_goes_under_way_is_one_sentence(shards: Path) -> None:
    clips = streamed(shards)
    shard = sorted(shards.glob("data/train-*"))[1]
    shard.write_bytes(shard.read_bytes()[:50])
    with pytest.raises(UserError, match="cannot be read any more"):
        list(clips)


def test_without_the_library_the_extra_is_named(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install 'sign2gpt\[shards\]'"):
        streamed(shards)
