"""Spatial model: single frames -> Z*, a frozen vision model with adapters (section 3.1).

Frames of all clips are packed end to end: no padding frame enters the backbone or the BatchNorm.

Shapes: N frames of all clips, H x W pixels, P tokens a frame (class token and patches), C backbone
width, D sign width.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sign2gpt.errors import UserError
from sign2gpt.model.backbone import build_backbone, check_frame_size
from sign2gpt.model.configuration import Sign2GPTConfig
from sign2gpt.model.lora import LowRankAdapter
from sign2gpt.model.precision import autocast_dtype, kind_of

# Frames pass in groups: less memory, and on a CPU what a block keeps between two products stays in
# the cache, in memory that the allocator gives again (beyond 32 MB it asks the system each time).
FRAMES_AT_ONCE = 64
# On a CPU so many values of 32 bits, of frames or of their tokens: 16 of 224 x 224 in ViT-S/14;
# twice as many of 16 bits.
PIXELS_AT_ONCE, TOKENS_AT_ONCE = 2_410_000, 1_600_000


class SpatialModel(nn.Module):
    """The vision model, the linear layer C -> D and the BatchNorm over all real frames."""

    def __init__(self, config: Sign2GPTConfig):
        super().__init__()
        self.config = config
        self.gradient_checkpointing = False  # set by transformers
        self.backbone, self.reader = build_backbone(config)
        self.projection = nn.Linear(self.reader.width, config.sign_hidden_size)
        self.norm = nn.BatchNorm1d(config.sign_hidden_size)
        self.reader.adapt()  # last: what a seed draws depends on the order

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
            UserError: `train_backbone` is set, so nothing is frozen; or the vision model can only
                be run whole and has adapters.
        """
        if self.config.train_backbone:
            raise UserError("With train_backbone no part of the vision model is frozen to store.")
        self.require_storable()
        check_frame_size(self.config.vision_config, *pixel_values.shape[-2:])
        with torch.no_grad():
            return self._by_groups(self.reader.below, pixel_values)

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
            UserError: not exactly one of the two is given, or frames of a size that the vision
                model does not take.
        """
        if (pixel_values is None) == (frame_tokens is None):
            raise UserError("Give either pixel_values or frame_tokens to the spatial model.")
        stores = self.reader.storable and not self.config.train_backbone
        if frame_tokens is None and stores and torch.is_grad_enabled():
            frame_tokens = self.frozen_tokens(pixel_values)
        if frame_tokens is not None:
            self.require_storable()
            features = self._by_groups(self.reader.above, frame_tokens, each_alone=True)
            features = features.to(self.projection.weight.dtype)
        else:
            check_frame_size(self.config.vision_config, *pixel_values.shape[-2:])
            features = self._by_groups(self.reader.features, pixel_values)
        projected = self.projection(features)
        if self.training and self.norm.training and len(projected) == 1:
            # One frame has no variance; its running estimate stands in.
            norm = self.norm
            return F.batch_norm(
                projected, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
            )
        return self.norm(projected)

    def train(self, mode: bool = True) -> "SpatialModel":
        super().train(mode)
        self.reader.settle(mode)
        return self

    def require_storable(self) -> None:
        """Raises UserError where frame tokens can neither be made nor read."""
        if not self.reader.storable:
            raise UserError(
                f"A {self.config.vision_config.model_type} vision model with adapters only runs "
                "whole, so its frame tokens cannot be stored; train on video, or set "
                "spatial_lora_layers to 0."
            )

    @property
    def recomputes(self) -> bool:
        """Whether adapted blocks run again on the way back, a group of frames at a time, in place
        of keeping what they computed."""
        return self.gradient_checkpointing and self.training and self.reader.storable

    def _by_groups(
        self, run: Callable[[Tensor], Tensor], frames: Tensor, each_alone: bool = False
    ) -> Tensor:
        """`run` on a few frames at a time; with gradients only where it treats `each_alone` (a
        ResNet's BatchNorm does not).

        Then groups keep what the way back needs, on a CPU in small blocks of memory, or they are
        computed again on the way back, so that one group's activations are in memory at a time.
        """
        grad, on_cpu = torch.is_grad_enabled(), kind_of(frames.device) == "cpu"
        recompute = grad and each_alone and self.recomputes
        values = PIXELS_AT_ONCE if frames.dim() == 4 else TOKENS_AT_ONCE
        dtype = autocast_dtype(frames.device) or self.projection.weight.dtype
        if dtype.itemsize == 2:
            values *= 2
        size = max(1, values // frames.shape[1:].numel()) if on_cpu else FRAMES_AT_ONCE
        in_groups = not grad or recompute or (each_alone and on_cpu)
        if len(frames) <= size or not in_groups:
            return run(frames)
        groups = frames.split(size)
        if recompute:
            return torch.cat([checkpoint(run, group, use_reentrant=False) for group in groups])
        return torch.cat([run(group) for group in groups])
