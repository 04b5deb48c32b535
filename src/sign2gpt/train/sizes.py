"""How large a recipe's run is, found on the meta device: no weights, no download.

Shapes: B clips, N frames of all clips, h pixels, P tokens of a frame, C frame width, T sign tokens,
D sign width, L text tokens, W language model's width, M vocabulary, V pseudo-glosses.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from sign2gpt.data.manifest import ClipRow
from sign2gpt.data.store import lists_clips, open_store
from sign2gpt.model.head_loss import TARGETS_AT_ONCE, head_loss
from sign2gpt.model.precision import Precision
from sign2gpt.model.spatial import FRAMES_AT_ONCE
from sign2gpt.train.live import Live, backward
from sign2gpt.train.recipe import Recipe, Stage, TrainOn

if TYPE_CHECKING:
    from sign2gpt.model.checkpoint import Sign2GPTPreTrainedModel

# What a clip is taken to be where the store is not there yet: PHOENIX14T's are as long.
FRAMES, TEXT_TOKENS, PSEUDO_GLOSSES = 64, 24, 2_533
CARDS = (8, 12, 24, 80)  # GB of memory that GPUs have
_FRAMES = {
    "pixel_values": "frames (N, 3, h, h) uint8",
    "frame_tokens": "frame tokens (N, P, C) float16",
}
_MARGIN = 0.9  # of a card; the rest is the driver's, and lost between blocks


@dataclass(frozen=True)
class Plan:
    """What a run would be, found without loading a weight.

    Attributes:
        parameters: by component, (all, trainable).
        clips: of each split; empty where the store is not there yet.
        steps: optimiser steps of all epochs; 0 where the store is not there.
        frames: sampled frames of the clip that all else here is of: the mean of train's clips.
        shapes: of one batch of such clips on its way, by name.
        weights_gb: all weights, in GB: float32, but the language model's as the recipe has them.
        training_gb: the same with gradients and AdamW's two moments of what trains.
        activations_gb: what a GPU keeps for the backward pass of that batch.
        passing_gb: what is there for a moment only: what is computed again, or logits of a chunk.
        batches: the most such clips in a batch that a card of so many GB holds; 0 = not one.
        translation_gb: what translating one such clip takes then, 4 beams of 64 tokens; 0 of
            stage 1.
        missing: what the run needs and is not here, a sentence each.
    """

    parameters: dict[str, tuple[int, int]]
    clips: dict[str, int]
    steps: int
    frames: int
    shapes: dict[str, tuple[int, ...]]
    weights_gb: float
    training_gb: float
    activations_gb: float
    passing_gb: float
    batches: dict[int, int]
    translation_gb: float
    missing: list[str]

    @property
    def whole_gb(self) -> float:
        """All that is in memory at the worst moment of a step."""
        return self.training_gb + self.activations_gb + self.passing_gb


def plan(recipe: Recipe) -> Plan:
    """Check everything that a run checks before its work, and say how large it would be.

    Raises:
        UserError: as a run would.
    """
    from sign2gpt.model.parameters import count_parameters
    from sign2gpt.train import check_recipe
    from sign2gpt.train.needs import missing

    arguments = check_recipe(recipe)
    model = on_meta(recipe)
    table = count_parameters(model)
    weights = weight_bytes(model, recipe.language_precision)
    training = weights + 3 * 4 * table["total"][1]
    if arguments.activation_checkpointing:
        model.activation_checkpointing_enable()
    rows: dict[str, list[ClipRow]] = {}
    if lists_clips(recipe.store):
        store = open_store(recipe.store, stream=True)  # of the Hub's, the rows alone
        rows = {split: store.rows(split) for split in ("train", "dev")}
    batch = arguments.per_device_train_batch_size
    frames = _mean_frames(recipe, rows.get("train", []))
    few = FRAMES_AT_ONCE // frames + 1  # beyond one group of frames, all grows with the clips
    one, two = (count_step(recipe, model, clips, frames) for clips in (few, 2 * few))

    def grown(name: str, clips: int) -> float:
        first, second = getattr(one, name), getattr(two, name)
        return first + (second - first) * (clips - few) / few

    def worst(clips: int) -> float:
        return max(grown("forward", clips), grown("backward", clips))

    def fits(card: int) -> int:
        room = _MARGIN * card * 1e9 - training
        return bisect_right(range(1, 100_000), room, key=worst)

    a_step = batch * arguments.gradient_accumulation_steps
    steps = math.ceil(len(rows.get("train", [])) / a_step) * arguments.num_train_epochs
    return Plan(
        parameters=table,
        clips={split: len(clips) for split, clips in rows.items()},
        steps=math.ceil(steps),
        frames=frames,
        shapes={name: (size[0] * batch // few, *size[1:]) for name, size in one.shapes.items()},
        weights_gb=weights / 1e9,
        training_gb=training / 1e9,
        activations_gb=grown("kept", batch) / 1e9,
        passing_gb=(worst(batch) - grown("kept", batch)) / 1e9,
        batches={card: fits(card) for card in CARDS},
        translation_gb=sum(count_translation(recipe, model, frames)) / 1e9,
        missing=missing(recipe),
    )


def weight_bytes(model: Sign2GPTPreTrainedModel, precision: Precision) -> float:
    """Bytes of all weights: float32, but the language model's matrices as `precision` has them.

    In 8 and 4 bits are its linear layers alone; embeddings and head are bfloat16 then.
    """
    everything = 4.0 * sum(weight.numel() for weight in model.parameters())
    linear, tables = _matrices(model)
    each = precision.bytes_each
    return everything - (4 - each) * linear - (4 - max(2.0, each)) * tables


def parameter_table(recipe: Recipe) -> dict[str, tuple[int, int]]:
    """Parameters by component as (all, trainable), as in Table 1(b) of the paper.

    Raises:
        UserError: a vision or language model whose configuration is neither known, in a local
            folder, nor in the Hub's cache.
    """
    from sign2gpt.model.parameters import count_parameters

    return count_parameters(on_meta(recipe))


def on_meta(recipe: Recipe) -> Sign2GPTPreTrainedModel:
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


def _matrices(model: Sign2GPTPreTrainedModel) -> tuple[int, int]:
    """Frozen weights of the language model in its layers' matrices, and in embeddings and head."""
    if not hasattr(model, "decoder"):
        return 0, 0
    frozen = {weight for weight in model.decoder.frozen_parameters() if weight.dim() > 1}
    layers = set(model.decoder.language_model.base_model.layers.parameters())
    return (
        sum(weight.numel() for weight in frozen & layers),
        sum(weight.numel() for weight in frozen - layers),
    )


