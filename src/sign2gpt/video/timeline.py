"""When the frames of a clip are shown, found without decoding any of them.

A file's packets are walked for their time stamps, which say how many frames there are and whether
the file is whole. A clip may be a span of a longer video; then only its packets are walked.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np

from sign2gpt.errors import UserError
from sign2gpt.video.packets import HOW_TO_MEND, VideoPackets, start_of, unreadable
from sign2gpt.video.source import ClipSource
from sign2gpt.video.whole import ends_as_promised

FOLDER_FPS = 25.0
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
VIDEO_SUFFIXES = frozenset({".mp4", ".webm", ".mkv", ".mov", ".avi", ".gif"})

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
        stamps: (frames,) the container's time stamp of each, in ticks, where it has them.
        unreferenced: (frames,) bool, with `stamps`: frames that no other one needs.
    """

    times: np.ndarray
    duration: float
    origin: float | None = None
    skipped: int = 0
    stamps: np.ndarray | None = None
    unreferenced: np.ndarray | None = None

    @property
    def fps(self) -> float:
        return len(self.times) / self.duration

    def unneeded(self, wanted: np.ndarray) -> frozenset[int]:
        """Stamps of the frames whose decoding the `wanted` ones (indices) can do without.

        The last frame is always needed: whether it comes shows whether the file is whole.
        """
        if self.stamps is None or self.unreferenced is None:
            return frozenset()
        needed = ~self.unreferenced
        needed[wanted] = needed[-1] = True
        return frozenset(self.stamps[~needed].tolist()) - frozenset(self.stamps[needed].tolist())


def images_of(folder: Path) -> list[Path]:
    """A folder's images in natural order: image2 before image10; UserError where none."""
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    if not images:
        videos = [path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES]
        mend = f"name its videos, such as {min(videos)}" if videos else HOW_TO_MEND
        raise UserError(f"The folder {folder} holds no images; {mend}.")
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


def file_timeline(packets: VideoPackets, span: Span | None = None) -> Timeline:
    """Walk a file's packets, undecoded, all of them or those of a span.

    Raises:
        UserError: the file holds less than it says, or nothing in the span.
    """
    path, stream = packets.path, packets.stream
    shown: list[tuple[int | None, int, bool]] = []  # time stamp and duration, in the stream's ticks
    walked, end, reached_end, starts_whole = 0, 0.0, True, False
    tick = float(stream.time_base)
    last_wanted = None if span is None or span[1] is None else start_of(stream) + span[1]
    steady = packets.container.format.name == "avi"  # no presentation times; FFmpeg guesses
    try:
        for packet in packets.walk(0.0 if span is None or steady else span[0]):
            if packet.pts is not None:
                end = max(end, float((packet.pts + packet.duration) * packet.time_base))
            if packet.stream_index == stream.index:
                walked += 1
                # What comes before a first key frame, the decoder may leave out by itself.
                starts_whole = packet.is_keyframe if walked == 1 else starts_whole
                if not packet.is_discard:
                    alone = starts_whole and packets.unreferenced(packet)
                    shown.append((packet.pts, packet.duration, alone))
                # No packet is shown before its decoding time, which rises.
                if last_wanted is not None and (packet.dts or 0) * tick > last_wanted:
                    reached_end = False
                    break
    except (av.FFmpegError, OSError) as error:
        raise unreadable(path, error) from error
    if not shown:
        raise UserError(f"The clip {path} holds no frames; {HOW_TO_MEND}.")
    promised = (packets.container.duration or 0) / av.time_base
    format_name = packets.container.format.name
    if reached_end and not ends_as_promised(path, format_name, end, promised):
        raise cut_short(path, walked)
    rate = float(stream.guessed_rate or stream.average_rate or FOLDER_FPS)
    if steady or any(stamp is None for stamp, *_ in shown):
        return _within(np.arange(len(shown)) / rate, 1 / rate, None, span, path)
    shown.sort()
    stamps = np.array([stamp for stamp, *_ in shown])
    times = stamps * tick
    length = shown[-1][1] * tick
    if length <= 0:
        length = float(np.median(np.diff(times))) if len(times) > 1 else 1 / rate
    origin = float(times[0]) if span is None else start_of(stream)
    timeline = _within(times - origin, length, origin, span, path)
    unreferenced = np.array([alone for *_, alone in shown])
    kept = slice(timeline.skipped, timeline.skipped + len(timeline.times))
    return replace(timeline, stamps=stamps[kept], unreferenced=unreferenced[kept])


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
