"""Sign encoder, forward and backward in training: window attention in blocks against dense masks.

Naive is the encoder as textbooks write it: a projection each for queries, keys and values, scores
of all tokens against all under a (T, T) band mask, torch's own dropout.
"""

import copy
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import Case, Target, Work
from sign2gpt.model import Sign2GPTConfig
from sign2gpt.model.positions import rotate
from sign2gpt.model.sign_encoder import SignEncoder, SignEncoderLayer

TITLE = "Sign encoder, forward + backward, B=4, width 512, 4 layers, window 7, dropout 0.1"
CLIPS = 4
TAKEN = 16  # pieces of a long clip that are timed


def _shape(tokens: int, dtype: str = "float32", **more: Any) -> dict[str, Any]:
    return {"tokens": tokens, "dtype": dtype, **more}


CHECK = _shape(150, dropout=0.0)
SHAPES = {
    "T=128, fp32": _shape(128, target=Target(speed=1.0)),
    "T=512, fp32": _shape(512),
    "T=2,048, fp32": _shape(2048, target=Target(speed=4.0, memory=0.25)),
    "T=128, bf16": _shape(128, "bfloat16"),
    "T=16,384, B=1, fp32; naive: 64 times T=256": _shape(
        16384, clips=1, pieces=64, target=Target(speed=1 / 1.3)
    ),
    "T=32,768, B=1, fp32": _shape(32768, clips=1, naive=False),
}


class TextbookLayer(SignEncoderLayer):
    def _attend(self, tokens: Tensor, mask: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        query, key, value = (
            projection(tokens).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        query, key = rotate(query, rotary), rotate(key, rotary)
        positions = torch.arange(mask.shape[1], device=mask.device)
        distance = (positions[:, None] - positions[None, :]).abs()
        allowed = (distance <= self.window // 2) & mask[:, None, None, :]
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        weights = scores.masked_fill(~allowed, float("-inf")).softmax(-1)
        heads = F.dropout(weights, self.dropout, self.training) @ value
        return self.out(heads.transpose(1, 2).flatten(2))


def build(
    device: torch.device,
    tokens: int,
    dtype: str,
    clips: int = CLIPS,
    dropout: float = 0.1,
    pieces: int = 1,
    naive: bool = True,
    target: Target | None = None,
) -> Case:
    """`pieces` > 1: naive is our own encoder on T / pieces tokens; its time is taken that often."""
    torch.manual_seed(0)
    config = Sign2GPTConfig(sign_dropout=dropout, sign_drop_path=dropout)
    encoder = SignEncoder(config).to(device).train()

    def step(length: int, encoder: SignEncoder = encoder) -> tuple[Tensor, ...]:
        frames, counts, weights = inputs[length]
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
            features, _ = encoder(frames, counts)
        # Not their mean square, which the norm before them has made 1.
        loss = (features.float() * weights[:, : features.shape[1]]).mean()
        gradients = torch.autograd.grad(loss, [frames, *encoder.parameters()])
        return features.detach(), *gradients

    textbook = copy.deepcopy(encoder)
    for layer in textbook.layers:
        layer.__class__ = TextbookLayer

    def dense() -> tuple[Tensor, ...]:
        with patch("sign2gpt.model.sign_encoder.dropout", F.dropout):
            return step(tokens, textbook)

    def in_pieces() -> None:
        for _ in range(TAKEN):
            step(tokens // pieces)

    inputs = {
        length: (
            torch.randn(clips, length, config.sign_hidden_size, device=device, requires_grad=True),
            torch.full((clips,), length, device=device),
            torch.randn(clips, length, config.sign_hidden_size, device=device),
        )
        for length in {tokens, tokens // pieces}
    }
    return Case(
        fast=lambda: step(tokens),
        naive=(in_pieces if pieces > 1 else dense) if naive else None,
        floor=Work(_operations(config, clips * tokens), getattr(torch, dtype)),
        items=clips * tokens,
        unit="token",
        target=target,
        memory=pieces == 1 and naive,
        naive_share=TAKEN / pieces if pieces > 1 else 1.0,
    )


def _operations(config: Sign2GPTConfig, tokens: int) -> float:
    """Matmuls forward (linear layers, and each token's own window) and twice that backward."""
    width, inner = config.sign_hidden_size, config.sign_intermediate_size
    a_token = 2 * (4 * width * width + 2 * width * inner + 2 * config.attention_window * width)
    full, half = config.downsample_after, config.num_sign_layers - config.downsample_after
    return 3 * tokens * (full + half / 2) * a_token
