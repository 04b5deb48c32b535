"""`shards`: all of a store, checked on the way, or nothing and one sentence."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sign2gpt.corpora.check import check
from sign2gpt.corpora.shards import make_shards
from sign2gpt.corpora.words import extract
from sign2gpt.data.manifest import ClipRow, read_manifest, write_manifest
from sign2gpt.data.store import open_store
from sign2gpt.errors import UserError
from sign2gpt.text.taggers import load_tagger
from sign2gpt.video.encode import write_clip


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    (folder / "clips").mkdir(parents=True)
    rows = []
    for number, split in enumerate(("train", "train", "train", "dev.small", "test")):
        path = f"clips/{number}.mp4"
        noise = np.random.default_rng(number).integers(0, 255, (12, 64, 64, 3), np.uint8)
        write_clip(folder / path, noise, 25.0)
        rows.append(
            ClipRow(id=f"{number}", split=split, text="viele regenwolken", path=path, frames=12)
        )
    write_manifest(folder, rows)
    return folder


def changed(store: Path, **values: str) -> None:
    rows = read_manifest(store)
    write_manifest(store, [replace(rows[0], **values), *rows[1:]])


def test_shards_are_no_larger_than_asked_and_the_card_counts_them(
    store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "shards"
    largest = max(path.stat().st_size for path in store.glob("clips/*")) // 1000 + 1
    seen: list[tuple[int, int]] = []
    made = make_shards(
        store, out, shard_size=f"{largest}KB", progress=lambda *done: seen.append(done)
    )
    assert made.clips == {"train": 3, "dev.small": 1, "test": 1}
    assert made.shards == {"train": 3, "dev.small": 1, "test": 1}
    assert made.size == sum(path.stat().st_size for path in out.glob("data/*"))
    assert seen == [(done, 5) for done in range(1, 6)]
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "| train | 3 | 3 |" in card and "split: dev.small" in card and "`sha256`" in card
    assert str(tmp_path) not in card
    assert make_shards(store, tmp_path / "one").shards["train"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {"store", "deep", "one"}


def test_clips_without_a_checksum_get_theirs(store: Path, tmp_path: Path) -> None:
    make_shards(store, tmp_path / "shards")
    rows = open_store(tmp_path / "shards").rows()
    assert all(len(row.sha256) == 64 for row in rows)
    assert not [f for f in check(tmp_path / "shards", workers=1).findings if f.level == "error"]


def test_shards_can_be_sharded_anew(store: Path, tmp_path: Path) -> None:
    make_shards(store, tmp_path / "small", shard_size="1KB")
    make_shards(tmp_path / "small", tmp_path / "large")
    small, large = (open_store(tmp_path / name) for name in ("small", "large"))
    assert small.rows() == large.rows()
    assert all(small.clip(row).content == large.clip(row).content for row in small.rows())


def test_check_and_pseudo_gloss_find_in_shards_what_they_find_in_the_folder(
    store: Path, tmp_path: Path
) -> None:
    make_shards(store, tmp_path / "shards")
    found = check(tmp_path / "shards", workers=1)
    assert found.splits == {"train": 3, "dev.small": 1, "test": 1}
    texts = [finding.text for finding in found.findings]
    assert sorted(texts) == sorted(finding.text for finding in check(store, workers=1).findings)
    tagger = load_tagger("plain:de")
    words = [extract([place], tagger, max_share=1) for place in (store, tmp_path / "shards")]
    assert words[0].glosses == words[1].glosses and words[0].vocabulary.words


def test_check_finds_a_clip_that_changed_in_its_shard(store: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    make_shards(store, tmp_path / "shards")
    (shard,) = (tmp_path / "shards" / "data").glob("train*")
    table = pq.read_table(shard)
    swapped = table.column("video").take([1, 0, 2])
    pq.write_table(table.set_column(table.schema.get_field_index("video"), "video", swapped), shard)
    errors = [f for f in check(tmp_path / "shards", workers=1).findings if f.level == "error"]
    assert [(error.text, error.clips) for error in errors] == [
        ("2 clips changed since the manifest was written.", ["0", "1"])
    ]


def missing(store: Path) -> None:
    (store / "clips" / "2.mp4").unlink()


def other(store: Path) -> None:
    changed(store, sha256="0" * 64)


def frames(store: Path) -> None:
    (store / "clips" / "frames").mkdir()
    Image.new("RGB", (8, 8)).save(store / "clips" / "frames" / "0.png")
    changed(store, path="clips/frames")


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (missing, "clip '2' of .* is missing"),
        (lambda store: changed(store, path="n" * 300), "clip '0' of .* is missing"),
        (other, "clip '0' of .* has changed since its manifest was written"),
        (frames, "clip '0' of .* is a folder of frames.*sign2gpt prepare"),
        (lambda store: changed(store, split="a-b"), "split 'a-b' .* cannot be one of a dataset"),
        (lambda store: changed(store, split="all"), "split 'all' .* cannot be one of a dataset"),
    ],
)
def test_a_clip_that_cannot_go_in_leaves_nothing_behind(
    store: Path, tmp_path: Path, harm, sentence: str
) -> None:
    harm(store)
    with pytest.raises(UserError, match=sentence):
        make_shards(store, tmp_path / "out" / "shards")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_place_that_is_taken_stays_as_it_is(store: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="out is there already"):
        make_shards(store, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("size", ["0", "much", "-5MB"])
def test_a_wrong_size_is_refused(store: Path, tmp_path: Path, size: str) -> None:
    with pytest.raises(UserError, match="give a size such as 500MB"):
        make_shards(store, tmp_path / "out", shard_size=size)


def test_the_hub_out_of_reach_is_one_sentence(store: Path) -> None:
    with pytest.raises(UserError, match="hf://datasets/no/such cannot be reached on the Hub"):
        make_shards(store, "hf://datasets/no/such")
    with pytest.raises(UserError, match="to no revision"):
        make_shards(store, "hf://datasets/no/such@main")


def test_without_the_library_the_extra_is_named(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets.utils.py_utils", None)
    with pytest.raises(UserError, match=r"pip install 'sign2gpt\[shards\]'"):
        make_shards(store, tmp_path / "out")
