"""Recipes, the two training stages, and the hand-over between them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sign2gpt.progress import Advance
    from sign2gpt.train.recipe import Recipe


def run(recipe: Recipe, progress: Advance | None = None) -> Path:
    """Run the stage a recipe describes; a finished run is left as it is, a broken-off one goes on.

    Returns:
        The folder of the trained model.

    Raises:
        UserError: whatever the recipe names cannot be used.
    """
    from transformers import set_seed
    from transformers.utils import logging

    from sign2gpt.errors import check_output
    from sign2gpt.train.recipe import Stage, seed_of
    from sign2gpt.train.stage import training_arguments

    for folder in (recipe.output, recipe.features):
        if folder is not None:
            check_output(Path(folder))
    training_arguments(recipe, "loss", [])  # a wrong value is found before hours of work
    logging.disable_progress_bar()  # ours says it
    set_seed(seed_of(recipe))  # before the model draws its weights
    if recipe.stage is Stage.pretrain:
        from sign2gpt.train.pretrain import pretrain as stage
    else:
        from sign2gpt.train.translate import train_translation as stage
    return stage(recipe, progress)
