"""Stage 2: translation with a frozen language model (sections 3.1 and 3.2)."""

from __future__ import annotations

import sys
from pathlib import Path

from sign2gpt.data.collator import ClipCollator
from sign2gpt.metrics import bleu_rouge, spaced_characters
from sign2gpt.progress import Advance
from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary
from sign2gpt.text.tokenizer import (
    grow_tokenizer,
    loses_full_width,
    missing_characters,
    texts_of,
)
from sign2gpt.train.build import build_translation
from sign2gpt.train.inputs import SPLITS, clip_datasets, recipe_store, video_processor
from sign2gpt.train.recipe import Recipe
from sign2gpt.train.stage import finished, train_stage
from sign2gpt.translate import PSEUDO_GLOSSES
from sign2gpt.video.processor import Sign2GPTProcessor


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
    store = recipe_store(recipe)
    sentences = [row.text for row in store.rows("train")]
    if tokenizer is not None and missing_characters(tokenizer, sentences):
        tokenizer, added = grow_tokenizer(tokenizer, sentences)
        shown = "".join(added[:20])
        print(
            f"The vocabulary lacks {len(added)} characters of train ({shown}...); each gets a "
            "token of its own.",
            file=sys.stderr,
        )
    texts = {row.id: row.text for split in SPLITS for row in store.rows(split)}
    ClipCollator(tokenizer, recipe.max_text_tokens).check_texts(texts)
    model = build_translation(recipe, tokenizer)
    if tokenizer is not None:
        model.config.full_width_punctuation = loses_full_width(tokenizer, sentences)
    vocabulary = None
    if model.config.num_pseudo_glosses:
        vocabulary = PseudoGlossVocabulary.load(Path(str(recipe.start_from)) / PSEUDO_GLOSSES)
    processor = video_processor(recipe, model.config)
    datasets = clip_datasets(
        recipe, store, model, processor, tokenizer=tokenizer, progress=progress
    )
    references = [row.text for row in store.rows("dev")]

    def save_beside(folder: Path) -> None:
        Sign2GPTProcessor(processor, tokenizer).save_pretrained(folder)
        if vocabulary is not None:
            vocabulary.save(folder / PSEUDO_GLOSSES)

    train_stage(
        recipe,
        model,
        datasets,
        tokenizer=tokenizer,
        compute_metrics=lambda prediction: _bleu(
            texts_of(tokenizer, prediction.predictions, model.config.full_width_punctuation),
            references,
            recipe.score_characters,
        ),
        metric="bleu4",
        label_names=["labels"],
        progress=progress,
        save_beside=save_beside,
    )
    return output


def _bleu(hypotheses: list[str], references: list[str], characters: bool) -> dict[str, float]:
    """Scores of generated text against the sentences as they stand in the manifest."""
    references = references[: len(hypotheses)]
    if characters:
        hypotheses, references = (
            [spaced_characters(text) for text in texts] for texts in (hypotheses, references)
        )
    scores = bleu_rouge(hypotheses, references)
    return {"bleu4": scores.bleu4, "rouge_l": scores.rouge_l}
