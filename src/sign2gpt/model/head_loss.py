"""Cross-entropy over a frozen head, a few targets at a time: no logits are kept for the way back.

The head's weight learns nothing, so the gradient of its inputs is found on the way there, and the
logits of a chunk are gone before those of the next are made.

Shapes: K real targets, W language model's width, M vocabulary.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sign2gpt.model.precision import autocast_dtype

TARGETS_AT_ONCE = 64  # 256,008 logits each, for which the head's weight is read
WIDENED_AT_ONCE = 16  # of them in float32: 16 MB, which malloc gives again (beyond 32 it does not)


def head_loss(features: Tensor, weight: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Mean cross-entropy of logits W x with label smoothing, in float32, as torch's.

    Inside autocast the products are in its dtype.

    Args:
        features: (K, W).
        weight: (M, W), without gradient.
        labels: (K,) int64, each of them real.

    Raises:
        RuntimeError: on the way back, gradients of gradients are asked for (`create_graph`).
    """
    dtype = autocast_dtype(features.device)
    if dtype is not None:
        features, weight = features.to(dtype), weight.to(dtype)
    return _HeadLoss.apply(features, weight, labels, smoothing)


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, labels: Tensor, smoothing: float
    ) -> Tensor:
        total = features.new_zeros((), dtype=torch.float32)
        gradients = []
        chunks = (features.split(TARGETS_AT_ONCE), labels.split(TARGETS_AT_ONCE))
        for part, targets in zip(*chunks, strict=True):
            logits = part @ weight.T  # and what is wanted of them takes their place
            fewer = (logits.split(WIDENED_AT_ONCE), targets.split(WIDENED_AT_ONCE))
            for rows, ids in zip(*fewer, strict=True):
                scores = F.log_softmax(rows, dim=-1, dtype=torch.float32)
                loss = F.nll_loss(scores, ids, reduction="sum")
                total += (1 - smoothing) * loss - smoothing * scores.mean(-1).sum()
                wanted = scores.exp_().sub_(smoothing / len(weight))
                wanted.scatter_add_(1, ids[:, None], wanted.new_full((len(ids), 1), smoothing - 1))
                rows.copy_(wanted)
            # In float32 from here: float16 would lose what a loss scale is there to save.
            gradients.append((logits @ weight).float().div_(len(features)))
        ctx.save_for_backward(torch.cat(gradients))
        ctx.dtype = features.dtype
        return total / len(features)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        if torch.is_grad_enabled():  # what was kept would pass for a constant
            raise RuntimeError("The loss of the head has no second derivative.")
        (kept,) = ctx.saved_tensors
        return (kept * gradient).to(ctx.dtype), None, None, None
