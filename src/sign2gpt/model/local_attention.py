"""Self-attention in a window, linear in the number of tokens.

Tokens are cut into blocks; a block's queries look at the block and a halo of half a window on each
side, so one call of `scaled_dot_product_attention` over all blocks does the work.

Shapes: B clips, H heads, T tokens, Dh width of a head, N blocks, S tokens a block,
K = S + window - 1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 32


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
    if window is None or length <= 2 * BLOCK:
        allowed = _dense_mask(mask, window)
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=allowed, dropout_p=dropout_p
        )
    radius = window // 2
    num_blocks = -(-length // BLOCK)
    after = num_blocks * BLOCK - length
    queries = _blocks(F.pad(query, (0, 0, 0, after)), BLOCK)
    keys = _blocks(F.pad(key, (0, 0, radius, radius + after)), BLOCK + 2 * radius)
    values = _blocks(F.pad(value, (0, 0, radius, radius + after)), BLOCK + 2 * radius)
    allowed = _block_mask(F.pad(mask, (radius, radius + after)), radius)
    out = F.scaled_dot_product_attention(
        queries, keys, values, attn_mask=allowed, dropout_p=dropout_p
    )
    batch, heads, _, width = query.shape
    out = out.view(batch, num_blocks, heads, BLOCK, width).transpose(1, 2)
    return out.reshape(batch, heads, num_blocks * BLOCK, width)[:, :, :length]


def _dense_mask(mask: Tensor, window: int | None) -> Tensor:
    """(B, 1, 1 or T, T) bool: real keys within the window, and each token itself."""
    if window is None:
        return mask[:, None, None, :]
    positions = torch.arange(mask.shape[1], device=mask.device)
    distance = (positions[:, None] - positions[None, :]).abs()
    # A padding token sees at least itself: a row without any key would be NaN.
    return ((distance <= window // 2) & mask[:, None, :] | (distance == 0))[:, None]


def _blocks(padded: Tensor, size: int) -> Tensor:
    """(B, H, *, Dh) -> (B * N, H, size, Dh), blocks starting every `BLOCK` tokens."""
    blocks = padded.unfold(2, size, BLOCK)  # (B, H, N, Dh, size)
    return blocks.permute(0, 2, 1, 4, 3).flatten(0, 1)


def _block_mask(padded: Tensor, radius: int) -> Tensor:
    """Padded mask (B, N * S + 2 radius) -> (B * N, 1, S, K) bool."""
    keys = torch.arange(BLOCK + 2 * radius, device=padded.device)
    offset = keys[None, :] - radius - torch.arange(BLOCK, device=padded.device)[:, None]  # (S, K)
    real = padded.unfold(1, BLOCK + 2 * radius, BLOCK).flatten(0, 1)[:, None, :]
    return ((offset.abs() <= radius) & real | (offset == 0))[:, None]