def _image_size(recipe: Recipe) -> int:
    from sign2gpt.video.processor import SignVideoProcessor

    return SignVideoProcessor(**recipe.processor).image_size


def _mean_frames(recipe: Recipe, rows: list[ClipRow]) -> int:
    """Sampled frames of a training clip, on average, where their lengths are known."""
    from sign2gpt.video.processor import SignVideoProcessor

    settings = SignVideoProcessor(**recipe.processor)
    known = [row.frames / row.fps for row in rows if row.frames and row.fps]
    mean = round(sum(known) / len(known) * settings.fps) if known else FRAMES
    return max(1, min(mean, settings.max_frames or mean))


@dataclass(frozen=True)
class Step:
    """Bytes of one training step beside weights, gradients and the optimiser's moments.

    Attributes:
        kept: for the backward pass.
        forward: the most at once up to there.
        backward: and from there.
        shapes: of the batch on its way, by name.
    """

    kept: int
    forward: int
    backward: int
    shapes: dict[str, tuple[int, ...]]


def count_step(
    recipe: Recipe, model: Sign2GPTPreTrainedModel, clips: int, frames: int, kind: str = "cuda"
) -> Step:
    """Run a training step of clips of so many frames on the meta device, as a GPU or CPU would.

    Args:
        model: on the meta device; its language model is brought into the recipe's precision.
        kind: "cuda" or "cpu".
    """
    if hasattr(model, "decoder"):
        for weight in model.decoder.frozen_parameters():
            if weight.dim() > 1:  # 8 and 4 bits are made 16 for a product
                weight.data = weight.data.to(recipe.language_precision.dtype)
    sizes = _batch_sizes(recipe, model, clips, frames)
    model.spatial_model.reader.forget()
    weights = [*model.parameters(), *model.buffers()]
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight) if weight.requires_grad else None
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    dtype = torch.bfloat16 if recipe.training.get("bf16") else None
    shapes: dict[str, tuple[int, ...]] = {}
    num_frames = torch.full((clips,), frames)
    model.train()
    with Live(kind, dtype, [*weights, *gradients]) as live:
        batch = {name: torch.empty(size, dtype=of) for name, (size, of) in sizes.items()}
        loss = _loss(recipe, model, batch, num_frames, shapes)  # the trainer holds the batch
        live.end_of_forward()
        kept, forward = live.now, live.peak
        live.peak = live.now
        backward(loss)
    return Step(kept, forward, live.peak, shapes)


