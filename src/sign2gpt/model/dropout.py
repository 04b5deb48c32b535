"""Dropout that is cheap on a CPU, in time and in memory.

torch draws 64 random bits a value there, one after the other, and keeps a float a value for the way
back. Here 16 bits are drawn, and one is kept.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from sign2gpt.model.precision import kind_of

_LEVELS = 2**16
_CHUNK = 2**18  # values whose bits and factors stay in the processor's cache


def dropout(values: Tensor, p: float, training: bool = True, inplace: bool = False) -> Tensor:
    """`F.dropout`: each value is zero with probability p, the others grow so that the mean stays.

    On a CPU p is rounded to a multiple of 2^-16 (and the others grow by as much as that takes); the
    seed comes from torch's default generator, so that `torch.manual_seed` sets it. `inplace` may
    overwrite the values: right where the operation that made them does not need them backward.
    """
    dropped = round(p * _LEVELS)
    if not training or not 0 < dropped < _LEVELS or kind_of(values.device) != "cpu":
        return F.dropout(values, p, training)
    return _Dropout.apply(values, dropped, inplace)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, dropped: int, inplace: bool) -> Tensor:
        if inplace and values.is_contiguous():
            ctx.mark_dirty(values)
            out = values
        else:
            values = values.contiguous()
            out = torch.empty_like(values)
        kept = torch.empty(-(-values.numel() // 8), dtype=torch.uint8, device=values.device)
        ctx.dropped = dropped
        ctx.save_for_backward(kept)
        if values.is_meta:
            return out
        seed = int(torch.randint(2**62, (), device="cpu"))
        random = np.random.Generator(np.random.SFC64(seed))
        for part, bits, result in zip(_parts(values), _bits(kept), _parts(out), strict=True):
            drawn = random.integers(2**64, size=-(-len(part) // 4), dtype=np.uint64)
            keep = drawn.view(np.uint16)[: len(part)] >= dropped
            _keep(part, keep.view(np.uint8), dropped, result)
            bits.numpy()[:] = np.packbits(keep)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradient.contiguous()
        out = torch.empty_like(gradient)
        if gradient.is_meta:
            return out, None, None
        (kept,) = ctx.saved_tensors
        for part, bits, result in zip(_parts(gradient), _bits(kept), _parts(out), strict=True):
            _keep(part, np.unpackbits(bits.numpy(), count=len(part)), ctx.dropped, result)
        return out, None, None


def _parts(values: Tensor) -> tuple[Tensor, ...]:
    return values.view(-1).split(_CHUNK)


def _bits(kept: Tensor) -> tuple[Tensor, ...]:
    """Of each part, eight values a byte."""
    return kept.split(_CHUNK // 8)


def _keep(values: Tensor, keep: np.ndarray, dropped: int, out: Tensor) -> None:
    """Values times 0 or 1 / (1 - p), as `keep` says by 0 or 1."""
    kept = torch.from_numpy(keep).to(values.dtype)
    scale = _LEVELS / (_LEVELS - dropped)  # meets `kept` first: a dropped value may be large
    torch.addcmul(values.new_zeros(()), kept, values, value=scale, out=out)
