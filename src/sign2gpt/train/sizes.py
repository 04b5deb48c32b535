"""How large a recipe's run is, found on the meta device: no weights, no download.

Shapes: B clips, N frames of all clips, h pixels, T sign tokens, D sign width, L text tokens, W
language model's width, M vocabulary, V pseudo-glosses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sign2gpt.data.manifest import ClipRow
from sign2gpt.data.store import is_store, open_store
from sign2gpt.model.precision import Precision
from sign2gpt.train.recipe import Recipe, Stage, TrainOn

if TYPE_CHECKING:
    from sign2gpt.model.checkpoint import Sign2GPTPreTrainedModel

# What a clip is taken to be where the store is not there yet: PHOENIX14T's are as long.
FRAMES, TEXT_TOKENS, PSEUDO_GLOSSES = 64, 24, 2_533


@dataclass(frozen=True)
class Plan:
    """What a run would be, found without loading a weight.

    Attributes:
        parameters: by component, (all, trainable).
        clips: of each split; empty where the store is not there yet.
        steps: optimiser steps of all epochs; 0 where the store is not there.
        frames: sampled frames of the clip that shapes and activations are of: the mean of train.
        shapes: of one batch of such clips on its way, by name.
        weights_gb: all weights, in GB: float32, but the language model's as the recipe has them.
        training_gb: the same with gradients and AdamW's two moments of what trains.
        activations_gb: what the backward pass of that batch needs; half of it with bf16.
    """

    parameters: dict[str, tuple[int, int]]
    clips: dict[str, int]
    steps: int
    frames: int
    shapes: dict[str, tuple[int, ...]]
    weights_gb: float
    training_gb: float
    activations_gb: float


def plan(recipe: Recipe) -> Plan:
    """Check everything that a run checks before its work, and say how large it would be.

    Raises:
        UserError: as a run would.
    """
    from sign2gpt.model.checkpoint import count_parameters
    from sign2gpt.train import check_recipe

    arguments = check_recipe(recipe)
    model = _on_meta(recipe)
    rows: dict[str, list[ClipRow]] = {}
    if is_store(recipe.store):
        store = open_store(recipe.store, stream=True)  # of the Hub's, the rows alone
        rows = {split: store.rows(split) for split in ("train", "dev")}
    batch = arguments.per_device_train_batch_size
    frames = _mean_frames(recipe, rows.get("train", []))
    shapes, activations = _one_batch(recipe, model, batch, frames)
    table = count_parameters(model)
    everything, trainable = table["total"]
    weights = 4 * everything - _saved_by_precision(model, recipe.language_precision)
    a_step = batch * arguments.gradient_accumulation_steps
    steps = math.ceil(len(rows.get("train", [])) / a_step) * arguments.num_train_epochs
    return Plan(
        parameters=table,
        clips={split: len(clips) for split, clips in rows.items()},
        steps=math.ceil(steps),
        frames=frames,
        shapes=shapes,
        weights_gb=weights / 1e9,
        training_gb=(weights + 3 * 4 * trainable) / 1e9,
        activations_gb=activations * (0.5 if arguments.bf16 else 1.0) / 1e9,
    )


def parameter_table(recipe: Recipe) -> dict[str, tuple[int, int]]:
    """Parameters by component as (all, trainable), as in Table 1(b) of the paper.

    Raises:
        UserError: a vision or language model whose configuration is neither known, in a local
            folder, nor in the Hub's cache.
    """
    from sign2gpt.model.checkpoint import count_parameters

    return count_parameters(_on_meta(recipe))


def _on_meta(recipe: Recipe) -> Sign2GPTPreTrainedModel:
    from sign2gpt.model.modeling import (
        Sign2GPTForConditionalGeneration,
        Sign2GPTForPseudoGlossPretraining,
    )
    from sign2gpt.train.build import model_config

    with torch.device("meta"):
        if recipe.stage is Stage.pretrain:
            # Prototypes are no parameters, so the size of the vocabulary does not count.
            return Sign2GPTForPseudoGlossPretraining(model_config(recipe, PSEUDO_GLOSSES))
        model = Sign2GPTForConditionalGeneration(model_config(recipe))
        if recipe.train_on is TrainOn.sign_features:
            model.freeze(spatial=True, sign_encoder=True)
        return model


def _saved_by_precision(model: Sign2GPTPreTrainedModel, precision: Precision) -> float:
    """Bytes that the language model's matrices do not take: all of them are in its dtype, and
    those of its blocks, not embeddings and head, in its bits."""
    if not hasattr(model, "decoder"):
        return 0.0
    matrices = {w for w in model.decoder.frozen_parameters() if w.dim() > 1}
    blocks = matrices & set(model.decoder.language_model.base_model.layers.parameters())
    outside = 4.0 - min(4, max(2, precision.bits // 8))
    inside = 4.0 - precision.bits / 8
    return sum((inside if w in blocks else outside) * w.numel() for w in matrices)


def _mean_frames(recipe: Recipe, rows: list[ClipRow]) -> int:
    """Sampled frames of a training clip, on average, where their lengths are known."""
    from sign2gpt.video.processor import SignVideoProcessor

    settings = SignVideoProcessor(**recipe.processor)
    known = [row.frames / row.fps for row in rows if row.frames and row.fps]
    mean = round(sum(known) / len(known) * settings.fps) if known else FRAMES
    return max(1, min(mean, settings.max_frames or mean))


def _one_batch(
    recipe: Recipe, model: Sign2GPTPreTrainedModel, batch: int, frames: int
) -> tuple[dict[str, tuple[int, ...]], int]:
    """Shapes of a training step on the meta device, and bytes kept for its backward pass."""
    from sign2gpt.model.pseudo_gloss_head import PseudoGlossHead
    from sign2gpt.video.processor import SignVideoProcessor

    size = SignVideoProcessor(**recipe.processor).image_size
    num_frames = torch.full((batch,), frames)
    shapes: dict[str, tuple[int, ...]] = {}
    model.train()
    with _kept_for_backward(model) as kept, torch.device("meta"):
        if recipe.train_on is TrainOn.sign_features:
            tokens = frames if model.config.downsample_after is None else -(-frames // 2)
            signs = torch.empty(batch, tokens, model.config.sign_hidden_size)
            mask = torch.ones(batch, tokens, dtype=torch.bool)
        else:
            pixels = torch.empty(batch * frames, 3, size, size, dtype=torch.uint8)
            shapes["frames (N, 3, h, h) uint8"] = tuple(pixels.shape)
            signs, mask = model.encode(pixel_values=pixels, num_frames=num_frames)
        shapes["sign features Z (B, T, D)"] = tuple(signs.shape)
        if recipe.stage is Stage.pretrain:
            with torch.device("cpu"):  # it leaves autocast, which the meta device does not have
                head = PseudoGlossHead(model.config)
                localisation, presence = head(torch.ones(signs.shape), torch.ones(mask.shape) > 0)
                nn.functional.binary_cross_entropy(presence.clamp(0, 1), torch.ones_like(presence))
            shapes["localisation E (B, T, V)"] = tuple(localisation.shape)
        else:
            ids = torch.zeros(batch, TEXT_TOKENS, dtype=torch.int64)
            memory = model.decoder.remember(signs, mask)
            shapes["signs for the decoder (B, T, W)"] = tuple(memory.states.shape)
            features, _ = model.decoder(ids, memory)
            scores = model.decoder.logits(features.flatten(0, 1))
            shapes["logits (B * L, M)"] = tuple(scores.shape)
            nn.functional.cross_entropy(scores.float(), ids.flatten())
    return shapes, kept[0]


@contextmanager
def _kept_for_backward(model: nn.Module) -> Iterator[list[int]]:
    """Counts the bytes that autograd keeps in the block, each storage once, weights left out."""
    kept = [0]
    seen = {_storage(weight): weight for weight in (*model.parameters(), *model.buffers())}

    def count(tensor: Tensor) -> Any:
        storage = _storage(tensor)
        if storage not in seen:
            seen[storage] = tensor  # held, so that its place is not taken by another
            kept[0] += tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        yield kept


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
