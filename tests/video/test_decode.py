"""Clips of every make come out upright, at the asked rate, or with a sentence on what is wrong."""

import math
import os
import struct
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from sign2gpt.errors import UserError
from sign2gpt.video.decode import probe_clip, read_clip

Numbers = Callable[[np.ndarray], list[int]]
Writer = Callable[..., Path]


def write_folder(folder: Path, frames: int, suffix: str = ".png") -> Path:
    folder.mkdir()
    for index in range(frames):
        image = Image.new("RGB", (64, 48), (6 * index,) * 3)
        image.save(folder / f"images{index + 1}{suffix}")
    return folder


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".avi", ".mkv", ".mov"])
@pytest.mark.parametrize("frames", [1, 2, 9, 10])
def test_half_the_rate_is_every_second_frame(
    write_clip: Writer, read_numbers: Numbers, suffix: str, frames: int
) -> None:
    path = write_clip(f"clip{suffix}", frames)
    clip = read_clip(path, fps=12.5)
    assert read_numbers(clip.frames) == list(range(0, frames, 2))
    assert len(clip.frames) == math.ceil(frames / 2)
    np.testing.assert_allclose(clip.times, np.arange(0, frames, 2) / 25, atol=2e-3)
    assert clip.fps == 12.5
    assert clip.duration == pytest.approx(frames / 25, abs=0.011)


def test_every_frame_unless_a_rate_is_asked(write_clip: Writer, read_numbers: Numbers) -> None:
    clip = read_clip(write_clip(frames=10))
    assert clip.frames.shape == (10, 48, 64, 3) and clip.frames.dtype == np.uint8
    assert read_numbers(clip.frames) == list(range(10))
    assert clip.fps == pytest.approx(25)


def test_colours_are_rgb(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), (200, 40, 10)).save(tmp_path / "1.png")
    assert read_clip(tmp_path).frames[0, 5, 5].tolist() == [200, 40, 10]


def test_variable_rate_goes_by_time(write_clip: Writer, read_numbers: Numbers) -> None:
    # Frame 1 stands for 300 ms, so at 10 a second it comes three times.
    path = write_clip("clip.mkv", 6, times_ms=[0, 100, 400, 500, 520, 600], fps=50)
    clip = read_clip(path, fps=10)
    assert read_numbers(clip.frames)[:7] == [0, 1, 1, 2, 2, 3, 5]


def test_a_higher_rate_repeats_frames(write_clip: Writer, read_numbers: Numbers) -> None:
    clip = read_clip(write_clip(frames=4, fps=10), fps=20)
    assert read_numbers(clip.frames) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_ntsc_rate(write_clip: Writer, read_numbers: Numbers) -> None:
    clip = read_clip(write_clip(frames=30, fps=Fraction(30000, 1001)), fps=12.5)
    expected = [round(k / 12.5 * 30000 / 1001) for k in range(13)]
    assert read_numbers(clip.frames) == expected


def test_cap_keeps_evenly_spread_frames(write_clip: Writer, read_numbers: Numbers) -> None:
    clip = read_clip(write_clip(frames=41), fps=12.5, max_frames=6)
    assert read_numbers(clip.frames) == [0, 8, 16, 24, 32, 40]
    assert clip.fps == pytest.approx(12.5 * 6 / 21)


def test_sound_does_not_lengthen_the_clip(write_clip: Writer) -> None:
    clip = read_clip(write_clip(frames=5, audio=True), fps=12.5)
    assert len(clip.frames) == 3


@pytest.mark.parametrize(
    ("start", "length", "shown"), [(0.0, 0.8, range(20)), (0.6, 0.4, range(15, 25))]
)
def test_trimmed_on_the_phone(
    write_clip: Writer, read_numbers: Numbers, start: float, length: float, shown: range
) -> None:
    # Trimming leaves all frames in the file and notes in the edit list which to show.
    path = write_clip("clip.mp4", 40, options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    edit = data.index(b"elst") + 12
    _, first, rate = struct.unpack(">IiI", data[edit : edit + 12])
    ticks = int.from_bytes(data[data.index(b"mdhd") + 16 :][:4])  # a second
    trimmed = struct.pack(">IiI", int(length * 1000), first + int(start * ticks), rate)
    data[edit : edit + 12] = trimmed
    path.write_bytes(data)
    assert read_numbers(read_clip(path).frames) == list(shown)
    assert read_numbers(read_clip(path, fps=12.5).frames) == list(shown)[::2]
    path.write_bytes(data[:-50])
    with pytest.raises(UserError, match="cut short"):
        read_clip(path)


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".mov"])
def test_late_start(write_clip: Writer, read_numbers: Numbers, suffix: str) -> None:
    times = [5000 + 40 * index for index in range(6)]
    clip = read_clip(write_clip(f"clip{suffix}", 6, times_ms=times), fps=12.5)
    assert read_numbers(clip.frames) == [0, 2, 4]
    assert clip.times[0] == 0


