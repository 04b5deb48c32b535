"""Self-attention in a window, linear in the number of tokens.

Tokens are cut into blocks; a block's queries look at the block and a halo of half a window on each
side, so that a few small matmuls over all blocks do the work.

Shapes: B clips, H heads, T tokens, Dh width of a head, N blocks, S tokens a block, R = window // 2
tokens of halo on each side, K = S + 2 R.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from sign2gpt.model.dropout import dropout
from sign2gpt.model.precision import kind_of

BLOCK = 16  # measured: 8 and 32 are slower on a CPU, window 7 (docs/log.md)


def local_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    window: int | None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Attention of each token to the `window` tokens centred on it (section 3.1).

    Args:
        query, key, value: (B, H, T, Dh).
        mask: (B, T) bool, true for real tokens; the others are never attended to.
        window: odd number of tokens seen, or None for all of them.
        dropout_p: dropout on the attention weights (give 0 outside training).

    Returns:
        (B, H, T, Dh); rows of padding tokens are finite and mean nothing.
    """
    length = query.shape[2]
    if window is None:
        allowed = mask[:, None, None, :]
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=allowed, dropout_p=dropout_p
        )
    radius = window // 2
    block = max(BLOCK, radius)  # a halo reaches no further than the next block
    if length <= 2 * block:
        allowed = _window_mask(mask[:, None, :], length, radius, before=0)
        return _attend(query, key, value, allowed, dropout_p)
    after = -length % block
    if after:
        query, key, value = (F.pad(heads, (0, 0, 0, after)) for heads in (query, key, value))
    real = F.pad(mask, (radius, radius + after)).unfold(1, block + 2 * radius, block)  # (B, N, K)
    out = _attend(
        query.unflatten(2, (-1, block)),
        _with_halo(key.unflatten(2, (-1, block)), radius),
        _with_halo(value.unflatten(2, (-1, block)), radius),
        _window_mask(real, block, radius, before=radius)[:, None],
        dropout_p,
    )
    return out.flatten(2, 3)[:, :, :length]


def _with_halo(blocks: Tensor, radius: int) -> Tensor:
    """(B, H, N, S, Dh) -> (B, H, N, K, Dh): each block between the ends of its neighbours."""
    if radius == 0:
        return blocks
    before = F.pad(blocks[:, :, :-1, -radius:], (0, 0, 0, 0, 1, 0))
    after = F.pad(blocks[:, :, 1:, :radius], (0, 0, 0, 0, 0, 1))
    return torch.cat((before, blocks, after), dim=3)


def _window_mask(real: Tensor, queries: int, radius: int, before: int) -> Tensor:
    """(B, N, K) bool, true for real keys -> (B, N, S, K) bool: those that a query may see.

    `before` keys stand before the first query's own. A padding token sees at least itself: a row
    without any key would be NaN.
    """
    keys = torch.arange(real.shape[-1], device=real.device) - before
    distance = (keys[None, :] - torch.arange(queries, device=real.device)[:, None]).abs()
    return (distance <= radius) & real[:, :, None, :] | (distance == 0)


def _attend(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor, dropout_p: float) -> Tensor:
    """Attention of (..., S, Dh) to (..., K, Dh), where (..., S, K) allows it -> (..., S, Dh)."""
    if kind_of(query.device) == "cpu" and (torch.is_grad_enabled() or dropout_p > 0):
        # Twice as fast as the call below, which in training goes through float32 and more copies;
        # and a reentrant checkpoint's first run, without gradients, drops what its second one does.
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        barred = torch.zeros(allowed.shape).masked_fill_(~allowed, float("-inf"))
        weights = (scores + barred).softmax(-1).to(query.dtype)  # softmax in float32
        return dropout(weights, dropout_p) @ value
    # Fused kernels take four dimensions: blocks stand beside heads.
    sizes = query.shape
    if query.dim() == 5:
        allowed = allowed.expand(*sizes[:3], -1, -1).flatten(1, 2)
        query, key, value = (heads.flatten(1, 2) for heads in (query, key, value))
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed, dropout_p=dropout_p)
    return out.view(sizes)
