"""A trained model as one folder that needs nothing else: its frozen models are inside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sign2gpt.errors import UserError
from sign2gpt.files import check_output, reading, whole_folder, write_whole
from sign2gpt.model_card import model_card
from sign2gpt.train.recipe_file import load_recipe, save_recipe
from sign2gpt.translate import PSEUDO_GLOSSES, RECIPE

if TYPE_CHECKING:
    from sign2gpt.model.checkpoint import Sign2GPTPreTrainedModel
    from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary
    from sign2gpt.train.recipe import Recipe
    from sign2gpt.video.processor import Sign2GPTProcessor, SignVideoProcessor

DTYPES = ("float32", "bfloat16", "float16")
CARD = "README.md"


def export_model(
    folder: str | Path,
    out: str | Path,
    *,
    dtype: str | None = None,
    merge: bool = False,
    vision: str | Path | None = None,
    language: str | Path | None = None,
) -> Path:
    """Write a trained model of either stage whole: weights, processor, vocabulary, recipe, and a
    card (README.md) that says what it is, as the Hub shows it.

    Args:
        folder: the trained model.
        out: the folder to write; a new or an empty one.
        dtype: one of `DTYPES`; None = as the model was saved.
        merge: put the vision model's adapters into its weights (`merge_vision_adapters`).
        vision: where the frozen vision model lies now, if not where the model says.
        language: the same for the frozen language model.

    Returns:
        `out`.

    Raises:
        UserError: no trained model there, a part missing or damaged, `out` taken, or a weight too
            large for the dtype.
    """
    from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary

    folder, out = Path(folder), Path(out)
    if dtype is not None and dtype not in DTYPES:
        raise UserError(f"Weights cannot be written as {dtype!r}; choose {', '.join(DTYPES)}.")
    if not (folder / "config.json").is_file():
        raise UserError(f"There is no trained model in {folder}; name the folder of one.")
    check_output(out)
    if out.exists() and any(out.iterdir()):
        raise UserError(f"The folder {out} is not empty; name a new one to export to.")
    model, processor = _load(folder, vision, language)
    vocabulary = None
    if model.config.num_pseudo_glosses:
        vocabulary = PseudoGlossVocabulary.load(folder / PSEUDO_GLOSSES)
    card = _card(folder, out, model, processor, vocabulary)
    if merge:
        merge_vision_adapters(model)
    if dtype is not None:
        _round_to(model, dtype)
    for part in model.frozen_sources:
        model.forget_source(part)
    with whole_folder(out) as unfinished:
        model.save_pretrained(unfinished)
        processor.save_pretrained(unfinished)
        if vocabulary is not None:
            vocabulary.save(unfinished / PSEUDO_GLOSSES)
        if (folder / RECIPE).is_file():
            save_recipe(_shared(load_recipe(folder / RECIPE)), unfinished / RECIPE)
        write_whole(unfinished / CARD, card)
    return out


def _card(
    folder: Path,
    out: Path,
    model: Sign2GPTPreTrainedModel,
    processor: SignVideoProcessor | Sign2GPTProcessor,
    vocabulary: PseudoGlossVocabulary | None,
) -> str:
    """The card that is there, as an exported model no longer names what is inside; else a new one,
    to be made before anything of the model is merged or forgotten."""
    if (folder / CARD).is_file():
        return (folder / CARD).read_text(encoding="utf-8")
    return model_card(
        out.resolve().name,
        folder,
        model.config,
        getattr(processor, "video_processor", processor),
        list(model.frozen_sources.values()),
        vocabulary and vocabulary.language,
    )


def _shared(recipe: Recipe) -> Recipe:
    """A recipe whose folders go by their names alone: where they lie is their owner's."""
    places = ("store", "output", "start_from", "features", "vision", "language")
    given = {name: getattr(recipe, name) for name in places}
    named = {name: Path(place).name for name, place in given.items() if _lies_here(place)}
    glosses = recipe.pseudo_glosses
    if _lies_here(glosses.vectors):
        named["pseudo_glosses"] = replace(glosses, vectors=Path(glosses.vectors).name)
    return replace(recipe, **named)


def _lies_here(place: str | None) -> bool:
    return place is not None and Path(place).expanduser().is_absolute()


def _load(
    folder: Path, vision: str | Path | None, language: str | Path | None
) -> tuple[Sign2GPTPreTrainedModel, SignVideoProcessor | Sign2GPTProcessor]:
    """A trained model of either stage and its processor, each of the kind that was saved."""
    from sign2gpt.model import Sign2GPTForConditionalGeneration, Sign2GPTForPseudoGlossPretraining
    from sign2gpt.model.configuration import read_config
    from sign2gpt.video.processor import Sign2GPTProcessor, SignVideoProcessor

    with reading(folder / "config.json", "copy or train that model again"):
        name = str((read_config(folder).architectures or [""])[0])
    pretraining = name == Sign2GPTForPseudoGlossPretraining.__name__
    model_class: type[Sign2GPTPreTrainedModel] = (
        Sign2GPTForPseudoGlossPretraining if pretraining else Sign2GPTForConditionalGeneration
    )
    processor_class = SignVideoProcessor if pretraining else Sign2GPTProcessor
    model = model_class.from_pretrained(folder, vision=vision, language=language)
    return model, processor_class.from_pretrained(folder)


def _round_to(model: Sign2GPTPreTrainedModel, dtype: str) -> None:
    """Bring all weights into a dtype; UserError where one is too large for it."""
    import torch

    model.to(getattr(torch, dtype))
    for name, weight in model.state_dict().items():
        if not bool(weight.isfinite().all()):
            raise UserError(f"The weight {name} does not fit into {dtype}; use bfloat16.")


def merge_vision_adapters(model: Sign2GPTPreTrainedModel) -> None:
    """Put W + (alpha / R) B A in place of each adapted weight of the vision model, for good.

    The model is then one without spatial adapters: exact but for rounding. The language model's
    adapters stay, as one frozen W serves two of them, the self-attention's and the gated
    cross-attention's: no single merged weight is right for both.
    """
    from sign2gpt.model.lora import AdaptedLinear

    backbone = model.spatial_model.backbone
    parents = [module for module in backbone.modules() if not isinstance(module, AdaptedLinear)]
    for parent in parents:
        for name, child in list(parent.named_children()):
            if isinstance(child, AdaptedLinear):
                setattr(parent, name, child.merged())
    model.forget_source("vision")
    model.config.spatial_lora_layers = 0
