"""Frozen vision models behind one small interface: a frame -> its feature.

`ClassTokenReader` is DINOv2's: only the class token leaves the last block, so that block computes
its query and MLP for it alone, and what lies below the first adapter can be stored. `WholeReader`
is for any other vision model of transformers: it runs whole, and its feature is its pooled output
or its class token.

Shapes: N frames, H x W pixels, P tokens a frame (class token and patches), C the feature's width.
"""

import inspect
import re
from collections.abc import Iterable
from copy import deepcopy
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import MODEL_MAPPING, AutoModel, PreTrainedConfig, PreTrainedModel

from sign2gpt.errors import UserError
from sign2gpt.model.configuration import Sign2GPTConfig
from sign2gpt.model.dinov2_block import ReadyBlocks
from sign2gpt.model.dinov2_embedding import ReadyEmbedding, normalised
from sign2gpt.model.lora import AdaptedLinear, LowRankAdapter, adapt, linear_names

SPATIAL_LORA_STD = 0.02
_QUERY_KEY_VALUE = re.compile(r"(q|k|v|query|key|value)(_proj|_lin)?")


class FrameReader(Protocol):
    """What the spatial model asks of a vision model.

    Attributes:
        width: C.
        storable: whether `below` gives something worth storing.
    """

    width: int
    storable: bool

    def adapt(self) -> None:
        """Put adapters into the top `spatial_lora_layers` blocks."""

    def below(self, frames: Tensor) -> Tensor:
        """Frames (N, 3, H, W), uint8 RGB or float already normalised -> what the first adapted
        block reads (N, P, C); with nothing to adapt above, P is 1: the finished feature."""

    def above(self, frame_tokens: Tensor) -> Tensor:
        """What `below` gave (N, P, C) -> features (N, C)."""

    def features(self, frames: Tensor) -> Tensor:
        """Frames as in `below` -> features (N, C)."""

    def settle(self, mode: bool) -> None:
        """Put the vision model into training mode or out of it."""

    def keep_ready(self) -> None:
        """Keep what translation needs alone: it can neither be trained nor saved afterwards."""

    def forget(self) -> None:
        """Make anew what is kept between two calls."""


def frozen_copy(config: PreTrainedConfig, keep_dropout: bool) -> PreTrainedConfig:
    """A frozen model's configuration, its own dropout off unless asked for."""
    copy = deepcopy(config)
    copy.dtype = None  # the dtype is that of the whole model
    if not keep_dropout:
        for name in list(copy.to_dict()):
            if "dropout" in name or name in ("layerdrop", "drop_path_rate"):
                setattr(copy, name, 0.0)
    return copy


def build_backbone(config: Sign2GPTConfig) -> tuple[PreTrainedModel, FrameReader]:
    """The vision model, without adapters yet, and how it is read.

    Raises:
        UserError: it gives neither a pooled output nor a class token.
    """
    vision = frozen_copy(config.vision_config, config.frozen_dropout or config.train_backbone)
    if vision.model_type == "dinov2":
        backbone = AutoModel.from_config(vision)
        return backbone, ClassTokenReader(backbone, config)
    options, width = class_options(config.vision_config)
    backbone = AutoModel.from_config(vision, **options)
    return backbone, WholeReader(backbone, config, width)


