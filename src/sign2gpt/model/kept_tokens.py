"""A head for some tokens of a large vocabulary: only these can be said.

XGLM's head has 256,008 rows, near half of the weights of XGLM-564M that a token reads; the
sentences of a corpus use a few thousand of them.

Shapes: W language model's width, M vocabulary, K tokens kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from sign2gpt.errors import UserError

if TYPE_CHECKING:
    from sign2gpt.model.decoder import GatedDecoder

MakeLinear = Callable[[Tensor, Tensor | None], nn.Module]


class KeptHead(nn.Module):
    """The head's rows of K kept tokens; the logits of all others are -inf.

    Token ids, the tokenizer and the search stay as they are.
    """

    kept: Tensor

    def __init__(self, rows: nn.Module, kept: Tensor, vocab_size: int):
        super().__init__()
        self.rows = rows
        self.vocab_size = vocab_size
        self.register_buffer("kept", kept)

    def forward(self, features: Tensor) -> Tensor:
        """(*, W) -> (*, M)."""
        scores = self.rows(features)
        logits = scores.new_full((*features.shape[:-1], self.vocab_size), float("-inf"))
        return logits.index_copy_(-1, self.kept, scores)


def keep_tokens(decoder: GatedDecoder, tokens: Iterable[int], make: MakeLinear) -> None:
    """Let a decoder say some tokens only, in generation; what it reads stays as it is.

    The kept tokens' logits are those of the whole head, so their order is, too. Their
    probabilities are higher, as the others have none. A sentence of other tokens cannot be said,
    and a loss means nothing any more: label smoothing finds the others impossible.

    Args:
        decoder: its head is replaced.
        tokens: their ids; the ends of sentences must be among them.
        make: weight (K, W) and bias (K,) or None -> the linear layer to use.

    Raises:
        UserError: no token, or an id that is not in the vocabulary.
    """
    head = decoder.language_model.get_output_embeddings()
    size = len(head.weight)
    kept = torch.tensor(sorted(set(tokens)), dtype=torch.long, device=head.weight.device)
    if not len(kept) or kept[0] < 0 or kept[-1] >= size:
        raise UserError(f"The tokens to keep must be ids from 0 to {size - 1}; give at least one.")
    bias = None if head.bias is None else head.bias[kept]
    decoder.head = KeptHead(make(head.weight[kept], bias), kept, size)


def plain_linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A frozen linear layer of a weight (O, I) and a bias (O,) or None."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    linear.weight = nn.Parameter(weight, requires_grad=False)
    linear.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
    return linear
