"""One decoded picture -> an upright RGB array: rotation, pixel shape, transparency, size.

Shapes: H height, W width, as displayed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from PIL import Image, ImageOps

from sign2gpt.errors import UserError

# The common planar formats, of either range, and those with as many colours as pixels. Scaled as
# they are and then turned to RGB, pictures go by FFmpeg's vectorised ways: faster than both at
# once, and nearer to the exact picture. Where the colours, half as many each way, are enough for
# every pixel of a smaller picture, they are scaled to as many.
_PLANAR = {"yuv420p": "yuv444p", "yuvj420p": "yuvj444p"}

# (height, width), or what gives it from the displayed (height, width); None: as stored.
Size = tuple[int, int] | Callable[[int, int], tuple[int, int]] | None


class FrameConverter:
    """Decoded frame -> (H, W, 3) uint8 RGB; keeps the scalers, and the first frame's size."""

    def __init__(self, size: Size, pixel_shape: float = 1.0) -> None:
        self.size = size
        self.pixel_shape = pixel_shape  # width by height of one stored pixel
        self.stored_size: tuple[int, int] | None = None
        self.scaler, self.reformatter = VideoReformatter(), VideoReformatter()

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        mirrored, upended, transposed = _orientation(frame)
        if self.stored_size is None:  # later frames follow the first, should theirs differ
            self.stored_size = self._stored_size(frame, transposed)
        height, width = self.stored_size
        transparent = any(component.is_alpha for component in frame.format.components)
        # Antialiased. Clips are read side by side; within one, threads cost more than they give.
        options: dict[str, Any] = {"interpolation": "AREA", "threads": 1}
        name = frame.format.name
        if name in _PLANAR and (frame.height, frame.width) != (height, width):
            enough = 2 * height <= frame.height and 2 * width <= frame.width
            planar = _PLANAR[name] if enough else name
            frame = self.scaler.reformat(frame, width, height, planar, **options)
        pixel_format = "rgba" if transparent else "rgb24"
        image = self.reformatter.reformat(frame, width, height, pixel_format, **options)
        image = image.to_ndarray()
        if transparent:
            image = on_black(image)
        if transposed:
            image = image.swapaxes(0, 1)
        return image[:: -1 if upended else 1, :: -1 if mirrored else 1]

    def _stored_size(self, frame: VideoFrame, transposed: bool) -> tuple[int, int]:
        """The size to scale to, before the picture is turned upright."""
        height, width = frame.height, frame.width
        if callable(self.size):
            width = round(width * self.pixel_shape)
        displayed = (width, height) if transposed else (height, width)
        wanted = wanted_size(self.size, displayed)
        return wanted[::-1] if transposed else wanted


class ImageConverter:
    """Image file -> (H, W, 3) uint8 RGB; UserError where a folder's images differ in size."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.stored_size: tuple[int, int] | None = None  # of the folder's first

    def __call__(self, path: Path) -> np.ndarray:
        try:
            with Image.open(path) as opened:
                image = ImageOps.exif_transpose(opened)
                image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise UserError(
                f"The frame {path} is not a readable image ({error}); copy it again."
            ) from error
        stored = (image.height, image.width)
        if self.stored_size not in (None, stored):
            raise UserError(
                f"The picture {path} is of another size ({image.width} x {image.height}) than the "
                "first in its folder, so they are no clip's frames; leave only those in it."
            )
        self.stored_size = stored
        height, width = wanted_size(self.size, stored)
        if stored != (height, width):
            image = image.resize((width, height), Image.Resampling.BILINEAR)  # antialiased
        pixels = np.asarray(image)
        return on_black(pixels) if pixels.shape[2] == 4 else pixels


def wanted_size(size: Size, displayed: tuple[int, int]) -> tuple[int, int]:
    """(height, width) to scale a picture to, at least one pixel each way."""
    height, width = displayed if size is None else size(*displayed) if callable(size) else size
    return max(1, height), max(1, width)


def on_black(image: np.ndarray) -> np.ndarray:
    """(H, W, 4) RGBA -> (H, W, 3): what is see-through turns black, as padding is."""
    alpha = image[..., 3:]
    if alpha.min() == 255:
        return image[..., :3]
    return ((image[..., :3].astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)


def _orientation(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """How to turn a frame upright: (mirrored, upended, transposed first).

    A display matrix maps stored (x, y) to displayed (a x + c y, b x + d y).
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(matrix, dtype=np.int32)[:5].tolist()
    if abs(a) >= abs(b):
        return a < 0, d < 0, False
    return c < 0, b < 0, True
