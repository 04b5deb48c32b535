"""How large a recipe's model is, counted on the meta device: no weights, no download."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from sign2gpt.train.recipe import Recipe, Stage


@dataclass(frozen=True)
class Plan:
    """What a run would be, found without loading a weight.

    Attributes:
        parameters: by component, (all, trainable).
        clips: of each split; empty where the store is not there yet.
        steps: optimiser steps of all epochs; 0 where the store is not there.
        weights_gb: all weights in float32, in GB.
        training_gb: the same with gradients and AdamW's two moments of what trains; activations,
            which depend on the clips' lengths, come on top.
    """

    parameters: dict[str, tuple[int, int]]
    clips: dict[str, int]
    steps: int
    weights_gb: float
    training_gb: float


def plan(recipe: Recipe) -> Plan:
    """Check everything that a run checks before its work, and say how large it would be.

    Raises:
        UserError: as a run would.
    """
    from sign2gpt.train import check_recipe
    from sign2gpt.train.inputs import recipe_store

    arguments = check_recipe(recipe)
    table = parameter_table(recipe)
    everything, trainable = table["total"]
    clips = {}
    if Path(recipe.store).is_dir():
        store = recipe_store(recipe)
        clips = {split: len(store.rows(split)) for split in ("train", "dev")}
    batch = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps
    steps = math.ceil(math.ceil(clips.get("train", 0) / batch) * arguments.num_train_epochs)
    return Plan(
        parameters=table,
        clips=clips,
        steps=steps,
        weights_gb=everything * 4 / 1e9,
        training_gb=(everything + 3 * trainable) * 4 / 1e9,
    )


def parameter_table(recipe: Recipe) -> dict[str, tuple[int, int]]:
    """Parameters by component as (all, trainable), as in Table 1(b) of the paper.

    Raises:
        UserError: a vision or language model whose configuration is neither known, in a local
            folder, nor in the Hub's cache.
    """
    from sign2gpt.model.modeling import (
        Sign2GPTForConditionalGeneration,
        Sign2GPTForPseudoGlossPretraining,
        count_parameters,
    )
    from sign2gpt.train.build import model_config

    with torch.device("meta"):
        if recipe.stage is Stage.pretrain:
            # Prototypes are no parameters, so the size of the vocabulary does not count.
            model = Sign2GPTForPseudoGlossPretraining(model_config(recipe, num_pseudo_glosses=1))
        else:
            model = Sign2GPTForConditionalGeneration(model_config(recipe))
    return count_parameters(model)
