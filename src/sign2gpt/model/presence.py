"""Presence of pseudo-glosses for training, without the localisation's (B, T, V) tensors.

The equations are those of `PseudoGlossHead.forward`. They are computed for a few prototypes at a
time, so that what lies between the similarities and the presence stays in the processor's cache;
only the similarities are kept for the way back. Exponentials are powers of 2: `exp2` is three times
as fast as `exp` on a CPU, and not ten times slower where the result underflows.

Shapes: B clips, T sign tokens, N = B T, E word-vector width, V pseudo-glosses, C prototypes of a
chunk. Tensors have the prototypes in front, (C, B, T), so that a chunk is one piece of memory.
"""

import math
from typing import Any

import torch
from torch import Tensor

from sign2gpt.model.precision import kind_of

_LOG2_E = math.log2(math.e)
_PADDING = -1e30  # similarity of a padding token: all its exponentials are exactly 0


def presence_of(
    projected: Tensor, prototypes: Tensor, mask: Tensor, tau_time: Tensor, tau_prototype: Tensor
) -> Tensor:
    """Ê of equation 5, (B, V), with gradients for `projected` and both temperatures.

    Args:
        projected: z' (B, T, E), each of length 1; float32 or float64, as all the others.
        prototypes: P (V, E), each of length 1; without the zero prototype.
        mask: (B, T) bool, true for real tokens.
        tau_time, tau_prototype: temperatures, scalars.
    """
    return _Presence.apply(projected, prototypes, mask, tau_time, tau_prototype)


def _chunk(prototypes: Tensor, tokens: int) -> int:
    """Prototypes a chunk: a million similarities on a CPU, more where launches cost more."""
    similarities = 2**20 if kind_of(prototypes.device) == "cpu" else 2**26
    return max(1, similarities // tokens)


class _Presence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, prototypes: Tensor, mask: Tensor, *taus: Tensor
    ) -> Tensor:
        columns = projected.flatten(0, 1).T.contiguous()  # (E, N)
        padding = _PADDING * (~mask).flatten().to(projected.dtype)
        chunks = [
            torch.addmm(padding, part, columns).view(-1, *mask.shape)  # equation 2
            for part in prototypes.split(_chunk(prototypes, mask.numel()))
        ]
        # What the softmax over prototypes needs: its greatest similarity and its denominator. The
        # zero prototype is in both, by its similarity 0.
        top = torch.stack([similarity.amax(0) for similarity in chunks]).amax(0).clamp(min=0.0)
        rate = _LOG2_E / taus[1]
        total = torch.exp2(-top * rate)
        for similarity in chunks:
            total += (similarity - top).mul_(rate).exp2_().sum(0)
        share = 1 / total
        presence = [
            _over_time(similarity, taus[0])
            .mul_(_over_prototypes(similarity, taus[1], top, share))  # E
            .sum(-1)  # equation 5
            for similarity in chunks
        ]
        found = torch.cat(presence)  # (V, B)
        ctx.save_for_backward(prototypes, top, share, found, *taus, *chunks)
        ctx.size = projected.shape
        return found.T.contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """With E = U W, U over time and W over prototypes, g the gradient of Ê:

        dS = U g (W - Ê) / tau_T + W (U g - c) / tau_U, where c is the sum of E g over prototypes,
        and dtau is minus the sum of S times its part of dS, over tau.
        """
        prototypes, top, share, found, tau_time, tau_prototype, *chunks = ctx.saved_tensors
        sizes = [len(similarity) for similarity in chunks]
        columns = (gradient.T.contiguous()[..., None], found[..., None], prototypes)
        parts = list(zip(chunks, *(whole.split(sizes) for whole in columns), strict=True))
        among_all = torch.zeros_like(top)  # c
        for similarity, wanted, _, _ in parts:
            chosen = _over_prototypes(similarity, tau_prototype, top, share)
            among_all += _over_time(similarity, tau_time).mul_(wanted).mul_(chosen).sum(0)
        projected = gradient.new_zeros(prototypes.shape[1], top.numel())  # (E, N)
        slopes = gradient.new_zeros(2)
        for similarity, wanted, presence, part in parts:
            weighted = _over_time(similarity, tau_time).mul_(wanted)  # U g
            chosen = _over_prototypes(similarity, tau_prototype, top, share)  # W
            in_time = (chosen - presence).mul_(weighted).div_(tau_time)
            among = weighted.sub_(among_all).mul_(chosen).div_(tau_prototype)
            flat = similarity.view(-1)
            slopes[0] -= torch.dot(flat, in_time.view(-1))
            slopes[1] -= torch.dot(flat, among.view(-1))
            projected.addmm_(part.T, in_time.add_(among).view(len(part), -1))
        taus = (slopes[0] / tau_time, slopes[1] / tau_prototype)
        return projected.T.reshape(ctx.size), None, None, *taus


def _over_time(similarity: Tensor, tau: Tensor) -> Tensor:
    """Softmax over time, equation 3, (C, B, T)."""
    return (similarity / tau).softmax(-1)


def _over_prototypes(similarity: Tensor, tau: Tensor, top: Tensor, share: Tensor) -> Tensor:
    """Softmax over prototypes, equation 4, (C, B, T), from each token's greatest similarity and
    1 / denominator."""
    return (similarity - top).mul_(_LOG2_E / tau).exp2_().mul_(share)
