"""From a video file, or a folder of frames, to RGB frames at the asked rate.

Shapes: T frames returned, H height, W width.

A file is walked twice: once without decoding, for its time stamps (which say how many frames to
return and whether the file is whole), and once decoding, where only the frames that are returned
are converted to RGB. Frames are chosen by presentation time, so a variable rate needs no care.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from sign2gpt.errors import UserError
from sign2gpt.video.convert import FrameConverter, ImageConverter, Size
from sign2gpt.video.sample import evenly, frame_count, nearest
from sign2gpt.video.whole import ends_as_promised

FOLDER_FPS = 25.0
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
_MOST_FRAMES = 20_000  # 26 minutes at 12.5 a second: not a sentence, and more than memory holds
_HOW_TO_MEND = "give a whole mp4, webm or gif file, or a folder of png or jpg frames"


@dataclass(frozen=True)
class VideoClip:
    """Decoded frames.

    Attributes:
        frames: (T, H, W, 3) uint8, RGB.
        fps: mean rate of the returned frames, a second.
        times: (T,) float64, seconds from the clip's first frame at which each frame is shown.
        duration: seconds the whole source lasts.
    """

    frames: np.ndarray
    fps: float
    times: np.ndarray
    duration: float


@dataclass(frozen=True)
class ClipInfo:
    """What a clip says of itself without being decoded; width and height are as displayed."""

    frames: int
    fps: float
    width: int
    height: int
    duration: float


@dataclass(frozen=True)
class _Timeline:
    """When the frames of a clip are shown.

    Attributes:
        times: (frames,) seconds from the first frame, rising.
        duration: seconds to the end of the last frame.
        origin: the container's time of the first frame; None where it has no time stamps.
    """

    times: np.ndarray
    duration: float
    origin: float | None = None

    @property
    def fps(self) -> float:
        return len(self.times) / self.duration


def read_clip(
    path: Path | str,
    fps: float | None = None,
    max_frames: int | None = None,
    *,
    size: Size = None,
    source_fps: float | None = None,
) -> VideoClip:
    """Read a clip, upright, as RGB frames.

    Args:
        path: an mp4, webm, gif or other video file, or a folder of images in natural order.
        fps: rate of the returned frames; frame k is the one shown nearest to k / fps seconds.
            None returns every frame.
        max_frames: a cap; where it applies, the returned frames are spread evenly.
        size: (height, width) of the returned frames, or a function that gives it from the
            displayed (height, width); None keeps the stored size.
        source_fps: rate of a folder of frames (25 where not given); files know their own.

    Raises:
        UserError: the clip is missing, empty, cut short, not a video, has no pictures.
    """
    path = Path(path)
    _check(path, fps, max_frames, source_fps)
    images = _images(path) if path.is_dir() else []
    timeline = _folder_timeline(images, source_fps) if images else _file_timeline(path)
    wanted = _target_times(timeline, fps, max_frames, path)
    targets = wanted if max_frames is None else wanted[evenly(len(wanted), max_frames)]
    if images:
        convert = ImageConverter(size)
        chosen = nearest(timeline.times, targets)
        kept = [(timeline.times[index], convert(images[index])) for index in chosen]
    else:
        kept = _decode(path, timeline, targets, size)
    frames = np.empty((len(kept), *kept[0][1].shape), dtype=np.uint8)
    for position, (_, frame) in enumerate(kept):
        frames[position] = frame
    times = np.array([time for time, _ in kept], dtype=np.float64)
    rate = (fps or timeline.fps) * len(targets) / len(wanted)  # lower where the cap thins out
    return VideoClip(frames, rate, times, timeline.duration)


def probe_clip(path: Path | str, *, source_fps: float | None = None) -> ClipInfo:
    """Count and measure a clip without decoding more than its first frame; errors as read_clip."""
    path = Path(path)
    _check(path, None, None, source_fps)
    if path.is_dir():
        images = _images(path)
        timeline = _folder_timeline(images, source_fps)
        height, width = ImageConverter(None)(images[0]).shape[:2]
    else:
        timeline = _file_timeline(path)
        first = _decode(path, timeline, np.zeros(1), None, whole=False)
        height, width = first[0][1].shape[:2]
    return ClipInfo(len(timeline.times), timeline.fps, width, height, timeline.duration)


def _check(path: Path, fps: float | None, max_frames: int | None, source_fps: float | None) -> None:
    for name, rate in (("fps", fps), ("source_fps", source_fps)):
        if rate is not None and not 0 < rate < math.inf:
            raise UserError(f"{name} is {rate}; give frames a second, above 0.")
    if max_frames is not None and max_frames < 1:
        raise UserError(f"max_frames is {max_frames}; give at least 1, or none for all frames.")
    if not path.exists():
        raise UserError(f"There is no clip at {path}; check the path.")
    if not path.is_file() and not path.is_dir():  # a pipe would be waited on for ever
        raise UserError(f"The clip {path} is neither a file nor a folder; {_HOW_TO_MEND}.")
    if path.is_file() and path.stat().st_size == 0:
        raise UserError(f"The clip {path} is an empty file; copy or download it again.")


def _target_times(
    timeline: _Timeline, fps: float | None, max_frames: int | None, path: Path
) -> np.ndarray:
    """Seconds at which frames are wanted, rising, before any cap."""
    count = len(timeline.times) if fps is None else frame_count(timeline.duration, fps)
    if max_frames is None and count > _MOST_FRAMES:
        raise UserError(
            f"The clip {path} lasts {timeline.duration:.0f} s, which makes {count} frames; "
            f"cut it into sentences, or cap the frames."
        )
    return timeline.times if fps is None else np.arange(count) / fps


def _nearest(
    shown: Iterable[tuple[float, Any]], targets: np.ndarray
) -> Iterator[tuple[float, Any]]:
    """For each target time, the (time, frame) shown nearest to it; the earlier one of two."""
    position = 0
    previous: tuple[float, Any] | None = None
    for current in shown:
        if previous is not None:
            middle = (previous[0] + current[0]) / 2 + 1e-6
            while position < len(targets) and targets[position] <= middle:
                yield previous
                position += 1
        previous = current
    if previous is not None:
        for _ in targets[position:]:
            yield previous


# ---- folders of frames -----------------------------------------------------------------------


def _images(folder: Path) -> list[Path]:
    """A folder's images in natural order: image2 before image10; UserError where none."""
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    if not images:
        raise UserError(f"The folder {folder} holds no images; {_HOW_TO_MEND}.")
    if strange := [path for path in images if not path.is_file()]:
        raise UserError(f"The frame {strange[0]} is no file; {_HOW_TO_MEND}.")
    return sorted(images, key=_natural)


