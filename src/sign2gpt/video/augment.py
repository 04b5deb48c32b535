"""Augmentation that is drawn once a clip and does the same to all its frames.

Shapes: T frames, H x W as given, h x w as returned.

All geometry (rotation, crop, flip) is one affine map of the picture, all colour (brightness,
contrast, saturation, hue, grey) one affine map of RGB: each frame is sampled once and multiplied
once. Reference: section 4 of the paper; the numbers are its authors' settings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from sign2gpt.errors import UserError

_LUMA = np.array([[0.299, 0.587, 0.114]])


@dataclass(frozen=True)
class ClipAugment:
    """Random crop, rotation, flip, colour jitter and grey; the same for all frames of a clip.

    Attributes:
        crop_scale: least and greatest share of the area that is kept.
        crop_ratio: least and greatest width by height of what is kept, cut off at the picture.
        flip_prob: how often the picture is mirrored.
        rotation_degrees: greatest angle, either way.
        rotation_prob: how often it is rotated.
        brightness, contrast, saturation: greatest change of the factor 1, either way.
        hue: greatest turn of the hue, in full circles, either way.
        jitter_prob: how often brightness, contrast, saturation and hue are changed, together.
        grey_prob: how often the colour is taken away.

    Raises UserError for values out of range.
    """

    crop_scale: tuple[float, float] = (0.875, 1.0)
    crop_ratio: tuple[float, float] = (0.9, 1.1)
    flip_prob: float = 0.5
    rotation_degrees: float = 5.0
    rotation_prob: float = 0.3
    brightness: float = 0.16
    contrast: float = 0.16
    saturation: float = 0.16
    hue: float = 0.04
    jitter_prob: float = 0.3
    grey_prob: float = 0.2

    def __post_init__(self) -> None:
        for field in fields(self):
            given = getattr(self, field.name)
            # A recipe holds lists, and 0 for 0.0: equal settings are to be written equally.
            pair = field.name.startswith("crop_")
            value: Any = tuple(map(float, given)) if pair else float(given)
            object.__setattr__(self, field.name, value)
            if pair:
                most = 1.0 if field.name == "crop_scale" else math.inf
                wrong = len(value) != 2 or not 0 < value[0] <= value[1] <= most
                allowed = "two rising numbers above 0" + (", at most 1" if most == 1 else "")
            else:
                most = {"rotation_degrees": 180.0, "hue": 0.5}.get(field.name, 1.0)
                wrong, allowed = not 0 <= value <= most, f"a number from 0 to {most:g}"
            if wrong:
                raise UserError(f"augment.{field.name} is {value}; give {allowed}.")

    def __call__(
        self, frames: np.ndarray, generator: torch.Generator, size: int | None = None
    ) -> Tensor:
        """(T, H, W, 3) uint8 -> (T, 3, h, w) uint8, where h = w = `size`, or H and W without it."""
        height, width = frames.shape[1:3]
        shape = (size, size) if size else (height, width)
        geometry = self._draw_geometry(height, width, generator)
        colour = self._draw_colour(frames, generator)
        augmented = np.empty((len(frames), 3, *shape), np.uint8)
        if get_worker_info() is not None:  # one thread each, as torch has in its workers
            cv2.setNumThreads(0)  # 1, or a way back, waits for ever for threads lost in a fork
        for frame, planes in zip(frames, augmented, strict=True):
            image = geometry.sample(frame, shape)
            if colour is not None:
                image = cv2.transform(image, colour)
            cv2.split(image, list(planes))
        return torch.from_numpy(augmented)

    def _draw_geometry(self, height: int, width: int, generator: torch.Generator) -> Geometry:
        draw = torch.rand(7, generator=generator).tolist()
        area = _between(draw[0], self.crop_scale) * height * width
        ratio = math.exp(_between(draw[1], tuple(map(math.log, self.crop_ratio))))
        crop_width = min(width, max(1, round(math.sqrt(area * ratio))))
        crop_height = min(height, max(1, round(math.sqrt(area / ratio))))
        degrees = self.rotation_degrees * (2 * draw[6] - 1)
        return Geometry(
            top=round((height - crop_height) * draw[3]),
            left=round((width - crop_width) * draw[2]),
            height=crop_height,
            width=crop_width,
            mirrored=draw[4] < self.flip_prob,
            radians=math.radians(degrees) if draw[5] < self.rotation_prob else 0.0,
        )

    def _draw_colour(self, frames: np.ndarray, generator: torch.Generator) -> np.ndarray | None:
        """(3, 4): what RGB is multiplied by, and in the last column what is added; None: nothing
        drawn."""
        draw = torch.rand(6, generator=generator).tolist()
        jitter, grey = draw[0] < self.jitter_prob, draw[1] < self.grey_prob
        if not jitter and not grey:
            return None
        matrix, offset = np.eye(3), np.zeros((3, 1))
        if jitter:
            strengths = (self.brightness, self.contrast, self.saturation)
            brightness, contrast, saturation = (
                1 + strength * (2 * drawn - 1)
                for strength, drawn in zip(strengths, draw[2:5], strict=True)
            )
            turn = _hue_turn(self.hue * (2 * draw[5] - 1))
            matrix = turn @ (saturation * matrix + (1 - saturation) * _LUMA)
            # Contrast is about the clip's mean grey, so that no frame is treated on its own.
            mean = np.mean([cv2.mean(frame)[:3] for frame in frames], axis=0)
            matrix = brightness * contrast * matrix
            offset = np.full((3, 1), brightness * (1 - contrast) * (_LUMA @ mean))
        colour = np.hstack([matrix, offset])
        return np.repeat(_LUMA @ colour, 3, axis=0) if grey else colour


class Geometry(NamedTuple):
    """A box of whole pixels of a picture that was turned about its middle, mirrored or not."""

    top: int
    left: int
    height: int
    width: int
    mirrored: bool
    radians: float

    def sample(self, frame: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """(H, W, 3) uint8 -> (h, w, 3) uint8, between pixels in proportion."""
        size = shape[::-1]
        if self.radians:  # what stands outside of the picture is black
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            # Three channels would take three times as long.
            wide = cv2.cvtColor(frame, cv2.COLOR_RGB2RGBA)
            wide = cv2.warpAffine(wide, self.map(frame.shape[:2], shape), size, flags=flags)
            return cv2.cvtColor(wide, cv2.COLOR_RGBA2RGB)
        rows = slice(self.top, self.top + self.height)
        columns = slice(self.left, self.left + self.width)
        image = cv2.resize(frame[rows, columns], size, interpolation=cv2.INTER_LINEAR)
        return cv2.flip(image, 1) if self.mirrored else image

    def map(self, given: tuple[int, int], returned: tuple[int, int]) -> np.ndarray:
        """(2, 3): where in the given picture the pixel (x, y, 1) of the returned one comes from."""
        (height, width), (down, across) = given, returned
        scale_x, scale_y = self.width / across, self.height / down
        left = self.left + scale_x / 2 - 0.5
        if self.mirrored:
            left, scale_x = left + scale_x * (across - 1), -scale_x
        box = [[scale_x, 0, left], [0, scale_y, self.top + scale_y / 2 - 0.5], [0, 0, 1]]
        cos, sin = math.cos(self.radians), math.sin(self.radians)
        x, y = (width - 1) / 2, (height - 1) / 2  # the middle, which stays where it is
        turn = [[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y]]
        return np.array(turn) @ np.array(box)


def _hue_turn(circles: float) -> np.ndarray:
    """(3, 3): turns the colour plane of YIQ, leaving brightness and greys as they are."""
    to_yiq = np.vstack([_LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135)])
    angle = 2 * math.pi * circles
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return np.linalg.inv(to_yiq) @ turn @ to_yiq


def _between(share: float, limits: tuple[float, ...]) -> float:
    return limits[0] + share * (limits[1] - limits[0])
