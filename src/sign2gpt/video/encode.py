"""RGB frames -> an H.264 file, at once or not at all."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from sign2gpt.files import whole_file

STORE_SIDE = 256
"""Pixels of a stored clip's shorter side."""

# High quality, and cheap to decode: no CABAC, no deblocking. No other frame refers to every second
# one, so that a reader at half the rate may pass over them.
STORE_OPTIONS = {
    "preset": "veryfast",
    "crf": "18",
    "tune": "fastdecode",
    "x264-params": "bframes=1:b-adapt=0:b-pyramid=none:scenecut=0:keyint=250",
}


def stored_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) of a clip in a store: the shorter side 256, never enlarged, both even.

    The frame keeps its shape, so that stretching, padding and cropping to a square are all still
    possible when it is read.
    """
    scale = min(1.0, STORE_SIDE / min(height, width))
    return tuple(max(2, 2 * round(side * scale / 2)) for side in (height, width))  # type: ignore[return-value]


def write_clip(
    path: Path,
    frames: Iterable[np.ndarray | VideoFrame],
    fps: float | Fraction,
    options: Mapping[str, str] = STORE_OPTIONS,
    pixel_shape: Fraction = Fraction(1),
) -> int:
    """Write frames as H.264 in an mp4 file; a file that is there is whole.

    Args:
        path: the file; what lies there is replaced.
        frames: (H, W, 3) uint8 RGB, or FFmpeg's frames, all of one size with even sides.
        fps: frames a second.
        options: of libx264.
        pixel_shape: width by height of one pixel, as the frames are to be displayed.

    Returns:
        How many frames there were.

    Raises:
        ValueError: no frames.
        OSError: the file cannot be written.
    """
    rate = fps if isinstance(fps, Fraction) else Fraction(fps).limit_denominator(1001)
    count = 0
    with (
        whole_file(path) as unfinished,
        av.open(str(unfinished), "w", format="mp4") as container,
    ):
        stream = container.add_stream("libx264", rate, options=dict(options))
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # clips are written side by side
        for picture in frames:
            frame = picture
            if not isinstance(frame, VideoFrame):
                frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            if count == 0:
                stream.width, stream.height = frame.width, frame.height
                if pixel_shape != 1:
                    stream.codec_context.sample_aspect_ratio = pixel_shape
            frame = _settled(frame)
            frame.pts, frame.time_base = count, 1 / rate
            container.mux(stream.encode(frame))
            count += 1
        if count == 0:
            raise ValueError("a clip needs at least one frame")
        container.mux(stream.encode())
    return count


def _settled(frame: VideoFrame) -> VideoFrame:
    """The frame as it is encoded, with nothing left to chance.

    Rows are longer in memory than the picture is wide, and what stands behind its end, whatever was
    there before, finds its way into the encoder's choices: the same clip would become other bytes.
    """
    frame = frame.reformat(format="yuv420p")
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        rows[:, plane.width :] = rows[:, plane.width - 1 : plane.width]
    return frame