def _natural(path: Path) -> tuple[list[int | str], str]:
    parts: list[int | str] = re.split(r"(\d+)", path.name)  # text and digits take turns
    parts[1::2] = [int(digits) for digits in parts[1::2]]
    return parts, path.name


def _folder_timeline(images: list[Path], source_fps: float | None) -> _Timeline:
    rate = source_fps or FOLDER_FPS
    return _Timeline(np.arange(len(images)) / rate, len(images) / rate)


# ---- files ---------------------------------------------------------------------------------


def _open(path: Path) -> tuple[Any, Any]:
    """The container and its video stream; UserError where there is none."""
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    streams = [
        stream
        for stream in container.streams.video
        # A song's cover is a video stream too.
        if not stream.disposition & av.stream.Disposition.attached_pic
    ]
    format_name = container.format.name
    problem = None
    if format_name == "tty":
        problem = "is not a video"  # FFmpeg would draw a text file's letters as pictures
    elif not streams and not container.streams.audio:
        problem = "is not a video, or is cut short or damaged"
    elif not streams:
        problem = "has sound but no pictures"
    elif format_name == "image2" or format_name.endswith("_pipe"):
        problem = "is a single picture"
    if problem:
        container.close()
        raise UserError(f"The clip {path} {problem}; {_HOW_TO_MEND}.")
    return container, streams[0]


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or error
    return UserError(
        f"The clip {path} is not a video, or is cut short or damaged ({reason}); {_HOW_TO_MEND}."
    )


def _file_timeline(path: Path) -> _Timeline:
    """Walk a file's packets, undecoded; UserError where it holds less than it says."""
    container, stream = _open(path)
    shown: list[tuple[int | None, int]] = []  # time stamp and duration, in the stream's ticks
    packets, end = 0, 0.0
    with container:
        try:
            for packet in container.demux():
                if packet.size == 0:  # the end, or a repeated picture
                    continue
                if packet.pts is not None:
                    end = max(end, float((packet.pts + packet.duration) * packet.time_base))
                if packet.stream_index == stream.index:
                    packets += 1
                    if not packet.is_discard:
                        shown.append((packet.pts, packet.duration))
        except (av.FFmpegError, OSError) as error:
            raise _unreadable(path, error) from error
        if not shown:
            raise UserError(f"The clip {path} holds no frames; {_HOW_TO_MEND}.")
        promised = (container.duration or 0) / av.time_base
        if not ends_as_promised(path, container.format.name, end, promised):
            raise _cut_short(path, packets)
        rate = float(stream.guessed_rate or stream.average_rate or FOLDER_FPS)
        tick = float(stream.time_base)
        steady = container.format.name == "avi"  # keeps no presentation times; FFmpeg guesses
    if steady or any(stamp is None for stamp, _ in shown):
        return _Timeline(np.arange(len(shown)) / rate, len(shown) / rate, origin=None)
    shown.sort()
    times = np.array([stamp for stamp, _ in shown]) * tick
    length = shown[-1][1] * tick
    if length <= 0:
        length = float(np.median(np.diff(times))) if len(times) > 1 else 1 / rate
    return _Timeline(times - times[0], float(times[-1] - times[0]) + length, float(times[0]))


def _cut_short(path: Path, frames: int) -> UserError:
    return UserError(
        f"The clip {path} is cut short or damaged: only {frames} frames came out of it; "
        f"copy or download it again."
    )


def _decode(
    path: Path, timeline: _Timeline, targets: np.ndarray, size: Size, whole: bool = True
) -> list[tuple[float, np.ndarray]]:
    """Decode a file and convert the frames nearest to `targets`; UserError where it breaks off."""
    container, stream = _open(path)
    convert = FrameConverter(size, float(stream.sample_aspect_ratio or 1))
    decoded, last = 0, 0.0

    def shown() -> Iterator[tuple[float, Any]]:
        nonlocal decoded, last
        for frame in container.decode(stream):
            if timeline.origin is None or frame.time is None:
                last = decoded / timeline.fps
            else:
                last = frame.time - timeline.origin
            decoded += 1
            yield last, frame
            if not whole:
                return

    kept: list[tuple[float, np.ndarray]] = []
    source: Any = None
    with container:
        try:
            for time, frame in _nearest(shown(), targets):
                repeated = frame is source
                kept.append((time, kept[-1][1] if repeated else convert(frame)))
                source = frame
        except (av.FFmpegError, OSError) as error:
            raise _cut_short(path, decoded) from error
    # A decoder may pass over frames before the first key frame of a healthy file, so it is the
    # end that has to be reached, not the count.
    if not kept or (whole and last < timeline.times[-1] - 3 / timeline.fps - 0.1):
        raise _cut_short(path, decoded)
    return kept
