"""Pseudo-gloss head and its loss, forward and backward.

Naive is equations 2 to 5 as they stand, step by step over all prototypes.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import Case, Target, Work
from sign2gpt.model import Sign2GPTConfig
from sign2gpt.model.pseudo_gloss_head import PseudoGlossHead

TITLE = "Pseudo-gloss head and loss, forward + backward, B=8, T=512"
CHECK = {"glosses": 50, "tokens": 30, "dropout": 0.0}
SHAPES: dict[str, dict[str, Any]] = {
    "V=5,000": {"glosses": 5000},
    "V=10,000": {"glosses": 10000},
    "V=20,000": {"glosses": 20000, "target": Target(speed=1.0, memory=1.0)},
}
CLIPS = 8


def plain(head: PseudoGlossHead, features: Tensor, mask: Tensor) -> Tensor:
    """Presence Ê (B, V), every step a tensor of its own, the zero prototype stored."""
    projected = head.projection(F.dropout(features, head.dropout))
    prototypes = F.pad(head.prototypes, (0, 0, 0, 1)).expand(len(features), -1, -1)
    similarity = torch.bmm(
        F.normalize(projected, dim=-1), F.normalize(prototypes, dim=-1).transpose(1, 2)
    )
    over_time = (similarity / head.tau_time).masked_fill(~mask[..., None], float("-inf")).softmax(1)
    over_prototypes = (similarity / head.tau_prototype).softmax(2)
    return (over_time * over_prototypes)[..., :-1].sum(1)


def build(
    device: torch.device,
    glosses: int,
    tokens: int = 512,
    dropout: float = 0.2,
    target: Target | None = None,
) -> Case:
    torch.manual_seed(0)
    config = Sign2GPTConfig(num_pseudo_glosses=glosses, pseudo_gloss_dropout=dropout)
    head = PseudoGlossHead(config).to(device).train()
    head.set_prototypes(torch.randn(glosses, config.pseudo_gloss_size))
    features = torch.randn(CLIPS, tokens, config.sign_hidden_size, device=device).requires_grad_()
    mask = torch.arange(tokens, device=device) < torch.randint(
        tokens // 2, tokens, (CLIPS, 1), device=device
    )
    labels = (torch.rand(CLIPS, glosses, device=device) < 10 / glosses).float()
    learnt = [features, *head.parameters()]

    def step(presence: Tensor) -> tuple[Tensor, ...]:
        loss = head.loss(presence, labels)
        return loss.detach(), presence.detach(), *torch.autograd.grad(loss, learnt)

    # The similarity forward and its gradient backward; the prototypes are fixed.
    matmuls = 2 * 2 * CLIPS * tokens * glosses * config.pseudo_gloss_size
    return Case(
        fast=lambda: step(head.presence(features, mask)),
        naive=lambda: step(plain(head, features, mask)),
        floor=Work(matmuls),
        items=CLIPS * tokens,
        unit="token",
        target=target,
    )
