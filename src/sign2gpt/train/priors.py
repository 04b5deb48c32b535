"""The demo's two frozen models: a vision transformer of poses and a language model of forecasts.

The paper starts from DINOv2 and XGLM. Nothing that small exists, so these stand in for them: the
same layouts, a few million weights, taught something general and no sign of the language. The
vision model learns to read hands and faces off drawn people in random poses, none of whom is in
the corpus; the language model reads the grammar's sentences, save those kept for dev and test.

Shapes: N frames, P tokens of a frame (class token and patches), C width, L text tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset, IterableDataset
from transformers import (
    Dinov2Config,
    Dinov2Model,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    XGLMConfig,
    XGLMForCausalLM,
)

from sign2gpt.files import make_weights_readable
from sign2gpt.model.configuration import Sign2GPTConfig
from sign2gpt.model.precision import fast_bf16
from sign2gpt.parallel import in_parallel
from sign2gpt.progress import Advance
from sign2gpt.synth.corpus import train_document
from sign2gpt.synth.lexicon import BROWS, HANDSHAPES, MOUTHS
from sign2gpt.synth.poses import by_side, posed_frames
from sign2gpt.text.tokenizer import train_tokenizer
from sign2gpt.train.trainer import ReportProgress

IMAGE_SIZE = 84
PATCH = 14
VOCABULARY = 1000
TOKENIZER_DOCUMENTS = 10_000
PICTURES_A_TASK = 512

# What a hand's tokens are asked for, and how many numbers that takes; handshapes and "at rest".
HAND = {"position": 2, "angle": 2, "facing": 1, "extension": 5, "handshape": len(HANDSHAPES) + 1}
FACE = {"mouth": len(MOUTHS), "brow": len(BROWS), "head": 3}


def vision_config() -> Dinov2Config:
    """DINOv2's layout, small: about 0.85 million weights."""
    # Eager: on a CPU its backward in bf16 is far faster than that of the fused attention.
    return Dinov2Config(
        attn_implementation="eager",
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=IMAGE_SIZE,
        patch_size=PATCH,
        layerscale_value=1.0,
        use_mask_token=False,
    )


class PoseReader(nn.Module):
    """A vision transformer asked what the hands and the face do.

    The class token at the end must tell both hands (left and right of the picture) and the face;
    below the last block, the patch a hand lies on must tell that hand: the frozen features keep
    both, and the demo's adapters work in the last block.
    """

    def __init__(self, config: Dinov2Config) -> None:
        super().__init__()
        self.backbone = Dinov2Model(config)
        width = config.hidden_size
        self.hands = nn.Linear(width, 2 * sum(HAND.values()))
        self.face = nn.Linear(width, sum(FACE.values()))
        self.patch = nn.Linear(width, sum(HAND.values()))

    def forward(self, pixel_values: Tensor, **labels: Tensor) -> dict[str, Tensor]:
        """Args: pixel_values (N, 3, H, W) uint8, labels as `posed_frames` gives them by side."""
        model, defaults = self.backbone, Sign2GPTConfig
        mean, std = (
            torch.tensor(values)[:, None, None]
            for values in (defaults.image_mean, defaults.image_std)
        )
        tokens = model.embeddings((pixel_values / 255 - mean) / std)
        for block in model.encoder.layer[:-1]:
            tokens = block(tokens)
        token = model.layernorm(model.encoder.layer[-1](tokens))[:, 0]
        side = model.config.image_size // model.config.patch_size
        places = ((labels["position"] + 1) / 2 * side).long().clamp(0, side - 1)  # (N, 2, 2)
        index = 1 + places[..., 1] * side + places[..., 0]
        under = tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[-1]))
        loss = _error(self.hands(token).unflatten(1, (2, -1)), HAND, labels, labels["visible"])
        loss = loss + _error(self.patch(under), HAND, labels, labels["visible"])
        everywhere = torch.ones(len(token))
        return {"loss": loss + _error(self.face(token), FACE, labels, everywhere)}


