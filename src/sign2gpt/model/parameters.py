"""How many parameters each component of a model has, and how many of them learn."""

from torch import nn


def count_parameters(model: nn.Module) -> dict[str, tuple[int, int]]:
    """(all, trainable) parameters of each component and in total, as in Table 1(b)."""
    rows = {
        "spatial": "spatial_model",
        "sign encoder": "sign_encoder",
        "decoder": "decoder",
        "pseudo-gloss head": "pseudo_gloss_head",
    }
    parts = {row: getattr(model, name) for row, name in rows.items() if hasattr(model, name)}
    return {row: _count(part) for row, part in {**parts, "total": model}.items()}


def _count(module: nn.Module) -> tuple[int, int]:
    weights = list(module.parameters())
    trainable = [weight for weight in weights if weight.requires_grad]
    return sum(w.numel() for w in weights), sum(w.numel() for w in trainable)
