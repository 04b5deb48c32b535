"""Leaving undecoded what no wanted frame needs: fewer packets, the same frames bit for bit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from sign2gpt.video.decode import read_clip
from sign2gpt.video.encode import STORE_OPTIONS, write_clip
from sign2gpt.video.packets import VideoPackets
from sign2gpt.video.timeline import file_timeline

FRAMES = 31
ENCODINGS = {
    "store": STORE_OPTIONS,
    "pyramid": {"preset": "veryfast", "x264-params": "bframes=3:b-pyramid=normal:b-adapt=0"},
    "many": {"preset": "veryfast", "x264-params": "bframes=7:b-adapt=2:keyint=9:slices=2"},
    "none": {"preset": "ultrafast", "x264-params": "bframes=0"},
    "open": {"preset": "veryfast", "x264-params": "open-gop=1:keyint=8:bframes=2"},
    "fields": {"preset": "veryfast", "x264-params": "interlaced=1:bframes=2"},
}


def moving_noise() -> Iterator[np.ndarray]:
    texture = np.random.default_rng(0).integers(0, 256, (64, 160, 3), dtype=np.uint8)
    for index in range(FRAMES):
        yield texture[:, 3 * index : 3 * index + 64]


@pytest.fixture(params=ENCODINGS)
def clip(request: Any, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.mp4"
    write_clip(path, moving_noise(), 25, ENCODINGS[request.param])
    return path


def every_frame(path: Path) -> np.ndarray:
    """All frames, decoded one after the other with nothing left out."""
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        images = [f.reformat(format="rgb24", interpolation="AREA").to_ndarray() for f in frames]
    return np.stack(images)


@pytest.mark.parametrize("fps", [25, 12.5, 25 / 3, 5, 1])
def test_frames_are_those_of_a_whole_decoding(clip: Path, fps: float) -> None:
    wanted = every_frame(clip)[:: round(25 / fps)]
    read = read_clip(clip, fps=fps)
    assert np.array_equal(read.frames, wanted) and read.damaged == ()


@pytest.mark.parametrize("start", [0.04, 0.36, 0.8])
def test_a_span_of_a_whole_file_is_not_damaged(clip: Path, start: float) -> None:
    read = read_clip(clip, span=(start, None))
    assert np.array_equal(read.frames, every_frame(clip)[round(start * 25) :])
    assert read.damaged == ()


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"x264-params": "open-gop=1:keyint=12:min-keyint=6:bframes=3:b-adapt=0"}),
        ("mpeg4", {"g": "12", "bf": "2"}),
    ],
)
def test_a_span_far_into_a_file_has_the_files_pictures(
    tmp_path: Path, codec: str, options: dict[str, str], suffix: str
) -> None:
    # Just before a key frame, what is found by its time of decoding is the one after.
    path = tmp_path / f"clip.{suffix}"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for picture in (*moving_noise(), *moving_noise(), *moving_noise()):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    whole = every_frame(path)
    for first in range(25, 61):
        read = read_clip(path, span=(first / 25, (first + 4) / 25))
        assert np.array_equal(read.frames, whole[first : first + 4]) and not read.damaged


def test_what_the_decoder_mends_is_told(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, moving_noise(), 25)
    with av.open(str(path)) as container:
        packets = [(p.pts * p.time_base, p.pos, p.size) for p in container.demux(video=0) if p.size]
    time, position, size = max(packet for packet in packets if packet[0] < 0.6)
    data = bytearray(path.read_bytes())
    data[position + size // 3 : position + size] = bytes(size - size // 3)
    path.write_bytes(data)  # lost, and zeros in their place
    read = read_clip(path)
    assert len(read.frames) == FRAMES and read.damaged[0] == pytest.approx(float(time))
    assert read_clip(path, span=(0, float(time) - 0.1)).damaged == ()
    assert read_clip(path, span=(float(time) + 0.08, None)).damaged[0] == 0  # refers to it


@pytest.mark.parametrize("cap", [1, 2, 7])
def test_a_cap_leaves_no_needed_frame_out(clip: Path, cap: int) -> None:
    read = read_clip(clip, max_frames=cap)
    chosen = np.rint(read.times * 25).astype(int)
    assert np.array_equal(read.frames, every_frame(clip)[chosen])


def test_at_half_the_rate_half_of_a_stored_clip_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, moving_noise(), 25)
    packets = VideoPackets(path)
    timeline = file_timeline(packets)
    assert timeline.unreferenced is not None
    assert timeline.unreferenced.tolist() == [index % 2 == 1 for index in range(FRAMES)]
    unneeded = timeline.unneeded(np.arange(0, FRAMES, 2))
    frames = list(packets.decode(unwanted=unneeded))
    assert len(unneeded) == FRAMES // 2 and len(frames) == FRAMES - FRAMES // 2
    # Where the frames between are the wanted ones, they and those they refer to are decoded.
    assert not timeline.unneeded(np.arange(1, FRAMES, 2))


def test_the_frame_types_of_the_encoder_agree(clip: Path) -> None:
    # What says that it is referred to by none is a B picture; the reverse does not hold.
    timeline = file_timeline(VideoPackets(clip))
    assert timeline.unreferenced is not None
    with av.open(str(clip)) as container:
        kinds = [PictureType(frame.pict_type).name for frame in container.decode(video=0)]
    assert {kinds[i] for i in np.flatnonzero(timeline.unreferenced)} <= {"B"}


def test_other_codecs_leave_nothing_out(write_clip: Any) -> None:
    timeline = file_timeline(VideoPackets(write_clip("clip.webm", 6)))
    assert not timeline.unneeded(np.array([0]))
