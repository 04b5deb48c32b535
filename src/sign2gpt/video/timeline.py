"""When the frames of a clip are shown, found without decoding any of them.

A file's packets are walked for their time stamps, which say how many frames there are and whether
the file is whole. A clip may be a span of a longer video; then only its packets are walked.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from sign2gpt.errors import UserError
from sign2gpt.video.source import ClipBytes, ClipSource, open_source
from sign2gpt.video.whole import ends_as_promised

FOLDER_FPS = 25.0
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
HOW_TO_MEND = "give a whole mp4, webm or gif file, or a folder of png or jpg frames"

Span = tuple[float, float | None]
"""Start and end in seconds from the video's first frame; no end: to the video's own."""

_TOLERANCE = 0.002  # seconds; time stamps in tables and containers are rounded


@dataclass(frozen=True)
class Timeline:
    """When the frames of a clip are shown.

    Attributes:
        times: (frames,) seconds from the first frame, rising.
        duration: seconds to the end of the last frame.
        origin: the container's time of the first frame; None where it has no time stamps.
        skipped: frames of the file before the first one, where frames have to be counted.
    """

    times: np.ndarray
    duration: float
    origin: float | None = None
    skipped: int = 0

    @property
    def fps(self) -> float:
        return len(self.times) / self.duration


def images_of(folder: Path) -> list[Path]:
    """A folder's images in natural order: image2 before image10; UserError where none."""
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    if not images:
        raise UserError(f"The folder {folder} holds no images; {HOW_TO_MEND}.")
    if strange := [path for path in images if not path.is_file()]:
        raise UserError(f"The frame {strange[0]} is no file; {HOW_TO_MEND}.")
    return sorted(images, key=_natural)


def _natural(path: Path) -> tuple[list[int | str], str]:
    parts: list[int | str] = re.split(r"(\d+)", path.name)  # text and digits take turns
    parts[1::2] = [int(digits) for digits in parts[1::2]]
    return parts, path.name


def folder_timeline(
    folder: Path, images: list[Path], source_fps: float | None, span: Span | None = None
) -> Timeline:
    """Images of a folder shown at a steady rate (25 a second where not given)."""
    rate = source_fps or FOLDER_FPS
    return _within(np.arange(len(images)) / rate, 1 / rate, None, span, folder)


def open_video(path: ClipSource) -> tuple[Any, Any]:
    """The container and its video stream; UserError where there is none."""
    try:
        container = av.open(open_source(path) if isinstance(path, ClipBytes) else str(path))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise unreadable(path, error) from error
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
        raise UserError(f"The clip {path} {problem}; {HOW_TO_MEND}.")
    return container, streams[0]


def unreadable(path: ClipSource, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or error
    return UserError(
        f"The clip {path} is not a video, or is cut short or damaged ({reason}); {HOW_TO_MEND}."
    )


def file_timeline(path: ClipSource, span: Span | None = None) -> Timeline:
    """Walk a file's packets, undecoded, all of them or those of a span.

    Raises:
        UserError: the file holds less than it says, or nothing in the span.
    """
    container, stream = open_video(path)
    shown: list[tuple[int | None, int]] = []  # time stamp and duration, in the stream's ticks
    packets, end, reached_end = 0, 0.0, True
    tick = float(stream.time_base)
    last_wanted = None if span is None or span[1] is None else start_of(stream) + span[1]
    with container:
        steady = container.format.name == "avi"  # keeps no presentation times; FFmpeg guesses
        try:
            if span is not None and not steady:
                seek(container, stream, span[0])
            for packet in container.demux():
                if packet.size == 0:  # the end, or a repeated picture
                    continue
                if packet.pts is not None:
                    end = max(end, float((packet.pts + packet.duration) * packet.time_base))
                if packet.stream_index == stream.index:
                    packets += 1
                    if not packet.is_discard:
                        shown.append((packet.pts, packet.duration))
                    # No packet is shown before its decoding time, which rises.
                    if last_wanted is not None and (packet.dts or 0) * tick > last_wanted:
                        reached_end = False
                        break
        except (av.FFmpegError, OSError) as error:
            raise unreadable(path, error) from error
        if not shown:
            raise UserError(f"The clip {path} holds no frames; {HOW_TO_MEND}.")
        promised = (container.duration or 0) / av.time_base
        if reached_end and not ends_as_promised(path, container.format.name, end, promised):
            raise cut_short(path, packets)
        rate = float(stream.guessed_rate or stream.average_rate or FOLDER_FPS)
        begin = start_of(stream)
    if steady or any(stamp is None for stamp, _ in shown):
        return _within(np.arange(len(shown)) / rate, 1 / rate, None, span, path)
    shown.sort()
    times = np.array([stamp for stamp, _ in shown]) * tick
    length = shown[-1][1] * tick
    if length <= 0:
        length = float(np.median(np.diff(times))) if len(times) > 1 else 1 / rate
    origin = float(times[0]) if span is None else begin
    return _within(times - origin, length, origin, span, path)


def start_of(stream: Any) -> float:
    """The container's time, in seconds, at which a stream begins."""
    return float((stream.start_time or 0) * stream.time_base)


def seek(container: Any, stream: Any, seconds: float) -> None:
    """Go to the key frame before a time since the stream's start, where the file allows it."""
    if seconds > 0:
        # Files without an index cannot: they are read from their first frame.
        with suppress(av.FFmpegError, OSError):
            ticks = int((start_of(stream) + seconds) / stream.time_base)
            container.seek(ticks, stream=stream, backward=True)


def _within(
    times: np.ndarray, length: float, origin: float | None, span: Span | None, path: ClipSource
) -> Timeline:
    """The part of a timeline that lies in a span, counted from its own first frame."""
    if span is None:
        return Timeline(times, float(times[-1]) + length, origin)
    start, end = span
    first = int(np.searchsorted(times, start - _TOLERANCE))
    last = len(times) if end is None else int(np.searchsorted(times, end - _TOLERANCE))
    if first >= last:
        until = "its end" if end is None else f"{end:.2f} s"
        raise UserError(
            f"The video {path} ends at {times[-1] + length:.2f} s, so no frame of it is shown from "
            f"{start:.2f} s to {until}; mend the time stamps."
        )
    kept = times[first:last] - times[first]
    # A frame cut by the end of the span counts whole, as frames do.
    began = None if origin is None else origin + float(times[first])
    return Timeline(kept, float(kept[-1]) + length, began, skipped=first)


def cut_short(path: ClipSource, frames: int) -> UserError:
    return UserError(
        f"The clip {path} is cut short or damaged: only {frames} frames came out of it; "
        f"copy or download it again."
    )
