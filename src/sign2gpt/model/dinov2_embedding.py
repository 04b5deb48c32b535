"""DINOv2's first layer made ready once: from frames to tokens by one product.

A convolution whose step is its width multiplies each patch by a matrix. Normalisation is linear as
well, so that of bytes it is part of that matrix and its bias: then what is multiplied are the bytes
themselves, which bfloat16 holds as they are, and not normalised values, which it rounds.

Shapes: N frames, H x W pixels, p x p pixels of a patch, P tokens a frame (class token and patches),
C width.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sign2gpt.model.configuration import Sign2GPTConfig
from sign2gpt.model.packed_linear import PackedLinear
from sign2gpt.model.precision import autocast_dtype, no_autocast


def normalised(
    frames: Tensor, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype
) -> Tensor:
    """uint8 RGB (N, 3, H, W) to (x / 255 - mean) / std; floats pass as they are."""
    if frames.is_floating_point():
        return frames.to(dtype)
    centre, spread = (torch.tensor(one, device=frames.device).view(3, 1, 1) for one in (mean, std))
    return ((frames.float() / 255 - centre) / spread).to(dtype)


class ReadyEmbedding:
    """Frames to the first block's tokens, for as long as what that takes is frozen.

    Args:
        embeddings: transformers' `Dinov2Embeddings`.
        config: whose `image_mean` and `image_std`, of RGB from 0 to 1, normalise bytes.
    """

    def __init__(self, embeddings: nn.Module, config: Sign2GPTConfig):
        self.embeddings, self.config = embeddings, config
        self._positions: tuple[tuple, Tensor, Tensor] | None = None
        self._patches: dict[bool, tuple[tuple, list[Tensor], PackedLinear]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """A copy makes ready what it needs itself, as its weights are others."""
        return self.__dict__ | {"_positions": None, "_patches": {}}

    def forget(self) -> None:
        """Make anew what is kept between two calls."""
        self._positions, self._patches = None, {}

    def __call__(self, frames: Tensor) -> Tensor:
        """uint8 RGB, or float already normalised, (N, 3, H, W) -> (N, P, C)."""
        embeddings = self.embeddings
        packed = self._packed(frames)
        if packed is not None:
            with no_autocast(frames.device):
                tokens = self._by_one_product(frames, packed)
            return embeddings.dropout(tokens)
        weight = embeddings.patch_embeddings.projection.weight
        mean, std = self.config.image_mean, self.config.image_std
        patches = embeddings.patch_embeddings(normalised(frames, mean, std, weight.dtype))
        class_token = embeddings.cls_token.expand(len(frames), -1, -1)
        tokens = torch.cat((class_token, patches), dim=1)
        return embeddings.dropout(tokens + self._interpolated(tokens, *frames.shape[-2:]))

    def _by_one_product(self, frames: Tensor, packed: PackedLinear) -> Tensor:
        height, width = frames.shape[-2:]
        rows, columns = self.embeddings.patch_embeddings.patch_size
        cut = frames.to(packed.dtype).unflatten(-1, (-1, columns)).unflatten(-3, (-1, rows))
        # (N, 3, H / p, p, W / p, p) -> a row of 3 p^2 values for each patch
        patches = packed(cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2))
        class_token = self.embeddings.cls_token.to(packed.dtype)
        tokens = patches.new_empty(len(frames), 1 + patches.shape[1], patches.shape[2])
        positions = self._interpolated(tokens, height, width).to(packed.dtype)
        tokens[:, :1] = class_token + positions[:, :1]
        torch.add(patches, positions[:, 1:], out=tokens[:, 1:])
        return tokens

    def _packed(self, frames: Tensor) -> PackedLinear | None:
        """The patches' product with these frames, kept while its weights are frozen; None where
        there is none: with gradients, and where nobody counts the weights' changes."""
        projection = self.embeddings.patch_embeddings.projection
        weight, bias = projection.weight, projection.bias
        learns = (
            weight.requires_grad or bias.requires_grad or self.embeddings.cls_token.requires_grad
        )
        dtype = autocast_dtype(frames.device) or weight.dtype
        if learns or weight.is_inference() or bias.is_inference():
            self._patches.clear()
            return None
        if torch.is_grad_enabled():
            return None
        fits = PackedLinear.possible(torch.empty(0, dtype=dtype, device=frames.device))
        if not fits or weight.dtype not in (torch.float32, dtype):  # nor would the norms take it
            return None
        of_bytes = not frames.is_floating_point()
        colours = (*self.config.image_mean, *self.config.image_std)
        key = (dtype, colours, *((one.data_ptr(), one._version) for one in (weight, bias)))
        known = self._patches.get(of_bytes)
        if known is None or known[0] != key:
            with torch.inference_mode(False), torch.no_grad():
                # Held, so that other weights cannot come to lie where these were.
                held = [weight.detach(), bias.detach()]
                known = (key, held, self._lay_out(weight, bias, dtype, of_bytes))
                self._patches[of_bytes] = known
        return known[2]

    def _lay_out(
        self, weight: Tensor, bias: Tensor, dtype: torch.dtype, of_bytes: bool
    ) -> PackedLinear:
        """W (C, 3, p, p) and b of a patch's values, or of its bytes x: W' = W / (255 std), and
        b' = b - W' (255 mean), by W' as it is rounded."""
        weight, bias = weight.float(), bias.float()
        if of_bytes:
            colours = (self.config.image_mean, self.config.image_std)
            mean, std = (weight.new_tensor(one).view(3, 1, 1) for one in colours)
            weight = (weight / (255 * std)).to(dtype)
            bias = bias - (weight.float() * (255 * mean)).sum((1, 2, 3))
        return PackedLinear(weight.flatten(1).to(dtype), bias, rows=4096)

    def _interpolated(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """The position table for this frame size (1, P, C), kept while it is frozen."""
        table = self.embeddings.position_embeddings
        if table.requires_grad or table.is_inference():  # nobody counts its changes
            self._positions = None
            return self.embeddings.interpolate_pos_encoding(tokens, height, width)
        key = (height, width, table.dtype, table.device, table.data_ptr(), table._version)
        known = self._positions
        if known is None or known[0] != key:
            with torch.inference_mode(False), torch.no_grad():  # training may use it later
                positions = self.embeddings.interpolate_pos_encoding(tokens, height, width)
            # Held, so that another table cannot come to lie where this one was.
            known = self._positions = (key, table.detach(), positions)
        return known[2]