def count_translation(
    recipe: Recipe,
    model: Sign2GPTPreTrainedModel,
    frames: int,
    beams: int = 4,
    length: int = 64,
    kind: str = "cuda",
) -> tuple[float, int]:
    """Bytes of the weights, and the most beside them while a clip is translated; 0 in stage 1.

    Args:
        model: on the meta device; it is brought into the recipe's precision, vision included.
        frames: of the clip, sampled.
        length: tokens of the sentence, each beam's.
        kind: "cuda" or "cpu"; layers that `cpu_generation` lays out are not in the count.
    """
    if recipe.stage is Stage.pretrain:
        return 0.0, 0
    precision = recipe.language_precision
    model.eval().to(precision.dtype)
    model.spatial_model.reader.forget()
    size = _image_size(recipe)
    with Live(kind, None, [*model.parameters(), *model.buffers()]) as live, torch.no_grad():
        pixels = torch.empty(frames, 3, size, size, dtype=torch.uint8)
        signs, mask = model.encode(pixels, torch.tensor([frames], device="cpu"))
        memory = model.decoder.remember(signs, mask, keep=True)
        # The sentence's last token, when the keys and values of the others are there.
        cache = DynamicCache(config=model.config.text_config)
        for gated in model.decoder.gates:
            width = gated.attention.head_dim
            heads = gated.attention.k_proj.out_features // width
            kept = signs.new_empty(beams, heads, length - 1, width)
            cache.update(kept, kept, gated.index)
            del kept  # the cache has copies
        last = torch.zeros(beams, 1, dtype=torch.int64)
        seen = torch.ones(beams, 1, 1, length, dtype=torch.bool)
        features, _ = model.decoder(last, memory, cache, use_cache=True, attention_mask=seen)
        scores = model.decoder.logits(features[:, -1]).float().log_softmax(-1)
    del scores  # alive up to here, as in the search
    each = precision.dtype.itemsize
    held = each * sum(weight.numel() for weight in model.parameters())
    return held - (each - min(each, precision.bytes_each)) * _matrices(model)[0], live.peak


def _batch_sizes(
    recipe: Recipe, model: Sign2GPTPreTrainedModel, clips: int, frames: int
) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Shape and dtype of what the collator makes of such clips, by the model's names."""
    if recipe.train_on is TrainOn.sign_features:
        tokens = frames if model.config.downsample_after is None else -(-frames // 2)
        return {
            "sign_features": ((clips, tokens, model.config.sign_hidden_size), torch.float32),
            "sign_mask": ((clips, tokens), torch.bool),
        }
    size = _image_size(recipe)
    if recipe.train_on is TrainOn.video:
        return {"pixel_values": ((clips * frames, 3, size, size), torch.uint8)}
    with torch.device("meta"):
        frame = torch.empty(1, 3, size, size, dtype=torch.uint8)
        stored = model.spatial_model.frozen_tokens(frame)
    return {"frame_tokens": ((clips * frames, *stored.shape[1:]), torch.float16)}


def _loss(
    recipe: Recipe,
    model: Sign2GPTPreTrainedModel,
    batch: dict[str, Tensor],
    num_frames: Tensor,
    shapes: dict[str, tuple[int, ...]],
) -> Tensor:
    """The loss of such a batch, on the meta device; its shapes are noted."""
    if recipe.train_on is TrainOn.sign_features:
        signs, mask = batch["sign_features"], batch["sign_mask"]
    else:
        ((name, given),) = batch.items()
        shapes[_FRAMES[name]] = tuple(given.shape)
        signs, mask = model.encode(**batch, num_frames=num_frames)
    shapes["sign features Z (B, T, D)"] = tuple(signs.shape)
    if recipe.stage is Stage.pretrain:
        presence = model.pseudo_gloss_head.presence(signs, mask)
        shapes["presence Ê (B, V), V assumed"] = tuple(presence.shape)
        return nn.functional.binary_cross_entropy(
            presence.clamp(1e-6, 1 - 1e-6), torch.ones_like(presence)
        )
    clips = len(signs)
    ids = torch.zeros(clips, TEXT_TOKENS, dtype=torch.int64)
    memory = model.decoder.remember(signs, mask)
    shapes["signs for the decoder (B, T, W)"] = tuple(memory.states.shape)
    # Given whole, as transformers would look at values to make one of its own.
    seen = torch.ones(clips, 1, TEXT_TOKENS, TEXT_TOKENS, dtype=torch.bool)
    features, _ = model.decoder(ids, memory, attention_mask=seen)
    targets = features.flatten(0, 1)
    shapes["targets (B * L, W)"] = tuple(targets.shape)
    # No fewer than make the loss's chunks overlap, so that what it needs does not depend on B.
    targets = targets.repeat(-(-3 * TARGETS_AT_ONCE // len(targets)), 1)
    weight = model.get_output_embeddings().weight
    labels = torch.zeros(len(targets), dtype=torch.int64)
    return head_loss(targets, weight, labels, model.config.label_smoothing)
