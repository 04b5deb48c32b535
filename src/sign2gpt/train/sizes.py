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
from sign2gpt.model.head_loss import TARGETS_AT_ONCE, head_loss
from sign2gpt.model.lora import AdaptedLinear
from sign2gpt.model.precision import Precision
from sign2gpt.model.spatial import FRAMES_AT_ONCE
from sign2gpt.train.recipe import Recipe, Stage, TrainOn

if TYPE_CHECKING:
    from sign2gpt.model.checkpoint import Sign2GPTPreTrainedModel

# What a clip is taken to be where the store is not there yet: PHOENIX14T's are as long.
FRAMES, TEXT_TOKENS, PSEUDO_GLOSSES = 64, 24, 2_533
CARDS = (8, 12, 24, 80)  # GB of memory that GPUs have
_MARGIN = 0.9  # of a card; the rest is the driver's, and lost between blocks


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
        activations_gb: what is kept for the backward pass of that batch; half of it with bf16.
        passing_gb: what is there for a moment only: frames computed again, or logits of a chunk.
        batches: the most such clips in a batch that a card of so many GB holds; 0 = not one.
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
    model = _on_meta(recipe)
    if arguments.activation_checkpointing:
        model.activation_checkpointing_enable()
    rows: dict[str, list[ClipRow]] = {}
    if is_store(recipe.store):
        store = open_store(recipe.store, stream=True)  # of the Hub's, the rows alone
        rows = {split: store.rows(split) for split in ("train", "dev")}
    batch = arguments.per_device_train_batch_size
    frames = _mean_frames(recipe, rows.get("train", []))
    half = 0.5 if arguments.bf16 else 1.0
    # Beyond one group of frames, what is kept grows with the batch alone.
    few = FRAMES_AT_ONCE // frames + 1
    shapes, kept = _one_batch(recipe, model, few, frames)
    grown = (_one_batch(recipe, model, 2 * few, frames)[1] - kept) / few
    a_clip = half * grown + (1 - half) * _frame_bytes(recipe, model) * frames
    fixed = half * (kept - few * grown) + (_copies(model, recipe) if arguments.bf16 else 0.0)
    table = count_parameters(model)
    trainable = table["total"][1]
    weights = weight_bytes(model, recipe.language_precision)
    training = weights + 3 * 4 * trainable

    def passing(clips: int) -> float:
        return _passing(recipe, model, min(clips * frames, FRAMES_AT_ONCE), half)

    def fits(card: int) -> int:
        room = _MARGIN * card * 1e9 - training - fixed
        return max(0, int((room - passing(few)) // a_clip))

    a_step = batch * arguments.gradient_accumulation_steps
    steps = math.ceil(len(rows.get("train", [])) / a_step) * arguments.num_train_epochs
    return Plan(
        parameters=table,
        clips={split: len(clips) for split, clips in rows.items()},
        steps=math.ceil(steps),
        frames=frames,
        shapes={name: (size[0] * batch // few, *size[1:]) for name, size in shapes.items()},
        weights_gb=weights / 1e9,
        training_gb=training / 1e9,
        activations_gb=(fixed + a_clip * batch) / 1e9,
        passing_gb=passing(batch) / 1e9,
        batches={card: fits(card) for card in CARDS},
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


def _copies(model: Sign2GPTPreTrainedModel, recipe: Recipe) -> float:
    """Bytes of bfloat16 copies that autocast makes of float32 matrices and autograd keeps: of every
    layer's, and of the attention's once more for the signs."""
    if recipe.language_precision is not Precision.float32 or not hasattr(model, "decoder"):
        return 0.0
    attention = sum(
        part.weight.numel() for part in model.decoder.modules() if isinstance(part, AdaptedLinear)
    )
    return 2.0 * (_matrices(model)[0] + attention)


def _passing(recipe: Recipe, model: Sign2GPTPreTrainedModel, frames: int, half: float) -> float:
    """Bytes of one group of frames that is computed again on the way back, or of one chunk of the
    loss over the head, whichever is more."""
    again, chunk = 0.0, 0.0
    spatial = model.spatial_model
    if (
        recipe.train_on is not TrainOn.sign_features
        and spatial.recomputes
        and spatial.config.spatial_lora_layers
    ):
        tokens = _tokens(recipe, model)
        with _kept_for_backward(model) as kept, torch.device("meta"):
            spatial.reader.above(torch.empty(frames, tokens, spatial.reader.width))
        again = half * kept[0]
    if hasattr(model, "decoder"):
        chunk = 2 * 4 * TARGETS_AT_ONCE * model.get_output_embeddings().out_features
    return max(again, chunk)


def _frame_bytes(recipe: Recipe, model: Sign2GPTPreTrainedModel) -> int:
    """Bytes of a frame's tokens below the first adapter, which stay in float32 with bf16 too."""
    spatial = model.spatial_model
    adapts = spatial.reader.storable and spatial.config.spatial_lora_layers
    if recipe.train_on is TrainOn.sign_features or not adapts:
        return 0
    return 4 * _tokens(recipe, model) * spatial.reader.width


def _tokens(recipe: Recipe, model: Sign2GPTPreTrainedModel) -> int:
    """P of a DINOv2."""
    patch = model.spatial_model.config.vision_config.patch_size
    return (_image_size(recipe) // patch) ** 2 + 1


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


def _one_batch(
    recipe: Recipe, model: Sign2GPTPreTrainedModel, batch: int, frames: int
) -> tuple[dict[str, tuple[int, ...]], int]:
    """Shapes of a training step on the meta device, and bytes kept for its backward pass."""
    from sign2gpt.model.pseudo_gloss_head import PseudoGlossHead

    size = _image_size(recipe)
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
                presence = head.presence(torch.ones(signs.shape), torch.ones(mask.shape) > 0)
                nn.functional.binary_cross_entropy(presence.clamp(0, 1), torch.ones_like(presence))
            shapes["presence Ê (B, V), V assumed"] = tuple(presence.shape)
        else:
            ids = torch.zeros(batch, TEXT_TOKENS, dtype=torch.int64)
            memory = model.decoder.remember(signs, mask)
            shapes["signs for the decoder (B, T, W)"] = tuple(memory.states.shape)
            # Given whole, as transformers would look at values to make one of its own.
            seen = torch.ones(batch, 1, TEXT_TOKENS, TEXT_TOKENS, dtype=torch.bool)
            features, _ = model.decoder(ids, memory, attention_mask=seen)
            targets = features.flatten(0, 1)
            shapes["targets (B * L, W)"] = tuple(targets.shape)
            weight = model.get_output_embeddings().weight
            head_loss(targets, weight, ids.flatten(), model.config.label_smoothing)
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