def class_options(vision: PreTrainedConfig) -> tuple[dict[str, Any], int]:
    """How the vision model's class is called, and C; found on the meta device, with no weight.

    A pooling layer behind the class token is left out where its class lets it be: it belongs to
    the task the model was taught with, and many published checkpoints lack it.

    Raises:
        UserError: the model gives neither a pooled output nor a class token for single frames.
    """
    kind = vision.model_type
    if kind == "dinov2":
        return {}, vision.hidden_size
    model_class = MODEL_MAPPING.get(type(vision), None)
    reason = "is no vision model that takes single frames"
    if hasattr(vision, "mask_ratio"):
        reason, model_class = "hides patches at random", None
    elif model_class is not None and model_class.main_input_name == "pixel_values":
        pools = "add_pooling_layer" in inspect.signature(model_class.__init__).parameters
        size = _pair(getattr(vision, "image_size", None) or 224)
        reason = "gives neither a pooled output nor a class token"
        for options in ([{"add_pooling_layer": False}] if pools else []) + [{}]:
            try:
                with torch.device("meta"), torch.no_grad():
                    model = AutoModel.from_config(frozen_copy(vision, False), **options).eval()
                    feature = _feature(model, torch.zeros(1, 3, *size, dtype=model.dtype))
            except (TypeError, ValueError, RuntimeError, ImportError) as error:
                reason = f"cannot read single frames ({str(error).splitlines()[0][:150]})"
                break
            if feature is not None:
                return options, feature.shape[1]
    raise UserError(
        f"The vision model is of type {kind!r}, which {reason}; choose one with a class token or a "
        "pooled output, such as dinov2, dinov3_vit, siglip_vision_model, vit, convnext or resnet."
    )


def check_frame_size(vision: PreTrainedConfig, height: int, width: int) -> None:
    """Find out before a frame is read whether the vision model takes frames of this size.

    Raises:
        UserError: it does not, with the sizes that it takes.
    """
    kind, patch = vision.model_type, getattr(vision, "patch_size", None)
    own = getattr(vision, "image_size", None)
    takes = inspect.signature(MODEL_MAPPING[type(vision)].forward).parameters
    if own is not None and "interpolate_pos_encoding" in takes:  # a table of positions, as it is
        if (height, width) != _pair(own):
            raise UserError(
                f"The vision model ({kind}) takes frames of {' x '.join(map(str, _pair(own)))} "
                f"pixels alone, not {height} x {width}; set processor.image_size to that."
            )
    elif patch is not None and (height % _pair(patch)[0] or width % _pair(patch)[1]):
        raise UserError(
            f"The vision model ({kind}) takes frames of a multiple of {_pair(patch)[0]} pixels, "
            f"not {height} x {width}; set processor.image_size to one."
        )


def _pair(size: Any) -> tuple[int, int]:
    return (size[0], size[1]) if isinstance(size, list | tuple) else (size, size)


def _feature(model: PreTrainedModel, frames: Tensor) -> Tensor | None:
    """Features (N, C) of a whole vision model, or None where it has none."""
    output = model(pixel_values=frames)
    pooled = getattr(output, "pooler_output", None)
    if pooled is not None:
        return pooled.flatten(1)
    names = (name.rsplit(".", 1)[-1] for name, _ in model.named_parameters())
    if any(name in ("cls_token", "class_token", "class_embedding") for name in names):
        return output.last_hidden_state[:, 0]
    return None


def adapt_blocks(blocks: Iterable[nn.Module], config: Sign2GPTConfig) -> None:
    """Give every linear layer of the blocks an adapter; q, k and v share A where asked for.

    Raises:
        UserError: a block without a linear layer that an adapter can act on.
    """
    settings = (
        config.spatial_lora_rank,
        config.spatial_lora_alpha,
        config.spatial_lora_dropout,
        SPATIAL_LORA_STD,
    )
    for block in blocks:
        parts = list(block.modules())
        due = sum(isinstance(part, nn.Linear) for part in parts)
        if due == 0 or any(isinstance(part, nn.MultiheadAttention) for part in parts):
            raise UserError(
                f"The blocks of the {config.vision_config.model_type} vision model "
                f"({type(block).__name__}) have no linear layers that adapters can act on; set "
                "spatial_lora_layers to 0."
            )
        for part in parts:
            names = linear_names(part)
            triple = [name for name in names if _QUERY_KEY_VALUE.fullmatch(name)]
            adapt(part, triple, *settings, config.spatial_lora_shared_qkv)
            adapt(part, [name for name in names if name not in triple], *settings)
        adapted = sum(isinstance(part, AdaptedLinear) for part in block.modules())
        if adapted != due:
            raise RuntimeError(f"{adapted} layers were adapted where {due} were due")


