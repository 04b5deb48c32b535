"""Frames to features by ViT-S/14: blocks made ready once against transformers' own model.

Naive is `Dinov2Model` under autocast: all tokens of all blocks, positions resampled at each call,
and adapters as three products.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Dinov2Config

from benchmarks.harness import Case, Target, Work
from sign2gpt.freed_memory import keep_freed_memory
from sign2gpt.model import Sign2GPTConfig
from sign2gpt.model.dinov2_embedding import normalised
from sign2gpt.model.lora import AdaptedLinear, LowRankAdapter
from sign2gpt.model.published import published_config
from sign2gpt.model.spatial import SpatialModel

FRAMES = 64
FEWER = 16  # in float32 they take a tenth of a second each
VISION = "facebook/dinov2-small"
TITLE = "Frames of 224 x 224 through ViT-S/14, without gradients"
TINY = Dinov2Config(hidden_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=28)

CHECK = {"dtype": "float32", "frames": 5, "vision": TINY, "pixels": 42}
SHAPES: dict[str, dict[str, Any]] = {
    f"{frames} frames in {name}, {adapters}": {
        "dtype": dtype,
        "frames": frames,
        "target": Target(speed=1.0, per_second=a_second),
        **more,
    }
    for adapters, more in (("adapters on 3 blocks", {}), ("no adapters", {"adapted": 0}))
    for frames, name, dtype, a_second in (
        (FEWER, "fp32", "float32", 20),
        (FRAMES, "bf16", "bfloat16", 100),
    )
}


def three_products(self: LowRankAdapter, linear: AdaptedLinear, inputs: Tensor, bias: bool = True):
    """An adapter as in its paper: W x + B A dropout(x)."""
    narrow = F.linear(F.dropout(inputs, self.dropout, self.training), self.down)
    return linear.product(inputs, bias) + F.linear(narrow, self.lora_b) * self.scale


@contextmanager
def textbook() -> Iterator[None]:
    """Adapters without any shortcut."""
    with patch.object(LowRankAdapter, "apply_to", three_products):
        yield


def plain_signs(model: nn.Module, pictures: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Frames (N, 3, h, h) uint8 of clips (B,) -> Z and its mask, by transformers' vision model."""
    spatial, config = model.spatial_model, model.config
    with textbook():
        given = normalised(pictures, config.image_mean, config.image_std, torch.float32)
        read = spatial.backbone(pixel_values=given).pooler_output
        return model.sign_encoder(spatial.norm(spatial.projection(read)), lengths)


def build(
    device: torch.device,
    dtype: str,
    frames: int,
    adapted: int = 3,
    vision: Dinov2Config | None = None,
    pixels: int = 224,
    target: Target | None = None,
) -> Case:
    torch.manual_seed(0)
    vision = vision or published_config(VISION)
    config = Sign2GPTConfig(vision_config=vision, spatial_lora_layers=adapted)
    spatial = SpatialModel(config).to(device).eval().requires_grad_(False)
    for name, weight in spatial.named_parameters():
        if name.endswith("lora_b"):
            weight.normal_(std=0.02)
    pictures = torch.randn(frames, 3, pixels, pixels, device=device)

    @torch.no_grad()
    def run(backbone) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
            return spatial.norm(spatial.projection(backbone(pictures)))

    def naive() -> Tensor:
        with textbook():
            return run(lambda images: spatial.backbone(pixel_values=images).pooler_output)

    def fast() -> Tensor:
        with (
            torch.no_grad(),
            torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16"),
        ):
            return spatial(pictures)

    return Case(
        fast=fast,
        naive=naive,
        floor=Work(frames * operations(vision, pixels), getattr(torch, dtype)),
        items=frames,
        unit="frame",
        target=target,
        ready=lambda: keep_freed_memory(device),  # as a translator does
        memory=adapted > 0,  # without adapters it is the same
    )


def operations(vision: Dinov2Config, pixels: int) -> float:
    """Matmuls of one frame; of the last block keys and values of all tokens, else one token."""
    width, inner = vision.hidden_size, int(vision.hidden_size * vision.mlp_ratio)
    tokens = (pixels // vision.patch_size) ** 2 + 1
    a_token = 2 * width * (4 * width + 2 * inner + 2 * tokens)
    keys = 2 * tokens * 2 * width * width
    patches = 2 * tokens * width * 3 * vision.patch_size**2
    return (vision.num_hidden_layers - 1) * tokens * a_token + keys + a_token + patches
