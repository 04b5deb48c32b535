"""Recipes, the two training stages, and the hand-over between them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sign2gpt.errors import UserError

if TYPE_CHECKING:
    from transformers import Seq2SeqTrainingArguments

    from sign2gpt.progress import Advance
    from sign2gpt.train.recipe import Recipe


def check_recipe(recipe: Recipe) -> Seq2SeqTrainingArguments:
    """Find wrong values and unusable folders before hours of work; returns typed arguments.

    Raises:
        UserError: whatever the recipe says cannot be used.
    """
    from sign2gpt.files import check_output
    from sign2gpt.model.precision import Precision
    from sign2gpt.train.build import model_config
    from sign2gpt.train.inputs import augmentation, video_processor
    from sign2gpt.train.recipe import TrainOn
    from sign2gpt.train.stage import training_arguments

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # Each process would see a part of the batch in its BatchNorm, and write the same folder.
        raise UserError(
            "Training over several processes is not supported (WORLD_SIZE is "
            f"{os.environ['WORLD_SIZE']}); call `sign2gpt train` without torchrun."
        )
    for folder in (recipe.output, recipe.features):
        if folder is not None:
            check_output(Path(folder))
    if recipe.stream and recipe.train_on is not TrainOn.video:
        raise UserError(
            f"The recipe streams and trains on {recipe.train_on.value}, which are stored and read "
            "at random; set stream to false, or train_on to video."
        )
    arguments = training_arguments(recipe, "loss", [])
    held = recipe.language_precision
    if held is not Precision.float32 and not arguments.bf16:
        raise UserError(
            f"The recipe has language_precision = {held.value}, which is multiplied in bfloat16; "
            "set training.bf16 to true."
        )
    video_processor(recipe, model_config(recipe))
    augmentation(recipe)
    return arguments


def run(recipe: Recipe, progress: Advance | None = None) -> Path:
    """Run the stage a recipe describes; a finished run is left as it is, a broken-off one goes on.

    Returns:
        The folder of the trained model.

    Raises:
        UserError: whatever the recipe names cannot be used, or another run writes its folder.
    """
    from transformers import set_seed
    from transformers.utils import logging

    from sign2gpt.files import alone_in
    from sign2gpt.train.needs import require_files
    from sign2gpt.train.recipe import Stage, seed_of

    check_recipe(recipe)
    require_files(recipe)
    logging.disable_progress_bar()  # ours says it
    set_seed(seed_of(recipe))  # before the model draws its weights
    if recipe.stage is Stage.pretrain:
        from sign2gpt.train.pretrain import pretrain as stage
    else:
        from sign2gpt.train.translate import train_translation as stage
    output = Path(recipe.output)
    refusal = (
        f"Another run is training in {output}; wait for it, or give this one another `output`."
    )
    with alone_in(output, refusal):
        return stage(recipe, progress)
