"""The likeliest next tokens of each text, in place of scores for a whole vocabulary.

A beam search looks at the best few continuations of each beam. transformers brings all scores to
float32, to log-probabilities and to their sums with the beams' own, in a tensor each: at XGLM's
256,008 tokens and 32 beams a fifth of a token's time on a CPU. Here these steps are done for two
texts at a time, in the processor's cache, and what they leave is a vocabulary of K + 1: the best K
tokens, and all others as one. The search goes on with it as with any other.

Shapes: N texts, K tokens on the list, M tokens that can be said.
"""

import torch
from torch import Tensor

_ROWS = 2  # texts at once
_DEPTH = 32  # values of which the greatest is looked for first


class Shortlist:
    """Of each text's next tokens; made anew for each of them.

    Args:
        size: K.

    Attributes:
        tokens: (N, K), the ids of those on the list, of the last scores.
    """

    def __init__(self, size: int):
        self.size = size
        self.tokens = torch.empty(0, size, dtype=torch.long)

    def of(self, scores: Tensor, ids: Tensor | None = None) -> Tensor:
        """Scores (N, M) -> log-probabilities (N, K + 1) of the list, in float32: of its tokens,
        best first, and last of all others together. With fewer than K tokens all are on it.

        Args:
            scores: before the softmax.
            ids: (M,), the scored tokens' ids; None = 0 to M - 1.
        """
        size = min(self.size, scores.shape[-1])
        parts = [
            _best(torch.log_softmax(part, -1, dtype=torch.float32), size)
            for part in scores.split(_ROWS)
        ]
        best, tokens = (torch.cat(values) for values in zip(*parts, strict=True))
        self.tokens = tokens if ids is None else ids[tokens]
        others = 1 - best.exp().sum(-1, keepdim=True)
        return torch.cat([best, others.clamp_min(0).log()], -1)


def _best(values: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """`values.topk(size)` of (N, M), among the columns of a table whose greatest are the greatest:
    torch sorts pairs of all values and their places, which takes four times as long."""
    width = values.shape[-1] // _DEPTH
    if width < size:
        return values.topk(size)
    table = values[:, : _DEPTH * width].unflatten(-1, (_DEPTH, width))
    columns = table.amax(1).topk(size).indices  # the best ones stand in these
    places = (width * torch.arange(_DEPTH)[:, None] + columns[:, None]).flatten(1)
    left = torch.arange(_DEPTH * width, values.shape[-1]).expand(len(values), -1)
    places = torch.cat([places, left], 1)
    best, at = values.gather(1, places).topk(size)
    return best, places.gather(1, at)
