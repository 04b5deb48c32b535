"""From a recipe to its model: configuration, frozen weights, and the hand-over between stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sign2gpt.errors import UserError
from sign2gpt.train.recipe import Recipe, Stage, TrainOn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from sign2gpt.model.checkpoint import Sign2GPTPreTrainedModel
    from sign2gpt.model.configuration import Sign2GPTConfig
    from sign2gpt.model.modeling import (
        Sign2GPTForConditionalGeneration,
        Sign2GPTForPseudoGlossPretraining,
    )


# What frame tokens, and what Z, depend on besides weights: both stages must agree on it.
BELOW_SETTINGS = ("image_mean", "image_std", "spatial_lora_layers", "train_backbone")
SIGN_SETTINGS = (
    *BELOW_SETTINGS, "spatial_lora_alpha", "num_sign_layers", "num_sign_heads",
    "attention_window", "downsample_after",
)  # fmt: skip


def model_config(
    recipe: Recipe,
    num_pseudo_glosses: int = 0,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Sign2GPTConfig:
    """What the recipe's model is, before any training.

    Args:
        num_pseudo_glosses: size of the vocabulary, which is read from data and never typed.
        tokenizer: the language model's, which has the last word on special tokens.
    """
    from sign2gpt.model.configuration import Sign2GPTConfig
    from sign2gpt.model.sources import frozen_config, image_colours, special_tokens

    translates = recipe.stage is Stage.translate
    if translates and recipe.language is None:
        raise UserError("The recipe names no language model; set the key `language`.")
    text = frozen_config(str(recipe.language)) if translates else None
    found = special_tokens(tokenizer, text) if text is not None and tokenizer is not None else {}
    return Sign2GPTConfig(
        vision_config=frozen_config(recipe.vision),
        text_config=text,
        num_pseudo_glosses=num_pseudo_glosses,
        **{**found, **image_colours(recipe.vision), **recipe.model},
    )


def build_pretraining(recipe: Recipe, num_pseudo_glosses: int) -> Sign2GPTForPseudoGlossPretraining:
    """Stage 1's model: frozen vision weights filled in, then what ``start_from`` has learnt.

    The prototypes are not learnt but those of this run's own vocabulary, and so left to be set.
    """
    from sign2gpt.model.configuration import read_config
    from sign2gpt.model.modeling import Sign2GPTForPseudoGlossPretraining

    config = model_config(recipe, num_pseudo_glosses)
    source = start_of(recipe)
    if source:
        _check_same_signs(config, read_config(source), source)
    model = Sign2GPTForPseudoGlossPretraining.from_pretrained_parts(
        config, vision=recipe.vision, language=None
    )
    if source:
        hand_over(source, model, without=("pseudo_gloss_head.prototypes",))
    return model


def build_translation(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase | None = None
) -> Sign2GPTForConditionalGeneration:
    """Stage 2's model: frozen weights filled in, then what ``start_from`` has learnt.

    The pseudo-gloss head comes along, frozen, when ``start_from`` has one: with it the translator
    can say where each sign was seen.
    """
    from sign2gpt.model.configuration import read_config
    from sign2gpt.model.modeling import Sign2GPTForConditionalGeneration
    from sign2gpt.model.quantise import hold_language_model

    source = start_of(recipe)
    given = read_config(source) if source else None
    config = model_config(recipe, given.num_pseudo_glosses if given else 0, tokenizer)
    if source and given:
        _check_same_signs(config, given, source)
    model = Sign2GPTForConditionalGeneration.from_pretrained_parts(
        config, vision=recipe.vision, language=recipe.language
    )
    if tokenizer is not None and len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer))  # of characters it lacked (appendix A.2)
    if source:
        hand_over(source, model)
    if recipe.train_on is TrainOn.sign_features:
        model.freeze(spatial=True, sign_encoder=True)
    precision = recipe.language_precision
    if precision.quantised and "language" not in model.frozen_sources:
        raise UserError(
            f"The language model's weights are those of {source} and of no source that a "
            f"checkpoint could name, so they cannot be held as {precision.value}; set "
            "language_precision to bfloat16."
        )
    hold_language_model(model, precision)
    return model


def start_of(recipe: Recipe) -> Path | None:
    """The folder whose weights a run begins with; UserError where no model is in it."""
    source = Path(recipe.start_from) if recipe.start_from else None
    if source and not (source / "config.json").is_file():
        raise UserError(
            f"There is no trained model in {source} to start from; train it first, or correct "
            "the recipe's key `start_from`."
        )
    return source


def _check_same_signs(own: Sign2GPTConfig, given: Sign2GPTConfig, source: Path) -> None:
    """Settings without a shape of their own would otherwise differ unnoticed."""
    for name in SIGN_SETTINGS:
        if getattr(own, name) != getattr(given, name):
            raise UserError(
                f"The model in {source} has {name} = {getattr(given, name)} and this recipe "
                f"{getattr(own, name)}, so it does not fit; set model.{name} to the same in both."
            )


def hand_over(source: Path, model: Sign2GPTPreTrainedModel, without: Sequence[str] = ()) -> None:
    """Copy every weight of a trained model into `model`, by name.

    Stage 1 gives the spatial model, the sign encoder and the pseudo-gloss head; a stage 2 model
    gives its decoder too. Whatever `source` has must fit, so nothing is lost on the way.

    Frozen models that `source` only names must be those of `model`; where it holds others, they
    take the place of `model`'s, which is then saved whole.

    Args:
        without: weights that stay as they are in `model`.

    Raises:
        UserError: a weight of `source` that `model` has no place for, or of another shape; another
            frozen model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = source / "model.safetensors"
    try:
        weights = {n: w for n, w in load_file(path).items() if n not in without}
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"The weights {path} cannot be read ({error}); train that model again."
        ) from error
    require_same_frozen_models(source, model)
    own = model.state_dict() | model.added_rows()
    for name, weight in weights.items():
        if name not in own or own[name].shape != weight.shape:
            raise UserError(
                f"The weight {name} of {source} does not fit this recipe's model; give both "
                "recipes the same section `model`."
            )
    model.load_state_dict(weights, strict=False)


def require_same_frozen_models(source: Path, model: Sign2GPTPreTrainedModel) -> None:
    """What `source` has learnt was learnt with the frozen models that it names.

    Raises:
        UserError: `model` has others.
    """
    from sign2gpt.model.configuration import read_config

    for part, noted in (read_config(source).frozen_sources or {}).items():
        own = model.frozen_sources.get(part, {})
        if own.get("sha256") != noted["sha256"]:
            raise UserError(
                f"The model in {source} was trained with the frozen {part} model {noted['name']} "
                f"(sha256 {noted['sha256'][:12]}...), whose weights are not those of this recipe's "
                f"{own.get('name')}; set the key `{part}` to what it was trained with."
            )
