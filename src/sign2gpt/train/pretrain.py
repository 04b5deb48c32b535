"""Stage 1: pseudo-gloss pretraining of the spatial model and the sign encoder (section 3.3)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sign2gpt.metrics import presence_scores
from sign2gpt.progress import Advance
from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary, pseudo_glosses
from sign2gpt.text.taggers import load_tagger
from sign2gpt.text.word_vectors import corpus_vectors, file_vectors
from sign2gpt.train.build import build_pretraining
from sign2gpt.train.inputs import clip_datasets, recipe_store, video_processor
from sign2gpt.train.recipe import Recipe
from sign2gpt.train.stage import finished, train_stage
from sign2gpt.translate import PSEUDO_GLOSSES

if TYPE_CHECKING:
    from transformers import EvalPrediction


def pretrain(recipe: Recipe, progress: Advance | None = None) -> Path:
    """Learn signs from the words of the sentences alone; the best epoch by dev F1 is kept.

    Writes to ``recipe.output``: the model, the pseudo-gloss vocabulary, the processor, the
    resolved recipe, and the training's log.
    """
    output = Path(recipe.output)
    if finished(recipe):
        return output
    store = recipe_store(recipe)
    sentences = {s: [row.text for row in store.rows(s)] for s in ("train", "dev")}
    tagger = load_tagger(recipe.pseudo_glosses.tagger)
    every = recipe.pseudo_glosses.all_words
    found = {split: pseudo_glosses(tagger, texts, every) for split, texts in sentences.items()}
    vocabulary = PseudoGlossVocabulary.build(
        found["train"],
        tagger,
        max_share=recipe.pseudo_glosses.max_share,
        min_count=recipe.pseudo_glosses.min_count,
    )
    model = build_pretraining(recipe, len(vocabulary.words))
    model.pseudo_gloss_head.set_prototypes(_vectors(recipe, found["train"], vocabulary))
    processor = video_processor(recipe, model.config)
    datasets = clip_datasets(
        recipe,
        store,
        model,
        processor,
        pseudo_glosses=found,
        vocabulary=vocabulary,
        progress=progress,
    )
    train_stage(
        recipe,
        model,
        datasets,
        compute_metrics=_f1,
        metric="f1",
        label_names=["pseudo_gloss_labels"],
        progress=progress,
        save_beside=lambda folder: (
            vocabulary.save(folder / PSEUDO_GLOSSES),
            processor.save_pretrained(folder),
        ),
    )
    return output


def _vectors(
    recipe: Recipe, found: list[list[str]], vocabulary: PseudoGlossVocabulary
) -> np.ndarray:
    size = int(recipe.model.get("pseudo_gloss_size", 300))
    if recipe.pseudo_glosses.vectors == "corpus":
        return corpus_vectors(found, vocabulary.words, size=size)
    return file_vectors(Path(recipe.pseudo_glosses.vectors), vocabulary.words)


def _f1(prediction: EvalPrediction) -> dict[str, float]:
    """Precision, recall and F1 of the presences at 0.2, as in Table 8."""
    scores = presence_scores(prediction.predictions, prediction.label_ids)
    return {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1}
