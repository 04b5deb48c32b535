"""Dropout that is cheap on a CPU, in time and in memory.

torch draws 64 random bits a value there, one after the other, and keeps a float a value for the way
back. Here 8 bits are drawn, and one is kept.
"""

from functools import lru_cache
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
    dropped = dropped_levels(p)
    if not training or dropped is None or kind_of(values.device) != "cpu":
        return F.dropout(values, p, training)
    return _Dropout.apply(values, dropped, inplace)


def dropped_levels(p: float) -> int | None:
    """p in steps of 2^-16; None where this dropout has nothing to do or cannot do it."""
    dropped = round(p * _LEVELS)
    return dropped if 0 < dropped <= _LEVELS - 256 else None


def drop(values: Tensor, dropped: int, out: Tensor) -> Tensor:
    """Write the values (contiguous), dropped out, into `out`, which may be they; which were kept, a
    bit each."""
    kept = torch.empty(-(-values.numel() // 8), dtype=torch.uint8, device=values.device)
    if values.is_meta:
        return kept
    seed = int(torch.randint(2**62, (), device="cpu"))
    random = np.random.Generator(np.random.SFC64(seed))
    thresholds = _thresholds(dropped)[seed % 256 :]
    nothing = values.new_zeros(())
    for part, bits, result in zip(_parts(values), _bits(kept), _parts(out), strict=True):
        drawn = random.integers(2**64, size=-(-len(part) // 8), dtype=np.uint64)
        keep = drawn.view(np.uint8)[: len(part)] >= thresholds[: len(part)]
        _add_kept(nothing, part, keep.view(np.uint8), dropped, result)
        bits.numpy()[:] = np.packbits(keep)
    return kept


def pass_kept(values: Tensor, kept: Tensor, dropped: int, out: Tensor, onto: bool = False) -> None:
    """Write into `out` what `drop` would have left of the values, by the bits it gave; `onto`: add
    it to what is there. All are contiguous."""
    if values.is_meta:
        return
    nothing = values.new_zeros(())
    for part, bits, result in zip(_parts(values), _bits(kept), _parts(out), strict=True):
        keep = np.unpackbits(bits.numpy(), count=len(part))
        _add_kept(result if onto else nothing, part, keep, dropped, result)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, dropped: int, inplace: bool) -> Tensor:
        if inplace and values.is_contiguous():
            ctx.mark_dirty(values)
            out = values
        else:
            values = values.contiguous()
            out = torch.empty_like(values)
        ctx.dropped = dropped
        ctx.save_for_backward(drop(values, dropped, out))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradient.contiguous()
        out = torch.empty_like(gradient)
        pass_kept(gradient, *ctx.saved_tensors, ctx.dropped, out)
        return out, None, None


@lru_cache(maxsize=8)
def _thresholds(dropped: int) -> np.ndarray:
    """From which byte on each value of a chunk is kept: of 256 in a row some begin one higher, so
    that together they have the 16 bits of p. To be read from any of the first 256 on, at random:
    then each has the same chance."""
    low, more = divmod(dropped, 256)
    turns = np.arange(256) * 101 % 256  # far from each other
    return np.tile((low + (turns < more)).astype(np.uint8), _CHUNK // 256 + 1)


def _parts(values: Tensor) -> tuple[Tensor, ...]:
    return values.view(-1).split(_CHUNK)


def _bits(kept: Tensor) -> tuple[Tensor, ...]:
    """Of each part, eight values a byte."""
    return kept.split(_CHUNK // 8)


def _add_kept(sums: Tensor, values: Tensor, keep: np.ndarray, dropped: int, out: Tensor) -> None:
    """Sums + values times 0 or 1 / (1 - p), as `keep` says by 0 or 1."""
    kept = torch.from_numpy(keep).to(values.dtype)
    scale = _LEVELS / (_LEVELS - dropped)  # meets `kept` first: a dropped value may be large
    torch.addcmul(sums, kept, values, value=scale, out=out)
