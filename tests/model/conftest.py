"""Tiny models with random weights, small enough to build in milliseconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import Dinov2Config, LlamaConfig, Qwen2Config, Qwen3Config, XGLMConfig

from sign2gpt.model import Sign2GPTConfig, Sign2GPTForPseudoGlossPretraining
from sign2gpt.model.sources import frozen_config

FRAME = 28  # pixels; 2 x 2 patches of 14
VOCABULARY = 50


def language_config(family: str = "xglm") -> Any:
    if family == "xglm":
        return XGLMConfig(
            vocab_size=VOCABULARY, d_model=32, ffn_dim=48, num_layers=2, attention_heads=4
        )
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,  # grouped queries
        "max_position_embeddings": 128,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    if family == "qwen3":
        sizes["head_dim"] = 16  # wider than hidden_size / heads
    return {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}[family](**sizes)


def build_config(text: str | None = "xglm", **changes: Any) -> Sign2GPTConfig:
    settings: dict[str, Any] = {
        "vision_config": Dinov2Config(
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=FRAME,
            patch_size=14,
            mlp_ratio=2,
        ),
        "text_config": None if text is None else language_config(text),
        "spatial_lora_layers": 2,
        "sign_hidden_size": 32,
        "num_sign_heads": 4,
        "sign_intermediate_size": 48,
        "sign_layer_scale": 1.0,  # else the layers hardly act and a test could not fail
        "pseudo_gloss_size": 12,
    }
    return Sign2GPTConfig(**{**settings, **changes})


def give_values(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give adapters, gates and prototypes values as training would, so that all paths act."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("lora_b"):
                weight.normal_(std=0.2, generator=generator)
            if name.endswith(".gate"):
                weight.uniform_(0.3, 0.9, generator=generator)
            if name.endswith("bias"):
                weight.normal_(std=0.1, generator=generator)  # all zero at first
            if "sign_projection.weight" in name:
                weight.normal_(std=0.5, generator=generator)
        for name, buffer in model.named_buffers():
            if name.endswith("prototypes"):
                buffer.normal_(generator=generator)
            if name.endswith("norm.running_mean"):
                buffer.normal_(std=0.1, generator=generator)
    return model


@pytest.fixture(scope="session")
def tiny_config() -> Callable[..., Sign2GPTConfig]:
    """tiny_config(language family or None, **changes)."""
    return build_config


@pytest.fixture(scope="session")
def awaken() -> Callable[..., torch.nn.Module]:
    """awaken(model): adapters and gates with values that act, in place."""
    return give_values


@pytest.fixture(scope="session")
def clips() -> Callable[..., tuple[Tensor, Tensor]]:
    """Random packed frames for clips of the given lengths."""

    def make(*lengths: int, seed: int = 1) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        frames = torch.randn(sum(lengths), 3, FRAME, FRAME, generator=generator)
        return frames, torch.tensor(lengths)

    return make


@pytest.fixture(scope="session")
def with_vision() -> Callable[..., Sign2GPTForPseudoGlossPretraining]:
    """with_vision(source): a small model around the frozen vision model of a source."""

    def build(source: Path) -> Sign2GPTForPseudoGlossPretraining:
        config = build_config(
            None, vision_config=frozen_config(source), spatial_lora_layers=0, num_pseudo_glosses=3
        )
        return Sign2GPTForPseudoGlossPretraining.from_pretrained_parts(config, vision=source)

    return build


@pytest.fixture(scope="session")
def feature() -> Callable[..., Tensor]:
    """feature(model, frames): what the frozen vision model makes of frames, (N, C)."""

    def read(model: Sign2GPTForPseudoGlossPretraining, frames: Tensor) -> Tensor:
        with torch.no_grad():
            return model.spatial_model.frozen_tokens(frames)[:, 0]

    return read