def _error(
    output: Tensor, asked: dict[str, int], labels: dict[str, Tensor], counts: Tensor
) -> Tensor:
    """Squared error of numbers and cross-entropy of classes, over the entries that count."""
    total = output.new_zeros(())
    for (name, width), part in zip(
        asked.items(), output.split(list(asked.values()), dim=-1), strict=True
    ):
        wanted = labels[name]
        if wanted.dtype == torch.int64:
            error = F.cross_entropy(part.flatten(0, -2), wanted.flatten(), reduction="none")
            error = error.view_as(wanted) / 2
        else:
            error = (part - wanted.reshape(part.shape)).square().sum(-1) * (8 / width)
        total = total + (error * counts).sum() / counts.sum()
    return total


class _Pictures(Dataset[dict[str, Any]]):
    """A pool of posed pictures, drawn once on all cores."""

    def __init__(self, count: int, seed: int, progress: Advance | None) -> None:
        tasks = [(seed, task) for task in range(-(-count // PICTURES_A_TASK))]
        parts = []
        for part in in_parallel(_posed, tasks, chunk=1):
            parts.append(part)
            if progress:
                progress(len(parts), len(tasks))
        self.frames = np.concatenate([frames for frames, _ in parts])
        self.labels = {
            name: np.concatenate([labels[name] for _, labels in parts]) for name in parts[0][1]
        }

    def __len__(self) -> int:
        return len(self.frames)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Tensor]:
        frames = torch.from_numpy(self.frames[indices]).permute(0, 3, 1, 2)
        labels = {name: torch.from_numpy(array[indices]) for name, array in self.labels.items()}
        return {"pixel_values": frames, **labels}


def _posed(task: tuple[int, int]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    frames, labels = posed_frames(np.random.default_rng(task), PICTURES_A_TASK, IMAGE_SIZE)
    return frames, by_side(labels)


def make_vision_prior(
    out: Path, pictures: int, epochs: int, seed: int, progress: Advance | None = None
) -> None:
    """Train the small DINOv2 to read poses, and write it in half precision."""
    pool = _Pictures(pictures, seed, progress)
    torch.manual_seed(seed)
    reader = PoseReader(vision_config())
    steps = epochs * len(pool) // 128
    _train(reader, pool, lambda batch: batch, steps, 128, 1.5e-3, seed, out, progress)
    reader.backbone.half().save_pretrained(out)
    make_weights_readable(out)


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
    """Train the small XGLM on the grammar's text without the dev and test sentences.

    It reads documents that say one forecast several times in other words, as it stands in any
    newspaper, and so learns what large language models bring along: to take a sentence's content
    from what lies before it. Cross-attention with the same frozen q, k and v needs just that.
    """
    rng = np.random.default_rng(seed)
    lines = (line for _ in range(TOKENIZER_DOCUMENTS) for line in train_document(rng))
    tokenizer = train_tokenizer(lines, VOCABULARY)
    torch.manual_seed(seed)
    model = XGLMForCausalLM(language_config(tokenizer))

    def collate(documents: list[list[str]]) -> dict[str, Tensor]:
        end, most = tokenizer.eos_token_id, model.config.max_position_embeddings
        rows = []
        for sentences in documents:
            tokens = tokenizer(sentences, add_special_tokens=False)["input_ids"]
            rows.append(torch.tensor([end, *(t for own in tokens for t in (*own, end))][:most]))
        labels = pad_sequence(rows, batch_first=True, padding_value=-100)
        real = labels != -100
        ids = labels.where(real, tokenizer.pad_token_id)
        return {"input_ids": ids, "attention_mask": real.long(), "labels": labels}

    _train(model, _Documents(seed), collate, steps, 32, 2e-3, seed, out, progress)
    model.half().save_pretrained(out)
    make_weights_readable(out)
    tokenizer.save_pretrained(out)


class _Documents(IterableDataset):
    """Documents of the grammar without end."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __iter__(self) -> Iterator[list[str]]:
        rng = np.random.default_rng([self.seed, 1])
        while True:
            yield train_document(rng)


def _train(
    model: nn.Module,
    dataset: Dataset[Any],
    collate: Any,
    steps: int,
    batch_size: int,
    rate: float,
    seed: int,
    out: Path,
    progress: Advance | None,
) -> None:
    gpu = torch.cuda.is_available()
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
            logging_steps=50,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            bf16=fast_bf16(torch.device("cuda" if gpu else "cpu")),
            use_cpu=not gpu,
            seed=seed,
        ),
        train_dataset=dataset,
        data_collator=collate,
        callbacks=[ReportProgress(progress)] if progress else None,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
