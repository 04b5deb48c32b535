"""Whatever lies on disk becomes a store: resumed, idempotent, with what failed listed."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sign2gpt.corpora.check import check
from sign2gpt.corpora.corpus import SourceClip
from sign2gpt.corpora.phoenix14t import PIXEL_SHAPE
from sign2gpt.corpora.prepare import prepare
from sign2gpt.corpora.table import TableColumns, read_any_table
from sign2gpt.data.manifest import read_manifest
from sign2gpt.errors import UserError
from sign2gpt.files import sha256_of
from sign2gpt.video.decode import read_clip
from sign2gpt.video.encode import write_clip


def frames(count: int, height: int = 40, width: int = 30) -> np.ndarray:
    levels = 20 + 9 * np.arange(count, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def folder_clip(root: Path, name: str, split: str = "train", count: int = 5) -> SourceClip:
    folder = root / name
    folder.mkdir(parents=True)
    for index, picture in enumerate(frames(count)):
        Image.fromarray(picture).save(folder / f"images{index:04d}.png")
    return SourceClip(
        id=name, split=split, text=f"satz {name}", clip=folder, fps=25.0, pixel_shape=PIXEL_SHAPE
    )


def test_a_corpus_becomes_a_store(tmp_path: Path) -> None:
    clips = [folder_clip(tmp_path / "src", name) for name in ("a", "b")]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    clips.append(SourceClip(id="c", split="dev", text="x", clip=broken))
    done = prepare(clips, tmp_path / "store", "mine", {"from": "src"}, workers=1)
    assert (done.rows, done.made, [u.id for u in done.unreadable]) == (2, 2, ["c"])
    row = read_manifest(tmp_path / "store")[0]
    assert (row.frames, row.fps, row.width, row.height, row.source) == (5, 25.0, 30, 40, "mine")
    with av.open(str(row.file(tmp_path / "store"))) as container:
        assert container.streams.video[0].sample_aspect_ratio == PIXEL_SHAPE
    read = read_clip(row.file(tmp_path / "store")).frames
    assert np.abs(read.astype(int) - frames(5)).mean() < 3
    report = json.loads((tmp_path / "store" / "prepare.report.json").read_text())
    assert "not a video" in report["unreadable"][0]["reason"]


def test_damaged_videos_are_told(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    write_clip(video, iter(np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), np.uint8)), 25)
    with av.open(str(video)) as container:
        position, size = next((p.pos, p.size) for p in container.demux(video=0) if p.size)
    data = bytearray(video.read_bytes())
    data[position + size // 3 : position + size] = bytes(size - size // 3)
    video.write_bytes(data)
    clips = [
        folder_clip(tmp_path / "src", "b"),
        SourceClip(id="a", split="train", text="satz", clip=video),
    ]
    for _ in range(2):  # the second time nothing is made, and it is told nevertheless
        assert prepare(clips, tmp_path / "store", "mine", {}, workers=1).damaged == ["a"]
        report = json.loads((tmp_path / "store" / "prepare.report.json").read_text())
        assert report["damaged"] == ["a"]
        assert ["a"] in [finding.clips for finding in check(tmp_path / "store", workers=1).findings]
    (tmp_path / "store" / "clips" / "a.mp4").unlink()
    write_clip(video, iter(frames(9, 64, 64)), 25)
    assert prepare(clips, tmp_path / "store", "mine", {}, workers=1).damaged == []


def test_two_runs_do_not_prepare_the_same_store(tmp_path: Path) -> None:
    clips = [folder_clip(tmp_path / "src", name) for name in ("a", "b")]
    store, refused = tmp_path / "store", []

    def meeting(done: int, _: int, what: str | None = None) -> None:
        with pytest.raises(UserError, match=r"Another run is preparing .*store; wait"):
            prepare(clips, store, "mine", {}, workers=1)
        refused.append(done)

    prepare(clips, store, "mine", {}, workers=1, progress=meeting)
    assert refused == [1, 2] and len(read_manifest(store)) == 2
    assert {path.name for path in store.iterdir()} == {
        "clips", "manifest.parquet", "prepare.json", "prepare.report.json"
    }  # fmt: skip
    assert prepare(clips, store, "mine", {}, workers=1).rows == 2


def test_it_goes_on_where_it_was_and_mends_what_failed(tmp_path: Path) -> None:
    clips = [folder_clip(tmp_path / "src", name) for name in ("a", "b", "c")]
    late = SourceClip(id="d", split="dev", text="x", clip=tmp_path / "late.mp4")
    store = tmp_path / "store"
    prepare([*clips, late], store, "mine", {}, workers=1)
    (store / "clips" / "b.mp4").unlink()
    (store / "clips" / ".c.mp4.99").touch()  # of a process that was killed
    before = (store / "clips" / "a.mp4").stat().st_mtime_ns
    write_clip(tmp_path / "late.mp4", frames(4), 25)
    done = prepare([*clips, late], store, "mine", {}, workers=1)
    assert (done.rows, done.made, done.unreadable) == (4, 2, [])
    assert (store / "clips" / "a.mp4").stat().st_mtime_ns == before
    assert not list((store / "clips").glob(".*"))
    manifest = (store / "manifest.parquet").read_bytes()
    assert prepare([*clips, late], store, "mine", {}, workers=2).made == 0
    assert (store / "manifest.parquet").read_bytes() == manifest


def test_clips_are_cut_out_of_longer_videos(tmp_path: Path) -> None:
    video = tmp_path / "long.mp4"
    write_clip(video, frames(20), 10)
    clips = [
        SourceClip(id="a/b", split="train", text="x", clip=video, span=(0.5, 1.2)),
        SourceClip(id="end", split="train", text="x", clip=video, span=(1.5, 2.5)),
        SourceClip(id="odd", split="train", text="x", clip=video, span=(0.55, 1.2)),
        SourceClip(id="past", split="train", text="x", clip=video, span=(7.0, 8.0)),
    ]
    done = prepare(clips, tmp_path / "store", "mine", {}, workers=1)
    rows = read_manifest(tmp_path / "store")
    assert [(row.id, row.frames, row.annotated_frames) for row in rows] == [
        ("a/b", 7, 7), ("end", 5, 10), ("odd", 6, 6)
    ]  # fmt: skip
    assert done.short == ["end"]
    assert "ends at 2.00 s" in done.unreadable[0].reason
    first = read_clip(rows[0].file(tmp_path / "store")).frames[0].mean()
    assert abs(first - frames(20)[5].mean()) < 3


def test_large_frames_are_made_small_and_keep_their_shape(tmp_path: Path) -> None:
    write_clip(tmp_path / "wide.mp4", frames(3, 360, 640), 30)
    clip = SourceClip(id="w", split="train", text="x", clip=tmp_path / "wide.mp4")
    prepare([clip], tmp_path / "store", "mine", {}, workers=1)
    (row,) = read_manifest(tmp_path / "store")
    assert (row.height, row.width, row.fps) == (256, 456, 30.0)


def test_what_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    clip = folder_clip(tmp_path / "src", "a")
    with pytest.raises(UserError, match="twice"):
        prepare([clip, clip], tmp_path / "store", "mine", {})
    assert not (tmp_path / "store").exists()
    prepare([clip], tmp_path / "store", "mine", {}, workers=1)
    with pytest.raises(UserError, match="prepared from something else"):
        prepare([clip], tmp_path / "store", "other", {})
    for name in ("data", "config.json", "manifest.csv"):  # of shards, a model, a store
        foreign = tmp_path / f"of {name}"
        (foreign / name).mkdir(parents=True)
        with pytest.raises(UserError, match=f"other files \\({name}"):
            prepare([clip], foreign, "mine", {})
    gone = SourceClip(id="g", split="dev", text="x", clip=tmp_path / "gone")
    with pytest.raises(UserError, match="None of the 1 clips can be read"):
        prepare([gone], tmp_path / "empty", "mine", {}, workers=1)


def test_one_bad_row_does_not_stop_the_rest(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", frames(9), 10)
    table = tmp_path / "t.csv"
    rows = {  # path, text, split, start, end: why there is no clip
        "a.mp4,x,train,0,0.5": "",
        "a.mp4,x,train,0,1e18": "end at 1e+18 s",
        "a.mp4,x,train,1e18,2e18": "start at 1e+18 s",
        "a.mp4,x,train,soon,1": "time stamp is 'soon'",
        f"{'n' * 300},x,train,0,1": "There is no clip",
        "a.mp4, ,train,0,0.2": "has no sentence",
        ",x,train,0,1": "nothing stands in the column 'path'",
        ".,x,train,0,1": "'.' is no clip",
        "/,x,train,0,1": "'/' is no clip",
        "a.mp4,x,,0,1": "nothing stands in the column 'split'",
    }
    table.write_text("path,text,split,start,end\n" + "\n".join(rows) + "\n")
    found = read_any_table(table, TableColumns(start="start", end="end"))
    done = prepare(found, tmp_path / "store", "table", {}, workers=1)
    assert [row.id for row in read_manifest(tmp_path / "store")] == ["a@0-0.5"]
    report = json.loads((tmp_path / "store" / "prepare.report.json").read_text())
    reasons = [clip["reason"] for clip in report["unreadable"]]
    assert len(reasons) == len(done.unreadable) == len(rows) - 1
    for reason, wanted in zip(reasons, list(rows.values())[1:], strict=True):
        assert wanted in reason


def test_rows_with_nothing_in_a_column_are_listed(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", frames(9), 10)
    good = {"path": "a.mp4", "text": "x", "split": "dev", "fps": ""}
    wrong = {"path": None, "text": None, "split": None, "fps": 1e-9}
    records = [good, *({**good, name: value} for name, value in wrong.items())]
    table = tmp_path / "t.jsonl"
    table.write_text("\n".join(map(json.dumps, [{**r, "n": n} for n, r in enumerate(records)])))
    found = read_any_table(table, TableColumns(id="n", fps="fps"))
    done = prepare(found, tmp_path / "store", "table", {}, workers=1)
    assert done.rows == 1
    assert [clip.id for clip in done.unreadable] == ["line 2: 1", "2", "line 4: 3", "line 5: 4"]


@pytest.mark.parametrize("text", [["a", "b"], {"de": "x"}, True, math.nan])
def test_what_is_no_text_becomes_no_sentence(tmp_path: Path, text: object) -> None:
    write_clip(tmp_path / "a.mp4", frames(9), 10)
    rows = [{"path": "a.mp4", "split": "dev", "id": 1, "text": t} for t in ("x", text)]
    rows[1]["id"] = 2
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = read_any_table(tmp_path / "t.jsonl", TableColumns(id="id"))
    done = prepare(found, tmp_path / "store", "table", {}, workers=1)
    assert [row.text for row in read_manifest(tmp_path / "store")] == ["x"]
    ((reason),) = [clip.reason for clip in done.unreadable]
    assert "is no text" in reason or "has no sentence" in reason


@pytest.mark.parametrize("number", [10**30, -1])
def test_an_impossible_number_of_frames_is_listed(tmp_path: Path, number: int) -> None:
    clip = folder_clip(tmp_path / "src", "a")
    wrong = replace(folder_clip(tmp_path / "src", "b"), annotated_frames=number)
    done = prepare([clip, wrong], tmp_path / "store", "mine", {}, workers=1)
    ((name, reason),) = [(clip.id, clip.reason) for clip in done.unreadable]
    assert name == "b" and "number of frames" in reason and done.rows == 1


@pytest.mark.parametrize("harm", [lambda whole: whole[:99], lambda whole: whole[:-1] + b"!"])
def test_a_stored_clip_that_is_damaged_is_made_anew(
    tmp_path: Path, harm: Callable[[bytes], bytes]
) -> None:
    clips = [folder_clip(tmp_path / "src", name) for name in ("a", "b")]
    store = tmp_path / "store"
    prepare(clips, store, "mine", {}, workers=1)
    stored = store / "clips" / "a.mp4"
    whole = stored.read_bytes()
    stored.write_bytes(harm(whole))
    assert prepare(clips, store, "mine", {}, workers=1).made == 1
    noted = {row.path: row.sha256 for row in read_manifest(store)}
    assert sha256_of(stored) == noted["clips/a.mp4"]
    assert len(read_clip(stored).frames) == len(list((tmp_path / "src" / "a").iterdir()))
    stored.write_bytes(b"cut")
    (store / "manifest.parquet").unlink()  # as if the first call had been stopped
    assert prepare(clips, store, "mine", {}, workers=1).made == 1


def test_pictures_of_differing_sizes_are_no_clip(tmp_path: Path) -> None:
    clip = folder_clip(tmp_path / "src", "a")
    Image.new("RGB", (50, 40)).save(clip.clip / "images0003.png")
    with pytest.raises(UserError, match=r"images0003\.png is of another size \(50 x 40\)"):
        prepare([clip], tmp_path / "store", "mine", {}, workers=1)
