"""Stage 2: translation with a frozen language model (sections 3.1 and 3.2)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sign2gpt.data.manifest import read_manifest
from sign2gpt.metrics import bleu_rouge
from sign2gpt.progress import Advance
from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary
from sign2gpt.train.build import build_translation
from sign2gpt.train.inputs import clip_datasets, video_processor
from sign2gpt.train.recipe import Recipe
from sign2gpt.train.stage import finished, train_stage
from sign2gpt.translate import PSEUDO_GLOSSES
from sign2gpt.video.processor import Sign2GPTProcessor

if TYPE_CHECKING:
    from transformers import EvalPrediction, PreTrainedTokenizerBase


def train_translation(recipe: Recipe, progress: Advance | None = None) -> Path:
    """Learn to translate; the best epoch by BLEU-4 of generated dev text is kept.

    Starting from stage 1's model (``start_from``) this is Sign2GPT(w/PGP); on stored sign
    features it is Sign(Z)2GPT; starting from nothing it is Sign2GPT.
    """
    from sign2gpt.model.sources import load_tokenizer

    output = Path(recipe.output)
    if finished(recipe):
        return output
    tokenizer = load_tokenizer(str(recipe.language)) if recipe.language else None
    model = build_translation(recipe, tokenizer)
    vocabulary = None
    if model.config.num_pseudo_glosses:
        vocabulary = PseudoGlossVocabulary.load(Path(str(recipe.start_from)) / PSEUDO_GLOSSES)
    processor = video_processor(recipe, model.config)
    datasets = clip_datasets(recipe, model, processor, tokenizer=tokenizer, progress=progress)
    references = [row.text for row in read_manifest(recipe.store, "dev")]

    def save_beside(folder: Path) -> None:
        Sign2GPTProcessor(processor, tokenizer).save_pretrained(folder)
        if vocabulary is not None:
            vocabulary.save(folder / PSEUDO_GLOSSES)

    train_stage(
        recipe,
        model,
        datasets,
        tokenizer=tokenizer,
        compute_metrics=lambda prediction: _bleu(prediction, tokenizer, references),
        metric="bleu4",
        label_names=["labels"],
        progress=progress,
        save_beside=save_beside,
    )
    return output


def _bleu(
    prediction: EvalPrediction, tokenizer: PreTrainedTokenizerBase, references: list[str]
) -> dict[str, float]:
    """Scores of generated text against the sentences as they stand in the manifest."""
    tokens: Any = prediction.predictions
    tokens = np.where(tokens < 0, tokenizer.pad_token_id, tokens)
    hypotheses = [t.strip() for t in tokenizer.batch_decode(tokens, skip_special_tokens=True)]
    scores = bleu_rouge(hypotheses, references[: len(hypotheses)])
    return {"bleu4": scores.bleu4, "rouge_l": scores.rouge_l}
