"""Whatever lies on disk becomes a store: resumed, idempotent, with what failed listed."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sign2gpt.corpora.corpus import SourceClip
from sign2gpt.corpora.phoenix14t import PIXEL_SHAPE
from sign2gpt.corpora.prepare import prepare
from sign2gpt.data.manifest import read_manifest
from sign2gpt.errors import UserError
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
        SourceClip(id="past", split="train", text="x", clip=video, span=(7.0, 8.0)),
    ]
    done = prepare(clips, tmp_path / "store", "mine", {}, workers=1)
    rows = read_manifest(tmp_path / "store")
    assert [(row.id, row.frames, row.annotated_frames) for row in rows] == [
        ("a/b", 7, 7), ("end", 5, 10)
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
    gone = SourceClip(id="g", split="dev", text="x", clip=tmp_path / "gone")
    with pytest.raises(UserError, match="None of the 1 clips can be read"):
        prepare([gone], tmp_path / "empty", "mine", {}, workers=1)
