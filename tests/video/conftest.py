"""Real video files, made on the spot: frame i is grey, of level 6 * i, its right quarter white."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")

Writer = Callable[..., Path]


def picture(index: int, width: int = 64, height: int = 48) -> np.ndarray:
    """(height, width, 3) uint8: the frame's number as a grey, the right quarter white."""
    image = np.full((height, width, 3), 6 * index, dtype=np.uint8)
    image[:, width * 3 // 4 :] = 255
    return image


def numbers(frames: np.ndarray) -> list[int]:
    """The frame numbers that `picture` drew, read from the left half of each frame."""
    height, width = frames.shape[1:3]
    left = frames[:, height // 4 : height * 3 // 4, width // 8 : width // 2]
    return np.rint(left.mean(axis=(1, 2, 3)) / 6).astype(int).tolist()


@pytest.fixture(scope="session")
def read_numbers() -> Callable[[np.ndarray], list[int]]:
    return numbers


@pytest.fixture
def write_clip(tmp_path: Path) -> Writer:
    def write(
        name: str = "clip.mp4",
        frames: int = 10,
        fps: Fraction | int = 25,
        times_ms: Sequence[int] | None = None,
        width: int = 64,
        height: int = 48,
        audio: bool = False,
        rotation: int | None = None,
        codec: str | None = None,
        pix_fmt: str | None = None,
        options: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        suffix = path.suffix
        codec = codec or {".webm": "libvpx-vp9", ".gif": "gif"}.get(suffix, "libx264")
        with av.open(str(path), "w", options=options or {}) as container:
            video: Any = container.add_stream(codec, rate=fps)
            video.width, video.height = width, height
            video.pix_fmt = pix_fmt or ("rgb8" if suffix == ".gif" else "yuv420p")
            if rotation is not None:
                video.set_display_rotation(rotation)
            if times_ms is not None:
                video.codec_context.time_base = Fraction(1, 1000)
            sound = container.add_stream("aac", rate=16000) if audio else None
            for index in range(frames):
                frame = av.VideoFrame.from_ndarray(picture(index, width, height), format="rgb24")
                if times_ms is not None:
                    frame.pts, frame.time_base = times_ms[index], Fraction(1, 1000)
                container.mux(video.encode(frame))
            container.mux(video.encode())
            if sound is not None:
                silence = av.AudioFrame.from_ndarray(
                    np.zeros((1, 8000), np.float32), format="fltp", layout="mono"
                )
                silence.sample_rate = 16000
                container.mux(sound.encode(silence))
                container.mux(sound.encode())
        return path

    return write
