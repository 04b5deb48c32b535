"""Dropout that is cheap on a CPU, in time and in memory.

torch draws 64 random bits a value there, one after the other, and keeps a float a value for the way
back. Here 16 bits are drawn, and drawn again on the way back: only their seed is kept.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sign2gpt.model.precision import kind_of

_LEVELS = 2**16
_CHUNK = 2**17  # values whose bits and factors stay in the processor's cache


def dropout(values: Tensor, p: float, training: bool = True, inplace: bool = False) -> Tensor:
    """`F.dropout`: each value is zero with probability p, the others grow so that the mean stays.

    On a CPU p is rounded to a multiple of 2^-16 (and the others grow by as much as that takes); the
    seed comes from torch's default generator, so that `torch.manual_seed` sets it. `inplace` may
    overwrite the values: right where the operation that made them does not need them backward.
    """
    dropped = round(p * _LEVELS)
    if not training or not 0 < dropped < _LEVELS or kind_of(values.device) != "cpu":
        return F.dropout(values, p, training)
    seed = int(torch.randint(2**62, (), device="cpu"))
    return _Dropout.apply(values, dropped, seed, inplace)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, dropped: int, seed: int, inplace: bool) -> Tensor:
        ctx.dropped, ctx.seed = dropped, seed
        if inplace and values.is_contiguous():
            ctx.mark_dirty(values)
            return _drop(values, values, dropped, seed)
        return _drop(values, None, dropped, seed)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _drop(gradient, None, ctx.dropped, ctx.seed), None, None, None


def _drop(values: Tensor, out: Tensor | None, dropped: int, seed: int) -> Tensor:
    """Values times 0 or 1 / (1 - p), as the seed says; `out` is new where it is None."""
    values = values.contiguous()
    out = torch.empty_like(values) if out is None else out
    generator = torch.Generator().manual_seed(seed)
    size = min(_CHUNK, values.numel())
    bits = torch.empty(-(-size // 4), dtype=torch.int64)
    levels, factors = bits.view(torch.int16), torch.empty(size, dtype=values.dtype)
    for part, target in zip(values.view(-1).split(_CHUNK), out.view(-1).split(_CHUNK), strict=True):
        bits.random_(-(2**63), None, generator=generator)
        kept = factors[: len(part)]
        torch.ge(levels[: len(part)], dropped - _LEVELS // 2, out=kept)
        torch.mul(part, kept.mul_(_LEVELS / (_LEVELS - dropped)), out=target)
    return out
