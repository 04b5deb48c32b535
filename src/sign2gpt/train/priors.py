"""The demo's two frozen models: a vision transformer of poses and a language model of forecasts.

The paper starts from DINOv2 and XGLM. Nothing that small exists, so these stand in for them: the
same layouts, a few million weights, taught something general and no sign of the language. The
vision model learns to read hands and faces off drawn people in random poses, none of whom is in
the corpus; the language model reads the grammar's sentences, save those kept for dev and test.

Shapes: N frames, P tokens of a frame (class token and patches), C width, L text tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset
from transformers import (
    Dinov2Config,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    XGLMConfig,
    XGLMForCausalLM,
)

from sign2gpt.progress import Advance
from sign2gpt.train.trainer import ReportProgress

IMAGE_SIZE = 84
PATCH = 14
VOCABULARY = 1000
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def vision_config() -> Dinov2Config:
    """DINOv2's layout, small: about 0.85 million weights."""
    return Dinov2Config(
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=IMAGE_SIZE,
        patch_size=PATCH,
        layerscale_value=1.0,
        use_mask_token=False,
    )


def language_config(tokenizer: PreTrainedTokenizerFast) -> XGLMConfig:
    """XGLM's layout, small: about 2 million weights."""
    return XGLMConfig(
        vocab_size=len(tokenizer),
        d_model=192,
        ffn_dim=768,
        num_layers=4,
        attention_heads=4,
        max_position_embeddings=128,
        dropout=0.0,
        attention_dropout=0.0,
    )


def make_language_prior(out: Path, steps: int, seed: int, progress: Advance | None = None) -> None:
    """Train the small XGLM on the grammar's text without the dev and test sentences."""
    from sign2gpt.synth.grammar import text_lines
    from sign2gpt.text.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(text_lines(np.random.default_rng(seed), 20_000), VOCABULARY)
    torch.manual_seed(seed)
    model = XGLMForCausalLM(language_config(tokenizer))

    def collate(lines: list[str]) -> dict[str, Tensor]:
        batch = tokenizer(lines, padding=True, return_tensors="pt")
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        return {**batch, "labels": labels}

    _train(model, _Lines(seed), collate, steps, 64, 2e-3, seed, out, progress)
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)


class _Lines(IterableDataset):
    """Sentences of the grammar without end."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __iter__(self) -> Iterator[str]:
        from sign2gpt.synth.grammar import text_lines

        rng = np.random.default_rng([self.seed, 1])
        while True:
            yield from text_lines(rng, 1000)


def _train(
    model: nn.Module,
    dataset: IterableDataset,
    collate: Any,
    steps: int,
    batch_size: int,
    rate: float,
    seed: int,
    out: Path,
    progress: Advance | None,
    workers: int = 0,
) -> None:
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(out),
            max_steps=steps,
            per_device_train_batch_size=batch_size,
            learning_rate=rate,
            weight_decay=0.01,
            warmup_steps=min(200, steps // 10),
            lr_scheduler_type="cosine",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_steps=100,
            remove_unused_columns=False,
            dataloader_num_workers=workers,
            seed=seed,
        ),
        train_dataset=dataset,
        data_collator=collate,
        callbacks=[ReportProgress(progress)] if progress else None,
    )
    trainer.train()
