"""Spatial model: single frames -> Z*, a frozen vision model with adapters (section 3.1).

Frames of all clips are packed end to end: no padding frame enters the backbone or the BatchNorm.
Only the class token leaves the last block, so that block computes its query and MLP for it alone.

Shapes: N frames of all clips, H x W pixels, P tokens a frame (class token and patches), C backbone
width, D sign width.
"""

from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig

from sign2gpt.errors import UserError
from sign2gpt.model.configuration import Sign2GPTConfig
from sign2gpt.model.lora import AdaptedLinear, LowRankAdapter, adapt, linear_names

FRAMES_AT_ONCE = 64  # without gradients, frames pass in groups: less memory, warmer caches
SPATIAL_LORA_STD = 0.02


def frozen_copy(config: PreTrainedConfig, keep_dropout: bool) -> PreTrainedConfig:
    """A frozen model's configuration, its own dropout off unless asked for."""
    copy = deepcopy(config)
    copy.dtype = None  # the dtype is that of the whole model
    if not keep_dropout:
        for name in list(copy.to_dict()):
            if "dropout" in name or name in ("layerdrop", "drop_path_rate"):
                setattr(copy, name, 0.0)
    return copy


class SpatialModel(nn.Module):
    """The vision model, the linear layer C -> D and the BatchNorm over all real frames."""

    def __init__(self, config: Sign2GPTConfig):
        super().__init__()
        self.config = config
        vision = config.vision_config
        keep = config.frozen_dropout or config.train_backbone
        self.backbone = AutoModel.from_config(frozen_copy(vision, keep))
        self.is_transformer = vision.model_type == "dinov2"
        width = vision.hidden_size if self.is_transformer else vision.hidden_sizes[-1]
        self.projection = nn.Linear(width, config.sign_hidden_size)
        self.norm = nn.BatchNorm1d(config.sign_hidden_size)
        self._interpolated: tuple[tuple, Tensor] | None = None
        if self.is_transformer:
            self._add_adapters()

    def frozen_parameters(self) -> list[nn.Parameter]:
        """What no training changes: the backbone's own weights, unless `train_backbone`."""
        if self.config.train_backbone:
            return []
        learnt = {
            parameter
            for module in self.backbone.modules()
            if isinstance(module, LowRankAdapter)
            for parameter in module.parameters()
        }
        return [weight for weight in self.backbone.parameters() if weight not in learnt]

    def frozen_tokens(self, pixel_values: Tensor) -> Tensor:
        """Everything below the first adapter, without gradients: worth storing once.

        Args:
            pixel_values: (N, 3, H, W), uint8 RGB, or float already normalised.

        Returns:
            frame_tokens (N, P, C), input of the first adapted block. With nothing to adapt above
            (no spatial adapters, or a frozen ResNet) P is 1: the finished feature of the frame.

        Raises:
            UserError: `train_backbone` is set, so nothing is frozen.
        """
        if self.config.train_backbone:
            raise UserError("With train_backbone no part of the vision model is frozen to store.")
        with torch.no_grad():
            return self._by_groups(self._below, pixel_values)

    def forward(
        self, pixel_values: Tensor | None = None, frame_tokens: Tensor | None = None
    ) -> Tensor:
        """Frames to Z*.

        Args:
            pixel_values: (N, 3, H, W), uint8 RGB, or float already normalised; or
            frame_tokens: (N, P, C) from `frozen_tokens`.

        Returns:
            Z* (N, D), after linear layer and BatchNorm.

        Raises:
            UserError: not exactly one of the two is given.
        """
        if (pixel_values is None) == (frame_tokens is None):
            raise UserError("Give either pixel_values or frame_tokens to the spatial model.")
        if frame_tokens is None and not self.config.train_backbone and torch.is_grad_enabled():
            frame_tokens = self.frozen_tokens(pixel_values)
        if frame_tokens is not None:
            frame_tokens = frame_tokens.to(self.projection.weight.dtype)
            features = self._by_groups(self._above, frame_tokens)
        else:
            features = self._by_groups(
                lambda frames: self._above(self._below(frames)), pixel_values
            )
        projected = self.projection(features)
        if self.training and self.norm.training and len(projected) == 1:
            # One frame has no variance; its running estimate stands in.
            norm = self.norm
            return F.batch_norm(
                projected, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
            )
        return self.norm(projected)

    def normalise(self, pixel_values: Tensor) -> Tensor:
        """uint8 RGB (N, 3, H, W) to normalised floats; floats pass as they are."""
        dtype = self.projection.weight.dtype
        if pixel_values.is_floating_point():
            return pixel_values.to(dtype)
        mean = torch.tensor(self.config.image_mean, device=pixel_values.device).view(3, 1, 1)
        std = torch.tensor(self.config.image_std, device=pixel_values.device).view(3, 1, 1)
        return ((pixel_values.float() / 255 - mean) / std).to(dtype)

    def train(self, mode: bool = True) -> "SpatialModel":
        super().train(mode)
        if not self.is_transformer and not self.config.train_backbone:
            self.backbone.eval()  # a frozen ResNet's BatchNorms keep their statistics
        return self

    def _add_adapters(self) -> None:
        config = self.config
        count = config.spatial_lora_layers
        blocks = list(self.backbone.encoder.layer)
        self.first_adapted = len(blocks) - count
        for block in blocks[self.first_adapted :]:
            for part in (block.attention, block.mlp):
                names = linear_names(part)
                inner = names if part is block.mlp else [n for n in names if n[0] in "qkv"]
                outer = [name for name in names if name not in inner]
                shared = config.spatial_lora_shared_qkv and part is block.attention
                for group, share in ((inner, shared), (outer, False)):
                    adapt(
                        part,
                        group,
                        config.spatial_lora_rank,
                        config.spatial_lora_alpha,
                        config.spatial_lora_dropout,
                        SPATIAL_LORA_STD,
                        share,
                    )
        adapted = sum(isinstance(module, AdaptedLinear) for module in self.backbone.modules())
        a_block = 4 + (3 if config.vision_config.use_swiglu_ffn else 2)
        if adapted != count * a_block:
            raise RuntimeError(f"{adapted} layers were adapted where {count * a_block} were due")

    def _by_groups(self, run: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor:
        if torch.is_grad_enabled() or len(frames) <= FRAMES_AT_ONCE:
            return run(frames)
        return torch.cat([run(group) for group in frames.split(FRAMES_AT_ONCE)])

    def _below(self, pixel_values: Tensor) -> Tensor:
        """Frames (N, 3, H, W) -> input of the first adapted block (N, P, C)."""
        frames = self.normalise(pixel_values)
        with nullcontext() if self.config.train_backbone else torch.no_grad():
            if not self.is_transformer:
                return self.backbone(frames).pooler_output.flatten(1)[:, None]
            tokens = self._embed(frames)
            if self.config.spatial_lora_layers == 0:
                return self._class_token(tokens, first=0)[:, None]
            for block in self.backbone.encoder.layer[: self.first_adapted]:
                tokens = block(tokens)
            return tokens

    def _above(self, frame_tokens: Tensor) -> Tensor:
        """Input of the first adapted block (N, P, C) -> the frame's feature (N, C)."""
        if not self.is_transformer or self.config.spatial_lora_layers == 0:
            return frame_tokens[:, 0]
        return self._class_token(frame_tokens, self.first_adapted)

    def _embed(self, frames: Tensor) -> Tensor:
        embeddings = self.backbone.embeddings
        patches = embeddings.patch_embeddings(frames)
        class_token = embeddings.cls_token.expand(len(frames), -1, -1)
        tokens = torch.cat((class_token, patches), dim=1)
        return embeddings.dropout(tokens + self._positions(tokens, *frames.shape[-2:]))

    def _positions(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """The position table for this frame size, kept while it is frozen."""
        embeddings = self.backbone.embeddings
        if torch.is_grad_enabled():
            return embeddings.interpolate_pos_encoding(tokens, height, width)
        table = embeddings.position_embeddings
        key = (height, width, table.dtype, table.device, table.data_ptr(), table._version)
        if self._interpolated is None or self._interpolated[0] != key:
            positions = embeddings.interpolate_pos_encoding(tokens, height, width)
            self._interpolated = (key, positions)
        return self._interpolated[1]

    def _class_token(self, tokens: Tensor, first: int) -> Tensor:
        """Blocks from `first` on and the final norm: (N, P, C) -> class token (N, C)."""
        blocks = self.backbone.encoder.layer
        for block in blocks[first:-1]:
            tokens = block(tokens)
        last = blocks[-1]
        attention = last.attention
        normed = last.norm1(tokens)
        query, key, value = (
            projection(part).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
            for projection, part in (
                (attention.q_proj, normed[:, :1]),
                (attention.k_proj, normed),
                (attention.v_proj, normed),
            )
        )
        dropout = attention.attention_dropout if self.training else 0.0
        heads = F.scaled_dot_product_attention(query, key, value, None, dropout)
        attended = attention.o_proj(heads.transpose(1, 2).flatten(2))
        token = tokens[:, :1] + last.drop_path(last.layer_scale1(attended))
        token = token + last.drop_path(last.layer_scale2(last.mlp(last.norm2(token))))
        return self.backbone.layernorm(token)[:, 0]
