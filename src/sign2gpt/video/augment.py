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

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sign2gpt.errors import UserError

_LUMA = (0.299, 0.587, 0.114)
_PIXELS_AT_ONCE = 1 << 17  # two frames of 256 x 256: what stays in a processor's cache
# Planes whose distance is a power of two fall on the same few lines of a cache, and evict each
# other: some numbers between them make it 1.2 to 1.6 times as fast at 256 pixels.
_BETWEEN_PLANES = 48


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
        self, frames: Tensor, generator: torch.Generator, size: int | None = None
    ) -> Tensor:
        """(T, 3, H, W) uint8 -> (T, 3, h, w) uint8, where h = w = `size`, or H and W without it.

        On the device of the frames; the draws come from a CPU's generator.
        """
        height, width = frames.shape[2:]
        shape = (size, size) if size else (height, width)
        geometry = self._draw_geometry(height, width, generator)
        colour = self._draw_colour(frames, generator)
        at_once = min(len(frames), max(1, _PIXELS_AT_ONCE // (height * width)))
        in_bytes = geometry.shrinks_to(shape) and not frames.is_cuda
        sample = None if in_bytes else _Sampler(geometry, frames, shape, at_once)
        # Memory that is taken once: with a fresh piece for every step, the system's handing out of
        # pages takes as long as the work. Large arrays of numpy come in huge pages.
        augmented = torch.from_numpy(np.empty((len(frames), 3, *shape), np.uint8))
        augmented = augmented.to(frames.device)
        channels = 3 if colour is None else len(colour[0])
        levels = torch.empty(at_once, channels, math.prod(shape), device=frames.device)
        narrowed = torch.empty(levels.shape, dtype=torch.int16, device=frames.device)
        for start in range(0, len(frames), at_once):
            part = frames[start : start + at_once]
            sampled = geometry.box(part, shape) if sample is None else sample(part)
            into = augmented[start : start + at_once]
            count = len(into)
            if colour is not None:
                matrix, offset = (one.expand(count, -1, -1) for one in colour)
                planes = sampled.contiguous().view(count, 3, -1).float()
                sampled = torch.baddbmm(offset, matrix, planes, out=levels[:count])
            if sampled.dtype != torch.uint8:
                # By way of int16, as torch narrows float to uint8 number by number.
                narrowed[:count] = sampled.view(count, -1, math.prod(shape)).round_().clamp_(0, 255)
                sampled = narrowed[:count].view(count, -1, *shape)
            into.copy_(sampled)  # one plane of grey is all three
        return augmented

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

    def _draw_colour(
        self, frames: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor] | None:
        """(3, 3) and (3, 1): what RGB is multiplied by and what is added, or (1, 3) and (1, 1)
        where the colour is taken away; None: nothing drawn."""
        draw = torch.rand(6, generator=generator).tolist()
        jitter, grey = draw[0] < self.jitter_prob, draw[1] < self.grey_prob
        if not jitter and not grey:
            return None
        luma = torch.tensor([_LUMA])
        matrix, offset = torch.eye(3), torch.zeros(3, 1)
        if jitter:
            strengths = (self.brightness, self.contrast, self.saturation)
            brightness, contrast, saturation = (
                1 + strength * (2 * drawn - 1)
                for strength, drawn in zip(strengths, draw[2:5], strict=True)
            )
            turn = _hue_turn(self.hue * (2 * draw[5] - 1))
            matrix = turn @ (saturation * matrix + (1 - saturation) * luma)
            # Contrast is about the clip's mean grey, so that no frame is treated on its own.
            # Frame by frame, as they lie in memory: thirty times as fast as one sum of all.
            total = torch.zeros_like(frames[0], dtype=torch.int32)
            for frame in frames:
                total += frame
            mean = luma @ (total.sum(dim=(1, 2)).cpu() * 3 / frames.numel())
            matrix = brightness * contrast * matrix
            offset = brightness * (1 - contrast) * mean.expand(3, 1)
        if grey:
            matrix, offset = luma @ matrix, luma @ offset
        return matrix.to(frames.device), offset.to(frames.device)


class Geometry(NamedTuple):
    """A box of whole pixels of a picture that was turned about its middle, mirrored or not."""

    top: int
    left: int
    height: int
    width: int
    mirrored: bool
    radians: float

    def shrinks_to(self, shape: tuple[int, int]) -> bool:
        """Whether the box as it stands in the picture is to be made smaller, or left as it is."""
        return self.radians == 0.0 and self.height >= shape[0] and self.width >= shape[1]

    def box(self, frames: Tensor, shape: tuple[int, int]) -> Tensor:
        """The box, not turned: (t, 3, H, W) uint8 -> (t, 3, h, w) uint8.

        Sampled in bytes, as torch can on a CPU: three times as fast as by the map.
        """
        rows = slice(self.top, self.top + self.height)
        columns = slice(self.left, self.left + self.width)
        sampled = functional.interpolate(frames[:, :, rows, columns], shape, mode="bilinear")
        return sampled.flip(-1) if self.mirrored else sampled

    def theta(self, height: int, width: int) -> Tensor:
        """(2, 3) map from returned to given coordinates, both from -1 to 1."""
        across, down = self.width / width, self.height / height
        right = (2 * self.left + self.width) / width - 1
        below = (2 * self.top + self.height) / height - 1
        mirror = -1.0 if self.mirrored else 1.0
        crop = torch.tensor([[across * mirror, 0, right], [0, down, below], [0, 0, 1.0]])
        cos, sin = math.cos(self.radians), math.sin(self.radians)
        rotation = torch.tensor([[cos, -sin * height / width], [sin * width / height, cos]])
        return rotation @ crop[:2]


class _Sampler:
    """Samples frames by the map of a geometry, in memory that is taken once."""

    def __init__(
        self, geometry: Geometry, frames: Tensor, shape: tuple[int, int], at_once: int
    ) -> None:
        height, width = frames.shape[2:]
        theta = geometry.theta(height, width).to(frames.device)
        self.grid = functional.affine_grid(theta[None], [1, 3, *shape], align_corners=False)
        self.planes = torch.empty(
            3 * at_once, height * width + _BETWEEN_PLANES, device=frames.device
        )

    def __call__(self, part: Tensor) -> Tensor:
        """(t, 3, H, W) uint8 -> (t, 3, h, w) float32."""
        height, width = part.shape[2:]
        # Frames laid side by side as channels: the grid is read once for all of them. Bytes are
        # laid so before they are widened: a quarter as much to move.
        stacked = self.planes[: 3 * len(part), : height * width]
        stacked.copy_(part.contiguous().view(-1, height * width))
        stacked = stacked.view(1, -1, height, width)
        sampled = functional.grid_sample(stacked, self.grid, align_corners=False)
        return sampled.view(len(part), 3, *self.grid.shape[1:3])


def _hue_turn(circles: float) -> Tensor:
    """(3, 3): turns the colour plane of YIQ, leaving brightness and greys as they are."""
    to_yiq = torch.tensor(
        [_LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135)]
    )
    angle = 2 * math.pi * circles
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[1, 0, 0], [0, cos, -sin], [0, sin, cos]], dtype=torch.float32)
    return torch.linalg.inv(to_yiq) @ turn @ to_yiq


def _between(share: float, limits: tuple[float, ...]) -> float:
    return limits[0] + share * (limits[1] - limits[0])