@pytest.mark.parametrize("size", [(50, 63), (63, 50)])
def test_odd_sizes(write_clip: Writer, read_numbers: Numbers, size: tuple[int, int]) -> None:
    path = write_clip("clip.mkv", 3, height=size[0], width=size[1], pix_fmt="yuv444p")
    assert read_clip(path).frames.shape == (3, *size, 3)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, -90])
def test_rotation_is_undone(write_clip: Writer, degrees: int) -> None:
    clip = read_clip(write_clip(frames=2, rotation=degrees), size=None)
    # FFmpeg turns a frame counter-clockwise by the angle; the white edge starts on the right.
    upright = np.rot90(
        np.pad(np.zeros((48, 48)), ((0, 0), (0, 16)), constant_values=255), degrees // 90
    )
    assert clip.frames.shape[1:3] == upright.shape
    assert np.abs(clip.frames[0, ..., 0].astype(int) - upright).mean() < 10


def test_rotated_clip_gets_the_asked_size(write_clip: Writer) -> None:
    path = write_clip(frames=2, rotation=90)
    assert read_clip(path, size=(40, 30)).frames.shape == (2, 40, 30, 3)
    seen = []

    def halved(height: int, width: int) -> tuple[int, int]:
        seen.append((height, width))
        return height // 2, width // 2

    assert read_clip(path, size=halved).frames.shape == (2, 32, 24, 3)
    assert seen == [(64, 48)]
    assert (probe_clip(path).height, probe_clip(path).width) == (64, 48)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv444p"])
def test_scaling_smooths_and_keeps_the_colours(tmp_path: Path, pixels: str) -> None:
    drawn = np.random.default_rng(0)
    coarse = Image.fromarray(drawn.integers(30, 220, (8, 10, 3), dtype=np.uint8))
    picture = np.asarray(coarse.resize((318, 256), Image.Resampling.BILINEAR)).astype(int)
    picture += drawn.integers(-20, 20, (256, 318, 1))
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 318, 256, pixels
        frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), "rgb24")
        container.mux([*stream.encode(frame), *stream.encode()])
    whole = Image.fromarray(read_clip(path, size=None).frames[0])
    plain = np.asarray(whole.resize((256, 200), Image.Resampling.BILINEAR)).astype(int)
    off = read_clip(path, size=(200, 256)).frames[0] - plain
    assert np.abs(off.mean(axis=(0, 1))).max() < 0.5
    assert np.abs(off).mean() < 2


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p"])
def test_a_shrunk_picture_keeps_its_fine_colours(tmp_path: Path, pixels: str) -> None:
    picture = np.full((240, 320, 3), 110, np.uint8)
    picture[40:200:6, :, 0] = picture[41:200:6, :, 0] = 230
    picture[:, 60:260:6, 2] = picture[:, 61:260:6, 2] = 20
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, pixels
        frame = av.VideoFrame.from_ndarray(picture, "rgb24")
        container.mux([*stream.encode(frame), *stream.encode()])
    whole = Image.fromarray(read_clip(path, size=None).frames[0])
    plain = np.asarray(whole.resize((160, 120), Image.Resampling.BOX)).astype(int)
    off = read_clip(path, size=(120, 160)).frames[0] - plain
    assert np.abs(off).mean() < 6  # 14 with half as many colours


def test_folder_in_natural_order(tmp_path: Path, read_numbers: Numbers) -> None:
    folder = write_folder(tmp_path / "frames", 12)
    (folder / "notes.txt").write_text("not a frame")
    clip = read_clip(folder, fps=12.5)
    assert read_numbers(clip.frames) == [0, 2, 4, 6, 8, 10]
    assert read_numbers(read_clip(folder, fps=10, source_fps=30).frames) == [0, 3, 6, 9]


