"""From a video file, or a folder of frames, to RGB frames at the asked rate.

Shapes: T frames returned, H height, W width.

A file's packets are walked for their time stamps (which say how many frames to return and whether
the file is whole), then decoded, where frames that are neither returned nor needed by others are
left out, and only those that are returned are converted to RGB. Frames are chosen by presentation
time, so a variable rate needs no care.
"""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from sign2gpt.errors import UserError
from sign2gpt.video.convert import FrameConverter, ImageConverter, Size
from sign2gpt.video.packets import HOW_TO_MEND, VideoPackets
from sign2gpt.video.sample import evenly, frame_count, nearest
from sign2gpt.video.source import ClipBytes, ClipSource, as_source
from sign2gpt.video.timeline import (
    Span,
    Timeline,
    cut_short,
    file_timeline,
    folder_timeline,
    images_of,
)

_LATEST = 10_000_000  # seconds into a video, four months; what is later overflows its clock
_MOST_FRAMES = 20_000  # 26 minutes at 12.5 a second: not a sentence, and more than memory holds


@dataclass(frozen=True)
class VideoClip:
    """Decoded frames.

    Attributes:
        frames: (T, H, W, 3) uint8, RGB.
        fps: mean rate of the returned frames, a second.
        times: (T,) float64, seconds from the clip's first frame at which each frame is shown.
        duration: seconds the whole source lasts.
        damaged: seconds from the clip's first frame of pictures that the decoder says it had to
            mend, as where bytes of the file were lost; the ones after them may be wrong, too.
            Decoders of H.264 and MPEG-4 say so, those of HEVC, VP8 and VP9 do not.
    """

    frames: np.ndarray
    fps: float
    times: np.ndarray
    duration: float
    damaged: tuple[float, ...] = ()


@dataclass(frozen=True)
class ClipInfo:
    """What a clip says of itself without being decoded; width and height are as displayed."""

    frames: int
    fps: float
    width: int
    height: int
    duration: float


@dataclass(frozen=True)
class FrameStream:
    """A clip being decoded: what is known before, and its frames one by one.

    Attributes:
        count: frames that will come.
        fps: mean rate of the frames that come, a second.
        duration: seconds the whole source, or the span of it, lasts.
        frames: (seconds from the first frame, (H, W, 3) uint8 RGB) of each; UserError where the
            file breaks off.
        damaged: as VideoClip's; it grows while frames come.
    """

    count: int
    fps: float
    duration: float
    frames: Iterator[tuple[float, np.ndarray]]
    damaged: list[float]


def read_clip(
    path: ClipSource | str,
    fps: float | None = None,
    max_frames: int | None = None,
    *,
    size: Size = None,
    source_fps: float | None = None,
    span: Span | None = None,
) -> VideoClip:
    """Read a clip, upright, as RGB frames; arguments and errors as `open_clip`."""
    stream = open_clip(path, fps, max_frames, size=size, source_fps=source_fps, span=span)
    frames = np.empty(0, dtype=np.uint8)
    times = np.empty(stream.count, dtype=np.float64)
    for position, (time, frame) in enumerate(stream.frames):
        if position == 0:
            frames = np.empty((stream.count, *frame.shape), dtype=np.uint8)
        frames[position], times[position] = frame, time
    return VideoClip(frames, stream.fps, times, stream.duration, tuple(stream.damaged))


def open_clip(
    path: ClipSource | str,
    fps: float | None = None,
    max_frames: int | None = None,
    *,
    size: Size = None,
    source_fps: float | None = None,
    span: Span | None = None,
    steady: bool = False,
) -> FrameStream:
    """Get ready to decode a clip, upright, as RGB frames one by one.

    Args:
        path: an mp4, webm, gif or other video file or its content, or a folder of images in
            natural order.
        fps: rate of the returned frames; frame k is the one shown nearest to k / fps seconds.
            None returns every frame.
        max_frames: a cap; where it applies, the returned frames are spread evenly.
        size: (height, width) of the returned frames, or a function that gives it from the
            displayed (height, width); None keeps the stored size.
        source_fps: rate of a folder of frames (25 where not given); files know their own.
        span: the part of a longer video that is the clip.
        steady: with no `fps` given, a variable rate becomes its mean.

    Raises:
        UserError: the clip is missing, empty, cut short, not a video, has no pictures, or none in
            the span.
    """
    path = as_source(path)
    _check(path, fps, max_frames, source_fps, span)
    images = images_of(path) if isinstance(path, Path) and path.is_dir() else []
    if isinstance(path, Path) and images:
        timeline = folder_timeline(path, images, source_fps, span)
        images = images[timeline.skipped :]
    else:
        packets, timeline = _walked(path, span)
    fps = timeline.fps if steady and fps is None else fps
    damaged: list[float] = []
    wanted = _target_times(timeline, fps, max_frames, path)
    targets = wanted if max_frames is None else wanted[evenly(len(wanted), max_frames)]
    if images:
        convert = ImageConverter(size)
        frames = (
            (float(timeline.times[index]), convert(images[index]))
            for index in nearest(timeline.times, targets)
        )
    else:
        frames = _decode(packets, timeline, targets, size, damaged, span)
    rate = (fps or timeline.fps) * len(targets) / len(wanted)  # lower where the cap thins out
    return FrameStream(len(targets), rate, timeline.duration, frames, damaged)


