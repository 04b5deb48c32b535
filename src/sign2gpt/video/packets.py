"""The packets of a video file: walked once for their time stamps, then decoded, without those that
no wanted frame needs.

Between the walk and the decoding a file's packets are kept in memory, so that it is opened once. It
is opened anew where they are many, or where the walk left off before the end, as a span's does.

An H.264 picture whose slices all say nal_ref_idc = 0 is referred to by no other picture (ITU-T
H.264, 7.4.1), so leaving it undecoded changes no other one. In the clips of a store that is every
second frame; in any file it is read from the packet itself, never taken for granted.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import av

from sign2gpt.errors import UserError
from sign2gpt.video.source import ClipBytes, ClipSource, open_source

HOW_TO_MEND = "give a whole mp4, webm or gif file, or a folder of png or jpg frames"

_KEPT_BYTES = 1 << 26  # of packets in memory: ten minutes of a store's clips
_LEAD = 1.0  # seconds by which a picture may be decoded before it is shown
_UNINDEXED = ("mpeg", "mpegts")  # a seek gives any packet near the time, not a key frame
_SLICES = range(1, 6)  # types of the units that hold a picture's slices


class VideoPackets:
    """The packets of a file's video, to be walked once and decoded once.

    Args:
        path: the file, or its content.

    Attributes:
        container, stream: the open file and its video.
        length_bytes: bytes that say how long each unit of an H.264 packet is; None where packets
            are of another kind.

    Raises UserError where the file holds no video.
    """

    def __init__(self, path: ClipSource) -> None:
        self.path = path
        self.container, self.stream = _open(path)
        self.length_bytes = _length_bytes(self.stream)
        self._kept: list[Any] | None = None

    def walk(self, start: float = 0.0) -> Iterator[Any]:
        """All packets of the container with any content, from the key frame before `start` s.

        Who leaves off before the end makes `decode` open the file anew.
        """
        _seek(self.container, self.stream, start)
        kept, size = [], 0
        for packet in self.container.demux():
            if packet.stream_index == self.stream.index and size <= _KEPT_BYTES:
                kept.append(packet)  # the empty ones too: the last tells the decoder to finish
                size += packet.size
                if size > _KEPT_BYTES:
                    kept = []
            if packet.size:  # else the end, or a repeated picture
                yield packet
        self._kept = kept if size <= _KEPT_BYTES else None

    def decode(self, start: float = 0.0, unwanted: frozenset[int] = frozenset()) -> Iterator[Any]:
        """Frames in the order they are shown, from the key frame before `start` s; then closes.

        Args:
            start: as in the walk before.
            unwanted: time stamps, in the stream's ticks, of unreferenced packets to leave out.
        """
        if self._kept is None:
            self.close()
            self.container, self.stream = _open(self.path)
            _seek(self.container, self.stream, start)
        with self.container:
            # Clips are read side by side; within one, threads cost more than they give.
            self.stream.codec_context.thread_count = 1
            packets, self._kept = self._kept, None
            for packet in self.container.demux(self.stream) if packets is None else packets:
                if packet.pts is None or packet.pts not in unwanted:
                    yield from packet.decode()

    def unreferenced(self, packet: Any) -> bool:
        """Whether no other picture can refer to this packet's one, by what its slices say."""
        if self.length_bytes is None or packet.is_keyframe:
            return False
        data, position, slices = memoryview(packet), 0, 0
        while position + self.length_bytes < len(data):
            body = position + self.length_bytes
            header = data[body]
            if header & 31 in _SLICES:
                if header & 0x60:
                    return False
                slices += 1
            position = body + int.from_bytes(data[position:body])
        return slices > 0 and position == len(data)

    def close(self) -> None:
        self._kept = None
        self.container.close()


def unreadable(path: ClipSource, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or error
    return UserError(
        f"The clip {path} is not a video, or is cut short or damaged ({reason}); {HOW_TO_MEND}."
    )


def start_of(stream: Any) -> float:
    """The container's time, in seconds, at which a stream begins."""
    return float((stream.start_time or 0) * stream.time_base)


def _open(path: ClipSource) -> tuple[Any, Any]:
    """The container and its video stream; UserError where there is none."""
    try:
        container = av.open(open_source(path) if isinstance(path, ClipBytes) else str(path))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise unreadable(path, error) from error
    streams = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None  # of no known kind
        # A song's cover is a video stream too.
        and not stream.disposition & av.stream.Disposition.attached_pic
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


def _seek(container: Any, stream: Any, seconds: float) -> None:
    """Go to a key frame before a time since the stream's start, where the file allows it.

    Some formats are searched by the time of decoding: of the key frame they give, pictures that
    are shown before it may refer to others yet.
    """
    if seconds > _LEAD and container.format.name not in _UNINDEXED:
        # Files without an index cannot: they are read from their first frame.
        with suppress(av.FFmpegError, OSError):
            ticks = int((start_of(stream) + seconds - _LEAD) / stream.time_base)
            container.seek(ticks, stream=stream, backward=True)


def _length_bytes(stream: Any) -> int | None:
    """Bytes of a unit's length in H.264 packets of mp4 and Matroska, as the stream says."""
    configuration = stream.codec_context.extradata or b""
    if stream.codec_context.name != "h264" or len(configuration) < 5 or configuration[0] != 1:
        return None
    return (configuration[4] & 3) + 1
