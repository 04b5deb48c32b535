"""How large a recipe's model is, counted on the meta device: no weights, no download."""

from __future__ import annotations

import torch

from sign2gpt.train.recipe import Recipe, Stage


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
            model = Sign2GPTForPseudoGlossPretraining(model_config(recipe))
        else:
            model = Sign2GPTForConditionalGeneration(model_config(recipe))
    return count_parameters(model)
