"""Training steps at the paper's sizes: forward, backward, AdamW.

Naive runs transformers' own vision model under autocast, whose adapters are three products each,
holds the language model in float32, computes the whole of (B, L, M) logits, and steps with torch's
AdamW as it comes (ours with the fused one, as training does). Extra memory has the model's weights
in it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Dinov2Config, PreTrainedConfig, XGLMConfig
from transformers.initialization import no_init_weights

from benchmarks.frames import TINY, VISION, operations, plain_signs, textbook
from benchmarks.harness import STATUS, Case, Target, Work, fill, the_dtype
from sign2gpt.freed_memory import keep_freed_memory
from sign2gpt.model import (
    Sign2GPTConfig,
    Sign2GPTForConditionalGeneration,
    Sign2GPTForPseudoGlossPretraining,
)
from sign2gpt.model.precision import Precision
from sign2gpt.model.published import published_config
from sign2gpt.model.quantise import hold_language_model

CLEAR = STATUS.with_name("clear_refs")
TITLE = "Training step: 2,533 pseudo-glosses (stage 1), XGLM-564M and 24 tokens (stage 2)"
LANGUAGE, PSEUDO_GLOSSES, TOKENS = "facebook/xglm-564M", 2_533, 24
TINY_LANGUAGE = XGLMConfig(
    vocab_size=50,
    d_model=32,
    ffn_dim=48,
    num_layers=2,
    attention_heads=4,
    max_position_embeddings=64,
)

CHECK = {
    "clips": 2, "frames": 5, "vision": TINY, "language": TINY_LANGUAGE, "pixels": 42,
    "dtype": "float32", "dropout": 0.0,
}  # fmt: skip
IN_BF16 = the_dtype() == "bfloat16"
THIRD = Target(speed=3.0, memory=0.6) if IN_BF16 else None  # it was set for bfloat16
STAGE_1, STAGE_2 = {"clips": 4}, {"clips": 2, "language": LANGUAGE}
SHAPES: dict[str, dict[str, Any]] = {
    "stage 2, 2 clips of 64 frames, bf16": {**STAGE_2, "frames": 64, "target": THIRD},
    "stage 1, 4 clips of 64 frames, bf16": {**STAGE_1, "frames": 64, "target": THIRD},
}
if not IN_BF16:  # textbook code takes minutes for a step of 64 frames
    whole = {"frames": 64, "clips": 1, "naive": False}
    SHAPES = {
        "stage 2, 2 clips of 8 frames, fp32": {**STAGE_2, "frames": 8},
        "stage 1, 4 clips of 8 frames, fp32": {**STAGE_1, "frames": 8},
        "stage 2, 1 clip of 64 frames, fp32": {**STAGE_2, **whole},
        "stage 1, 1 clip of 64 frames, fp32": {**STAGE_1, **whole},
    }


def build(
    device: torch.device,
    clips: int,
    frames: int,
    language: str | PreTrainedConfig | None = None,
    dtype: str = the_dtype(),
    dropout: float | None = None,
    vision: Dinov2Config | None = None,
    pixels: int = 224,
    naive: bool = True,
    target: Target | None = None,
) -> Case:
    """Stage 2 where there is a language model, else stage 1."""
    vision = vision or published_config(VISION)
    text = published_config(language) if isinstance(language, str) else language
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(
        0, 256, (clips * frames, 3, pixels, pixels), dtype=torch.uint8, generator=generator
    ).to(device)
    lengths = torch.full((clips,), frames, device=device)
    if text is None:
        labels = torch.zeros(clips, PSEUDO_GLOSSES, device=device)
        labels[:, :8] = 1
    else:
        labels = torch.randint(3, text.vocab_size, (clips, TOKENS), generator=generator).to(device)
    batch = Batch(pictures, lengths, labels)

    def made(textbook_like: bool) -> nn.Module:
        model = _model(vision, text, dropout).to(device).train()
        if not textbook_like and text is not None:
            hold_language_model(model, Precision(dtype))
        return model

    autocast = dtype == "bfloat16"
    steps = [Step(lambda: made(False), _ours, batch, autocast, fused=True)]
    if naive:
        steps.append(Step(lambda: made(True), _plain, batch, autocast, fused=None))

    def ready() -> None:
        keep_freed_memory(device)  # as training does
        for step in steps:
            step.ready()
        for step in steps:
            step()  # the first takes its memory, which all others find taken

    return Case(
        fast=steps[0],
        naive=steps[1] if naive else None,
        floor=Work(_operations(vision, text, clips, frames, pixels), getattr(torch, dtype)),
        items=clips,
        unit="clip",
        target=target,
        ready=ready,
        tolerance=2e-5,
    )


@dataclass(frozen=True)
class Batch:
    """Frames of all clips (N, 3, h, h) uint8, their numbers (B,), and what is to be learnt."""

    pictures: Tensor
    lengths: Tensor
    labels: Tensor


class Step:
    """One training step of a model, which is made by `ready` or at the first call; the loss, and
    the gradients of small frames, which are compared."""

    def __init__(
        self,
        make: Callable[[], nn.Module],
        loss: Callable[[nn.Module, Batch], Tensor],
        batch: Batch,
        autocast: bool,
        fused: bool | None,
    ) -> None:
        self.make, self.loss, self.batch, self.autocast = make, loss, batch, autocast
        self.fused = fused
        self.model: nn.Module | None = None

    def ready(self) -> None:
        torch.manual_seed(0)
        self.model = self.make()
        if STATUS.exists():  # the peak is to be that of the step and its weights
            CLEAR.write_text("5")
        kept = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(kept, lr=1e-6, fused=self.fused)

    def __call__(self) -> tuple[Tensor, ...]:
        if self.model is None:
            self.ready()
        device = self.batch.pictures.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.autocast):
            found = self.loss(self.model, self.batch)
        found.backward()
        compared = self.batch.pictures.shape[-1] < 224
        gradients = tuple(
            weight.grad.clone()
            for weight in self.model.parameters()
            if weight.grad is not None and compared
        )
        self.optimizer.step()
        self.optimizer.zero_grad()
        return found.detach(), *gradients


def _ours(model: nn.Module, batch: Batch) -> Tensor:
    key = "labels" if hasattr(model, "decoder") else "pseudo_gloss_labels"
    return model(batch.pictures, batch.lengths, **{key: batch.labels}).loss


def _plain(model: nn.Module, batch: Batch) -> Tensor:
    signs, mask = plain_signs(model, batch.pictures, batch.lengths)
    with textbook():
        if not hasattr(model, "decoder"):
            _, presence = model.pseudo_gloss_head(signs, mask)
            return model.pseudo_gloss_head.loss(presence, batch.labels)
        ids = model.prepare_decoder_input_ids_from_labels(batch.labels)
        features, _ = model.decoder(ids, model.decoder.remember(signs, mask))
        scores = model.decoder.logits(features).float().flatten(0, 1)
        smoothing = model.config.label_smoothing
        return F.cross_entropy(scores, batch.labels.flatten(), label_smoothing=smoothing)


def _model(
    vision: Dinov2Config, text: PreTrainedConfig | None, dropout: float | None
) -> Sign2GPTForConditionalGeneration | Sign2GPTForPseudoGlossPretraining:
    rates = ("spatial_lora_dropout", "sign_dropout", "sign_drop_path", "decoder_lora_dropout")
    names = (*rates, "pseudo_gloss_dropout")
    more: dict[str, Any] = {} if dropout is None else dict.fromkeys(names, dropout)
    with no_init_weights():
        if text is not None:
            config = Sign2GPTConfig(vision_config=vision, text_config=text, **more)
            built = Sign2GPTForConditionalGeneration(config)
        else:
            more["num_pseudo_glosses"] = PSEUDO_GLOSSES
            built = Sign2GPTForPseudoGlossPretraining(Sign2GPTConfig(vision_config=vision, **more))
            built.pseudo_gloss_head.prototypes.normal_()
    built.tie_weights()
    fill(built)
    return built


def _operations(
    vision: Dinov2Config, text: PreTrainedConfig | None, clips: int, frames: int, pixels: int
) -> float:
    """Matmuls: frames forward, 2.5 of their blocks back (to the inputs; weights are frozen), and
    the language model's weights forward and back. The sign encoder is left out."""
    forward = operations(vision, pixels)
    found = clips * frames * forward * (1 + 2.5 / vision.num_hidden_layers)
    if text is not None:
        a_layer = 4 * text.d_model**2 + 2 * text.d_model * text.ffn_dim
        weights = text.num_layers * a_layer + text.vocab_size * text.d_model
        found += 2 * 2 * clips * TOKENS * weights
    return found