class ClassTokenReader:
    """DINOv2, read for its class token alone."""

    storable = True

    def __init__(self, backbone: PreTrainedModel, config: Sign2GPTConfig):
        self.backbone, self.config = backbone, config
        self.width = config.vision_config.hidden_size
        self.adapts = config.spatial_lora_layers > 0
        self.first_adapted = len(backbone.encoder.layer) - config.spatial_lora_layers
        self.blocks = ReadyBlocks(backbone.encoder.layer)
        self.embedding = ReadyEmbedding(backbone.embeddings, config)

    def adapt(self) -> None:
        adapt_blocks(list(self.backbone.encoder.layer)[self.first_adapted :], self.config)

    def below(self, frames: Tensor) -> Tensor:
        tokens = self.embedding(frames)
        if not self.adapts:
            return self._class_token(tokens, first=0)[:, None]
        for index in range(self.first_adapted):
            tokens = self.blocks(index, tokens)
        return tokens

    def above(self, frame_tokens: Tensor) -> Tensor:
        if not self.adapts:
            return frame_tokens[:, 0]
        return self._class_token(frame_tokens, self.first_adapted)

    def features(self, frames: Tensor) -> Tensor:
        return self.above(self.below(frames))

    def settle(self, mode: bool) -> None:
        """Its dropout is off by its configuration unless it is asked for."""

    def keep_ready(self) -> None:
        self.blocks.keep_alone()

    def forget(self) -> None:
        self.blocks.forget()
        self.embedding.forget()

    def _class_token(self, tokens: Tensor, first: int) -> Tensor:
        """Blocks from `first` on and the final norm: (N, P, C) -> class token (N, C)."""
        last = len(self.blocks.blocks) - 1
        for index in range(first, last):
            tokens = self.blocks(index, tokens)
        return self.backbone.layernorm(self.blocks(last, tokens, class_token_alone=True))[:, 0]


class WholeReader:
    """Any vision model, run from the pixels to its pooled output or class token."""

    def __init__(self, backbone: PreTrainedModel, config: Sign2GPTConfig, width: int):
        self.backbone, self.config = backbone, config
        self.width = width
        self.storable = config.spatial_lora_layers == 0

    def adapt(self) -> None:
        count = self.config.spatial_lora_layers
        if count:
            adapt_blocks(list(_blocks(self.backbone))[-count:], self.config)

    def below(self, frames: Tensor) -> Tensor:
        return self.features(frames)[:, None]

    def above(self, frame_tokens: Tensor) -> Tensor:
        return frame_tokens[:, 0]

    def features(self, frames: Tensor) -> Tensor:
        given = normalised(
            frames, self.config.image_mean, self.config.image_std, self.backbone.dtype
        )
        feature = _feature(self.backbone, given)
        assert feature is not None  # `class_options` has seen it
        return feature

    def settle(self, mode: bool) -> None:
        """While it is frozen, BatchNorm keeps its statistics and, unless its dropout is asked for,
        nothing is drawn at random, as DINOv3's positions would be; the adapters alone train."""
        if self.config.train_backbone:
            return
        for module in self.backbone.modules():
            if not self.config.frozen_dropout or isinstance(
                module, nn.modules.batchnorm._BatchNorm
            ):
                module.training = mode and isinstance(module, LowRankAdapter)

    def keep_ready(self) -> None:
        """Nothing: it is read as it is."""

    def forget(self) -> None:
        """Nothing: it keeps nothing."""


def _blocks(backbone: PreTrainedModel) -> nn.ModuleList:
    """The blocks (or stages) that `num_hidden_layers` counts."""
    count = backbone.config.num_hidden_layers
    for module in backbone.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise UserError(
        f"The blocks of the {backbone.config.model_type} vision model cannot be told apart, so it "
        "takes no adapters; set spatial_lora_layers to 0."
    )