def test_transparent_frames_are_laid_on_black(tmp_path: Path) -> None:
    image = np.full((8, 8, 4), 255, np.uint8)
    image[:, :4, 3] = 0
    Image.fromarray(image).save(tmp_path / "a.png")
    frame = read_clip(tmp_path).frames[0]
    assert frame[:, :4].max() == 0 and frame[:, 4:].min() == 255


def test_transparent_gif(tmp_path: Path) -> None:
    frames = []
    for _ in range(3):
        image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
        image.paste((250, 250, 250, 255), (8, 0, 16, 16))
        frames.append(image)
    path = tmp_path / "clip.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40, disposal=2)
    clip = read_clip(path)
    assert clip.frames[:, :, :7].max() < 10 and clip.frames[:, :, 9:].min() > 240


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_cut_short_is_refused(write_clip: Writer, suffix: str, share: float) -> None:
    # Moving the index to the front makes a cut mp4 decodable: the harder case.
    options = {"movflags": "faststart"} if suffix == ".mp4" else None
    path = write_clip(f"clip{suffix}", 40, options=options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match=r"clip.* cut short or damaged"):
        read_clip(path, fps=12.5)


def test_cut_short_mp4_tells_how_many_frames_came(write_clip: Writer) -> None:
    path = write_clip("clip.mp4", 40, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"only \d+ frames came"):
        read_clip(path)


def test_mp4_cut_between_two_frames_is_refused(write_clip: Writer) -> None:
    # Every frame that is left decodes, so only the file's own sizes tell.
    path = write_clip("clip.mp4", 40, options={"movflags": "faststart"})
    with av.open(str(path)) as container:
        ends = [packet.pos for packet in container.demux(video=0) if packet.size]
    path.write_bytes(path.read_bytes()[: ends[20]])
    with pytest.raises(UserError, match="only 20 frames came"):
        read_clip(path)


def test_a_video_of_no_known_kind_is_refused(write_clip: Writer) -> None:
    path = write_clip("clip.mp4", 10)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(UserError, match=r"clip\.mp4 is not a video, or is cut short or damaged"):
        read_clip(path)


def test_damaged_image_is_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "frames", 3)
    whole = (folder / "images2.png").read_bytes()
    (folder / "images2.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"images2\.png"):
        read_clip(folder)


def test_wrong_input_is_one_sentence(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(b"\0" * 8000)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "letter.txt").write_text("Not a video at all.\n" * 40)
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 64)
    (tmp_path / "folder").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    for name, said in [
        ("sound.wav", "sound but no pictures"),
        ("empty.mp4", "empty"),
        ("letter.txt", "not a video"),
        ("noise.mp4", "not a video"),
        ("folder", "no images"),
        ("photo.png", "single picture"),
        ("missing.mp4", "no clip"),
    ]:
        with pytest.raises(UserError, match=said) as raised:
            read_clip(tmp_path / name)
        message = str(raised.value)
        assert name in message and message.endswith(".") and "\n" not in message
        assert ";" in message, "it has to say how to mend it"


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"fps": -1}, {"max_frames": 0}, {"source_fps": 0}])
def test_wrong_numbers_are_refused(write_clip: Writer, wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        read_clip(write_clip(frames=1), **wrong)


def test_real_clips(shared_data: Path) -> None:
    folder = shared_data / "clips"
    expected = {
        "dailymoth_0043626-2023.1.4.gif": (181, 224, 224),
        "slp_asl_different.gif": (64, 240, 320),
        "slp_asl_house.gif": (73, 240, 320),
        "slp_asl_wrong_what.gif": (97, 240, 320),
        "poseformat_test_video.mp4": (58, 720, 540),
        "phoenix_frames_25October_2010_Monday_tagesschau-17": (2, 260, 210),
    }
    for name, (frames, height, width) in expected.items():
        info = probe_clip(folder / name)
        assert (info.frames, info.height, info.width) == (frames, height, width), name
        assert len(read_clip(folder / name, size=(32, 32)).frames) == frames, name
        half = read_clip(folder / name, fps=12.5, size=(84, 84))
        assert len(half.frames) == math.ceil(info.duration * 12.5 - 0.02), name
        assert (np.diff(half.times) > 0).all() and half.damaged == (), name


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_refused_and_not_waited_on(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for pipe, at in ((tmp_path / "pipe.mp4", tmp_path / "pipe.mp4"), (folder / "0.png", folder)):
        os.mkfifo(pipe)
        with pytest.raises(UserError, match=pipe.name):
            read_clip(at)
