"""Linear layers whose large float32 products on a CPU go through oneDNN.

torch takes MKL for them, which on AMD's CPUs is slower by an eighth to a third (docs/log.md); in
bfloat16 it takes oneDNN itself.

Shapes: N rows (any leading dimensions), I input width, O output width.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sign2gpt.model.precision import autocast_dtype

_LARGE = 2**27  # N I O; oneDNN prepares for each new N, which costs as much as a small product


class Linear(nn.Linear):
    """`nn.Linear` by `affine`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, I) -> (N, O)."""
        return affine(inputs, self.weight, self.bias)


def affine(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear`: x W^T + b of inputs x (N, I), weight W (O, I) and bias b (O,) -> (N, O)."""
    if (
        inputs.device.type == "cpu"
        and inputs.numel() * len(weight) >= _LARGE
        and {inputs.dtype, weight.dtype} == {torch.float32}
        and autocast_dtype(inputs.device) is None
        and torch.backends.mkldnn.is_available()
    ):
        return _Product.apply(inputs, weight, bias)
    return F.linear(inputs, weight, bias)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return _times(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        of_inputs, of_weight, of_bias = ctx.needs_input_grad
        rows = gradient.flatten(0, -2)
        return (
            _times(gradient, weight.T) if of_inputs else None,
            rows.T @ inputs.flatten(0, -2) if of_weight else None,  # where MKL is the faster one
            rows.sum(0) if of_bias else None,
        )


def _times(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
