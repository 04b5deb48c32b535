"""Sign encoder: features of single frames -> sign features (section 3.1).

Post-norm transformer layers with local rotary self-attention and LayerScale; average pooling halves
the frame rate after one of them.

Shapes: B clips, N frames of all clips packed end to end, T tokens, D sign width, H heads,
Dh = D / H.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sign2gpt.errors import UserError
from sign2gpt.model.configuration import Sign2GPTConfig
from sign2gpt.model.dropout import dropout
from sign2gpt.model.local_attention import local_attention
from sign2gpt.model.positions import add_sinusoidal_positions, rotary_positions, rotate


def length_mask(num_tokens: Tensor, length: int) -> Tensor:
    """(B,) numbers of tokens -> (B, T) bool, true for real tokens."""
    return torch.arange(length, device=num_tokens.device)[None, :] < num_tokens[:, None]


def pad_clips(packed: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
    """Packed frames (N, D) -> zero-padded clips (B, T, D) and their mask (B, T).

    Clips of one length share the memory of `packed`.

    Raises:
        UserError: a clip has no frame, or `num_frames` does not add up to N.
    """
    counts = [int(count) for count in num_frames.tolist()]
    if min(counts, default=0) < 1 or sum(counts) != packed.shape[0]:
        raise UserError(
            f"num_frames {counts} does not describe {packed.shape[0]} packed frames; give each "
            "clip's number of frames, at least 1, in the order in which they are packed."
        )
    mask = length_mask(num_frames.to(packed.device), max(counts))
    if len(set(counts)) == 1:  # nothing to pad
        return packed.view(*mask.shape, -1), mask
    padded = packed.new_zeros(*mask.shape, packed.shape[-1])
    padded[mask] = packed
    return padded, mask


class SignEncoderLayer(nn.Module):
    """Post-norm transformer layer; both branches carry dropout, LayerScale and stochastic depth."""

    def __init__(self, config: Sign2GPTConfig, drop_path: float):
        super().__init__()
        width = config.sign_hidden_size
        self.num_heads = config.num_sign_heads
        self.window = config.attention_window
        self.dropout = config.sign_dropout
        self.drop_path = drop_path
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.expand = nn.Linear(width, config.sign_intermediate_size)
        self.contract = nn.Linear(config.sign_intermediate_size, width)
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.attention_scale = nn.Parameter(torch.full((width,), config.sign_layer_scale))
        self.feed_forward_scale = nn.Parameter(torch.full((width,), config.sign_layer_scale))
        for linear in (self.query, self.key, self.value, self.out, self.expand, self.contract):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, tokens: Tensor, mask: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """Tokens (B, T, D), mask (B, T) bool, rotary tables -> (B, T, D)."""
        attended = self._attend(tokens, mask, rotary)
        tokens = self.attention_norm(tokens + self._branch(attended, self.attention_scale))
        hidden = dropout(F.gelu(self.expand(tokens)), self.dropout, self.training, inplace=True)
        fed = self._branch(self.contract(hidden), self.feed_forward_scale)
        return self.feed_forward_norm(tokens + fed)

    def _attend(self, tokens: Tensor, mask: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        three = (self.query, self.key, self.value)  # one matmul is faster than three
        weight = torch.cat([projection.weight for projection in three])
        bias = torch.cat([projection.bias for projection in three])
        projected = F.linear(tokens, weight, bias).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = projected.transpose(1, 3).unbind(2)  # each (B, H, T, Dh)
        query, key = rotate(query, rotary), rotate(key, rotary)
        dropped = self.dropout if self.training else 0.0
        heads = local_attention(query, key, value, mask, self.window, dropped)
        return self.out(heads.transpose(1, 2).flatten(2))

    def _branch(self, branch: Tensor, scale: Tensor) -> Tensor:
        """Dropout, LayerScale and stochastic depth: a clip's whole branch is left out at random."""
        branch = dropout(branch, self.dropout, self.training)
        if self.training and self.drop_path > 0.0:
            kept = branch.new_empty(branch.shape[0], 1, 1).bernoulli_(1.0 - self.drop_path)
            scale = scale * (kept / (1.0 - self.drop_path))  # (B, 1, D): smaller than the branch
        return branch * scale


class SignEncoder(nn.Module):
    """Z* of packed frames -> Z of each clip.

    With no layer (`num_sign_layers=0`, Table 10) the frames' features pass through as they are.
    """

    def __init__(self, config: Sign2GPTConfig):
        super().__init__()
        self.config = config
        depth = config.num_sign_layers
        self.layers = nn.ModuleList(
            SignEncoderLayer(config, config.sign_drop_path * index / max(depth - 1, 1))
            for index in range(depth)
        )
        self.gradient_checkpointing = False

    def forward(self, frame_features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Encode clips; a clip's features do not depend on the clips beside it.

        Args:
            frame_features: Z*, (N, D) packed end to end, or (B, T*, D) padded.
            num_frames: (B,) int64 frames of each clip.

        Returns:
            sign_features Z (B, T, D), zero at padding, and sign_mask (B, T) bool; a clip of n
            frames has ceil(n / 2) tokens (n without downsampling).

        Raises:
            UserError: `num_frames` does not describe the features.
        """
        if frame_features.dim() == 2:
            tokens, mask = pad_clips(frame_features, num_frames)
        else:
            mask = length_mask(num_frames.to(frame_features.device), frame_features.shape[1])
            tokens = frame_features * mask[..., None]
        if not self.layers:
            return tokens, mask
        tokens = add_sinusoidal_positions(tokens)
        head_width = tokens.shape[-1] // self.config.num_sign_heads
        rotary = rotary_positions(tokens.shape[1], head_width, tokens.device)
        for index, layer in enumerate(self.layers):
            if index == self.config.downsample_after:
                tokens, mask, rotary = self._downsample(tokens, mask, rotary)
            tokens = self._run(layer, tokens, mask, rotary)
        if self.config.downsample_after == len(self.layers):
            tokens, mask, rotary = self._downsample(tokens, mask, rotary)
        return tokens * mask[..., None], mask

    def _run(
        self, layer: nn.Module, tokens: Tensor, mask: Tensor, rotary: tuple[Tensor, Tensor]
    ) -> Tensor:
        if self.gradient_checkpointing and self.training:
            return self._gradient_checkpointing_func(layer, tokens, mask, rotary)
        return layer(tokens, mask, rotary)

    @staticmethod
    def _downsample(
        tokens: Tensor, mask: Tensor, rotary: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Average pooling, kernel 3, stride 2; token t stands for frames 2t - 1, 2t, 2t + 1.

        Padding counts as zeros, as at a clip's own ends, and a token is real where its middle
        frame is: the same tokens whether the clip stands alone or in a batch.
        """
        real = (tokens * mask[..., None]).transpose(1, 2)
        pooled = F.avg_pool1d(real, kernel_size=3, stride=2, padding=1).transpose(1, 2)
        length = pooled.shape[1]
        return pooled, mask[:, ::2], (rotary[0][:length], rotary[1][:length])
