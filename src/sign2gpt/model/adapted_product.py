"""A frozen linear layer and its adapter as one step of autograd, on a CPU.

Apart, the way back makes the gradient of the inputs twice, through the layer and through the
adapter's dropout, and adds them up; here the layer's product adds what comes through the dropout.

Shapes: N rows (any leading dimensions), I input width, O output width, R rank.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from sign2gpt.model.dropout import drop, drop_again, dropped_levels, growth
from sign2gpt.model.packed_linear import PackedLinear
from sign2gpt.model.precision import no_autocast

MOST_DROPPED = 255 / 256


class AdaptedProduct:
    """W x + b + B A dropout(x), with gradients of x, A and B.

    Args:
        there: x (N, I) -> W x + b (N, O).
        back: the gradient g (N, O) of what it gives, and an addend (N, I) that may be overwritten
            -> g W + addend.
    """

    def __init__(self, there: Callable[[Tensor], Tensor], back: Callable[[Tensor, Tensor], Tensor]):
        self.there, self.back = there, back

    @classmethod
    def packed(cls, weight: Tensor, bias: Tensor | None, rows: int) -> "AdaptedProduct":
        """Of a weight W (O, I) that `PackedLinear` takes, laid out for about N = `rows`, for either
        way."""
        return cls(PackedLinear(weight, bias, rows), PackedLinear(weight.T, None, rows))

    @classmethod
    def plain(cls, weight: Tensor, bias: Tensor | None) -> "AdaptedProduct":
        """Of a weight W (O, I) as it lies in memory."""
        weight = weight.detach()
        bias = None if bias is None else bias.detach().to(weight.dtype)

        def back(gradient: Tensor, sums: Tensor) -> Tensor:
            return sums.addmm_(gradient, weight)

        return cls(lambda rows: F.linear(rows, weight, bias), back)

    def __call__(self, inputs: Tensor, down: Tensor, up: Tensor, p: float) -> Tensor:
        """(N, I) -> (N, O).

        Args:
            inputs: x.
            down: A (R, I).
            up: B (O, R).
            p: probability of dropping a value of the adapter's input, `MOST_DROPPED` at most; 0
                outside training.
        """
        flat = inputs.reshape(-1, inputs.shape[-1])
        dropped = dropped_levels(min(p, MOST_DROPPED))
        product = _Product.apply(flat, down, up, self.there, self.back, dropped)
        return product.view(*inputs.shape[:-1], len(up))


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        down: Tensor,
        up: Tensor,
        there: Callable[[Tensor], Tensor],
        back: Callable[[Tensor, Tensor], Tensor],
        dropped: int | None,
    ) -> Tensor:
        kept, left = None, inputs
        if dropped is not None:
            inputs = inputs.contiguous()
            left = torch.empty_like(inputs)
            kept = drop(inputs, dropped, left)
            down = down * growth(dropped)  # in place of the values that are left
        narrow = left @ down.T
        ctx.save_for_backward(left, kept, narrow, down, up)
        ctx.back, ctx.dropped = back, dropped
        return there(inputs).addmm_(narrow, up.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        with no_autocast(gradient.device):  # as the way there, whoever calls
            return _Product._back(ctx, gradient.contiguous())

    @staticmethod
    def _back(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        left, kept, narrow, grown, up = ctx.saved_tensors
        within = gradient @ up
        of_inputs, of_down = None, within.T @ left
        if ctx.needs_input_grad[0]:
            through = within @ grown
            if kept is not None:
                drop_again(through, kept, through)
            of_inputs = ctx.back(gradient, through)
        if kept is not None:
            of_down *= growth(ctx.dropped)
        return of_inputs, of_down, gradient.T @ narrow, None, None, None
