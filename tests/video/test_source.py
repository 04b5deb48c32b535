"""A video file's content gives the frames that the file gives, and is as closely looked at."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sign2gpt.errors import UserError
from sign2gpt.video.decode import probe_clip, read_clip
from sign2gpt.video.processor import SignVideoProcessor
from sign2gpt.video.source import ClipBytes

Writer = Callable[..., Path]


def content(path: Path, length: int | None = None) -> ClipBytes:
    return ClipBytes("the clip of a shard", path.read_bytes()[:length])


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.gif"])
def test_content_reads_as_its_file(write_clip: Writer, name: str) -> None:
    path = write_clip(name, frames=12)
    for settings in ({}, {"fps": 12.5}, {"span": (0.1, 0.3)}, {"max_frames": 3}):
        file, memory = read_clip(path, **settings), read_clip(content(path), **settings)
        assert np.array_equal(file.frames, memory.frames)
        assert np.array_equal(file.times, memory.times)
        assert (file.fps, file.duration) == (memory.fps, memory.duration)
    assert probe_clip(path) == probe_clip(content(path))
    processor = SignVideoProcessor(store_size=32, crop_size=28)
    pixels = [processor(video)["pixel_values"] for video in (path, content(path))]
    assert (pixels[0] == pixels[1]).all()


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.gif"])
def test_content_that_breaks_off_is_refused(write_clip: Writer, name: str) -> None:
    path = write_clip(name, frames=30)
    with pytest.raises(UserError, match=r"The clip the clip of a shard is .*cut short"):
        read_clip(content(path, length=path.stat().st_size * 3 // 4))


@pytest.mark.parametrize("junk", [b"", b"no video at all\n" * 20])
def test_what_is_no_video_is_refused(junk: bytes) -> None:
    with pytest.raises(UserError, match="The clip c1 is"):
        read_clip(ClipBytes("c1", junk))
