"""Sinusoidal and rotary positions, always computed in float32.

In bfloat16 a table is off by up to 0.5 below position 256; only the result is cast.

Shapes: B clips, H heads, T tokens, D width, Dh width of a head.
"""

from typing import Any

import torch
from torch import Tensor


def _angles(length: int, width: int, device: torch.device) -> Tensor:
    """(T, width / 2) float32 angles, position times 10000^(-2i / width)."""
    exponents = torch.arange(0, width, 2, device=device, dtype=torch.float32) / width
    positions = torch.arange(length, device=device, dtype=torch.float32)
    return positions[:, None] * torch.pow(10000.0, -exponents)[None, :]


def sinusoidal_positions(length: int, width: int, device: torch.device) -> Tensor:
    """(T, D) float32 sinusoidal positions, sines and cosines interleaved (Vaswani et al., 2017)."""
    angles = _angles(length, width + width % 2, device)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)[:, :width]


def add_sinusoidal_positions(features: Tensor) -> Tensor:
    """Features (B, T, D) plus their positions, summed in float32, in the features' own dtype."""
    table = sinusoidal_positions(features.shape[1], features.shape[2], features.device)
    return (features.float() + table).to(features.dtype)


def rotary_positions(length: int, head_width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each (T, Dh / 2) float32, for `rotate`."""
    angles = _angles(length, head_width, device)
    return angles.cos(), angles.sin()


def rotate(heads: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each half-split pair of (B, H, T, Dh) by its position's angle, in float32."""
    return _Rotation.apply(heads, *rotary)


class _Rotation(torch.autograd.Function):
    """In place as far as it goes; what comes back is turned the other way."""

    @staticmethod
    def forward(ctx: Any, heads: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        ctx.save_for_backward(cosines, sines)
        return _turn(heads, cosines, sines)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        cosines, sines = ctx.saved_tensors
        return _turn(gradient, cosines, -sines), None, None


def _turn(heads: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    first, second = heads.float().chunk(2, dim=-1)
    turned = torch.empty(heads.shape, dtype=torch.float32, device=heads.device)
    left, right = turned.chunk(2, dim=-1)
    torch.mul(first, cosines, out=left).addcmul_(second, sines, value=-1)
    torch.mul(second, cosines, out=right).addcmul_(first, sines)
    return turned.to(heads.dtype)