def probe_clip(path: ClipSource | str, *, source_fps: float | None = None) -> ClipInfo:
    """Count and measure a clip without decoding more than its first frame; errors as read_clip."""
    path = as_source(path)
    _check(path, None, None, source_fps)
    if isinstance(path, Path) and path.is_dir():
        images = images_of(path)
        timeline = folder_timeline(path, images, source_fps)
        height, width = ImageConverter(None)(images[0]).shape[:2]
    else:
        packets, timeline = _walked(path, None)
        _, first = next(_decode(packets, timeline, np.zeros(1), None, [], whole=False))
        height, width = first.shape[:2]
    return ClipInfo(len(timeline.times), timeline.fps, width, height, timeline.duration)


def _check(
    path: ClipSource,
    fps: float | None,
    max_frames: int | None,
    source_fps: float | None,
    span: Span | None = None,
) -> None:
    for name, rate in (("fps", fps), ("source_fps", source_fps)):
        if rate is not None and not 0 < rate < math.inf:
            raise UserError(f"{name} is {rate}; give frames a second, above 0.")
    if max_frames is not None and max_frames < 1:
        raise UserError(f"max_frames is {max_frames}; give at least 1, or none for all frames.")
    if span is not None and not 0 <= span[0] < (_LATEST if span[1] is None else span[1]) <= _LATEST:
        raise UserError(
            f"The clip at {path} is to start at {span[0]} s and end at {span[1]} s; give a start "
            f"not below 0 and an end after it, up to {_LATEST:,} s."
        )
    if isinstance(path, ClipBytes):
        if not path.content:
            raise UserError(f"The clip {path} is empty; make its shard again.")
        return
    if not os.path.exists(path):  # false, too, of a path that the system does not take
        raise UserError(f"There is no clip at {path}; check the path.")
    if not path.is_file() and not path.is_dir():  # a pipe would be waited on for ever
        raise UserError(f"The clip {path} is neither a file nor a folder; {HOW_TO_MEND}.")
    if path.is_file() and path.stat().st_size == 0:
        raise UserError(f"The clip {path} is an empty file; copy or download it again.")


def _walked(path: ClipSource, span: Span | None) -> tuple[VideoPackets, Timeline]:
    packets = VideoPackets(path)
    try:
        return packets, file_timeline(packets, span)
    except BaseException:
        packets.close()
        raise


def _target_times(
    timeline: Timeline, fps: float | None, max_frames: int | None, path: ClipSource
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


def _decode(
    packets: VideoPackets,
    timeline: Timeline,
    targets: np.ndarray,
    size: Size,
    damaged: list[float],
    span: Span | None = None,
    whole: bool = True,
) -> Iterator[tuple[float, np.ndarray]]:
    """Decode a file and convert the frames nearest to `targets`; UserError where it breaks off.

    Times of frames that are decoded damaged are put into `damaged`.
    """
    convert = FrameConverter(size, float(packets.stream.sample_aspect_ratio or 1))
    start = 0.0 if span is None or timeline.origin is None else span[0]
    unneeded = timeline.unneeded(nearest(timeline.times, targets))
    decoded, last = 0, 0.0
    end = float(timeline.times[-1])

    def shown() -> Iterator[tuple[float, Any]]:
        nonlocal decoded, last
        for frame in packets.decode(start, unneeded):
            if timeline.origin is None or frame.time is None:
                time = (decoded - timeline.skipped) / timeline.fps
            else:
                time = frame.time - timeline.origin
            decoded += 1
            if span is not None and time < -1e-4:
                if frame.is_corrupt:  # those after it may refer to it
                    damaged[:] = [0.0]
                elif frame.key_frame:
                    damaged.clear()
                continue
            if span is not None and time > end + 1e-4:
                return
            last = time
            if frame.is_corrupt:
                damaged.append(time)
            yield time, frame
            if not whole:
                return

    given, source, image = 0, None, np.empty(0, dtype=np.uint8)
    try:
        for time, frame in _nearest(shown(), targets):
            if frame is not source:
                source, image = frame, convert(frame)
            given += 1
            yield time, image
    except (av.FFmpegError, OSError) as error:
        raise cut_short(packets.path, decoded) from error
    finally:
        packets.close()
    # A decoder may pass over frames before the first key frame of a healthy file, so it is the
    # end that has to be reached, not the count.
    if not given or (whole and last < end - 3 / timeline.fps - 0.1):
        raise cut_short(packets.path, decoded)
