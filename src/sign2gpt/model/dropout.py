"""Dropout that draws 16 random bits a value on a CPU, where torch draws 64 one after the other."""

import torch
import torch.nn.functional as F
from torch import Tensor

_LEVELS = 2**16


def dropout(values: Tensor, p: float, training: bool = True, inplace: bool = False) -> Tensor:
    """`F.dropout`: each value is zero with probability p, the others grow so that the mean stays.

    On a CPU p is rounded to a multiple of 2^-16 (and the others grow by as much as that takes); the
    bits come from torch's default generator, so that `torch.manual_seed` sets them. `inplace` may
    overwrite the values: right where the operation that made them does not need them backward.
    """
    dropped = round(p * _LEVELS)
    if not training or dropped in (0, _LEVELS) or values.device.type != "cpu":
        return F.dropout(values, p, training)
    bits = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    levels = bits.view(torch.int16)[: values.numel()].view(values.shape)  # -2^15 ... 2^15 - 1
    factors = torch.empty(values.shape, dtype=values.dtype)
    torch.ge(levels, dropped - _LEVELS // 2, out=factors)
    factors.mul_(_LEVELS / (_LEVELS - dropped))
    return values.mul_(factors) if inplace else values * factors
