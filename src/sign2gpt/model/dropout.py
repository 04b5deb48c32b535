"""Dropout that is cheap on a CPU, in time and in memory.

torch draws 64 random bits a value there, one after the other, and keeps a float a value for the way
back. Here 8 bits are drawn, and one is kept.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from sign2gpt.model.precision import kind_of

_LEVELS = 2**16
_PART = 2**18  # values whose bits and factors stay in the processor's cache
_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


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


def growth(dropped: int) -> float:
    """What kept values are multiplied by, so that the mean stays."""
    return _LEVELS / (_LEVELS - dropped)


def drop(values: Tensor, dropped: int, out: Tensor) -> Tensor:
    """Draw which values (contiguous) are kept; write these into `out`, which may be they, and 0 for
    the others, whatever they are.

    Returns:
        Which were kept: a bit each, eight a byte.
    """
    kept = torch.empty(-(-values.numel() // 8), dtype=torch.uint8, device=values.device)
    if values.is_meta:  # sizes are counted
        return kept
    seed = int(torch.randint(2**62, (), device="cpu"))
    _keep_only(values, _drawn(seed, dropped, kept, values.numel()), out)
    return kept


def drop_again(values: Tensor, kept: Tensor, out: Tensor) -> None:
    """The same for other values, by what `drop` gave."""
    if not values.is_meta:
        _keep_only(values, _recalled(kept, values.numel()), out)


def _drawn(seed: int, dropped: int, kept: Tensor, length: int) -> Iterator[np.ndarray]:
    """Of each part, 1 or 0 a value; noted in `kept`."""
    random = np.random.SFC64(seed)
    thresholds = _thresholds(dropped)[seed % 256 :]
    for bits, count in _parts(kept, length):
        drawn = random.random_raw(len(bits)).view(np.uint8)[:count]
        keep = drawn >= thresholds[:count]
        bits[:] = np.packbits(keep)
        yield keep.view(np.uint8)


def _recalled(kept: Tensor, length: int) -> Iterator[np.ndarray]:
    """What was drawn."""
    for bits, count in _parts(kept, length):
        yield np.unpackbits(bits, count=count)


def _parts(kept: Tensor, length: int) -> Iterator[tuple[np.ndarray, int]]:
    """The bits of each part, and of how many values."""
    for index, bits in enumerate(kept.split(_PART // 8)):
        yield bits.numpy(), min(_PART, length - index * _PART)


def _keep_only(values: Tensor, keeps: Iterator[np.ndarray], out: Tensor) -> None:
    whole = _INTEGERS[values.element_size()]  # a float times 0 or 1, in a third of the time
    parts = (given.view(whole).view(-1).split(_PART) for given in (values, out))
    for keep, part, result in zip(keeps, *parts, strict=True):
        torch.mul(part, torch.from_numpy(keep).to(whole), out=result)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, dropped: int, inplace: bool) -> Tensor:
        if inplace and values.is_contiguous():
            ctx.mark_dirty(values)
            out = values
        else:
            values = values.contiguous()
            out = torch.empty_like(values)
        ctx.save_for_backward(drop(values, dropped, out))
        ctx.growth = growth(dropped)
        return out.mul_(ctx.growth)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradient.contiguous()
        out = torch.empty_like(gradient)
        drop_again(gradient, *ctx.saved_tensors, out)
        return out.mul_(ctx.growth), None, None


@lru_cache(maxsize=8)
def _thresholds(dropped: int) -> np.ndarray:
    """From which byte on each value of a part is kept: of 256 in a row some begin one higher, so
    that together they have the 16 bits of p. To be read from any of the first 256 on, at random:
    then each has the same chance."""
    low, more = divmod(dropped, 256)
    turns = np.arange(256) * 101 % 256  # far from each other
    return np.tile((low + (turns < more)).astype(np.uint8), _PART // 256 + 1)
