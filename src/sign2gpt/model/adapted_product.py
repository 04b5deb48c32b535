"""A frozen linear layer and its adapter as one step of autograd, on a CPU.

Apart, the way back makes the gradient of the inputs twice, through the layer and through the
adapter's dropout, and adds them up; here the layer's product adds what comes through the dropout.
The frozen weight lies in oneDNN's blocks, for either way.

Shapes: N rows (any leading dimensions), I input width, O output width, R rank.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sign2gpt.model.dropout import drop, drop_again, dropped_levels, growth
from sign2gpt.model.packed_linear import PackedLinear
from sign2gpt.model.precision import no_autocast


class AdaptedProduct:
    """W x + b + B A dropout(x), with gradients of x, A and B.

    Args:
        weight: W (O, I), frozen; one that `PackedLinear` takes.
        bias: b (O,), frozen, or None.
        rows: N, roughly.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int):
        self.there = PackedLinear(weight, bias, rows)
        self.back = PackedLinear(weight.T, None, rows)

    def __call__(self, inputs: Tensor, down: Tensor, up: Tensor, p: float) -> Tensor:
        """(N, I) -> (N, O).

        Args:
            inputs: x.
            down: A (R, I).
            up: B (O, R).
            p: probability of dropping a value of the adapter's input, 255 / 256 at most; 0 outside
                training.
        """
        flat, dropped = inputs.flatten(0, -2), dropped_levels(min(p, 255 / 256))
        product = _Product.apply(flat, down, up, self.there, self.back, dropped)
        return product.view(*inputs.shape[:-1], len(up))


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        down: Tensor,
        up: Tensor,
        there: PackedLinear,
        back: PackedLinear,
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
