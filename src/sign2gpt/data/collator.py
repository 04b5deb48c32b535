"""Clips -> one batch: pixels packed end to end, texts as padded labels.

Shapes: B clips, N frames of all clips together, L text tokens, T sign tokens of the longest clip,
D sign width, P tokens of a frame, C frame width, V pseudo-glosses, h picture size.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from sign2gpt.errors import UserError

IGNORED_LABEL = -100


@dataclass
class ClipCollator:
    """Packs dataset items into a batch; no clip is padded to the length of another.

    Returns, of these, what the items hold:
        pixel_values: (N, 3, h, h) uint8, end to end.
        frame_tokens: (N, P, C), end to end.
        num_frames: (B,) int64, which adds up to N.
        sign_features: (B, T, D), zero beyond a clip's end; sign_mask: (B, T) bool, true within.
        labels: (B, L) int64, the text's tokens and the end token, then -100.
        pseudo_gloss_labels: (B, V) float32.
        ids: list of B strings, where `with_ids`.

    Attributes:
        tokenizer: makes the labels; None for none.
        max_text_tokens: most labels a text may make, the end token included.
        truncate_text: cut a longer text (the end token stays) in place of refusing it.
        with_ids: put the ids in too.
    """

    tokenizer: PreTrainedTokenizerBase | None = None
    max_text_tokens: int = 64
    truncate_text: bool = False
    with_ids: bool = False

    def __post_init__(self) -> None:
        if self.tokenizer is not None and self.tokenizer.eos_token_id is None:
            raise UserError(
                f"The tokenizer {self.tokenizer.name_or_path!r} has no end token; set eos_token."
            )

    def __call__(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Raises UserError for a text that makes more than `max_text_tokens` labels."""
        first = items[0]
        batch: dict[str, Any] = {}
        for name in ("pixel_values", "frame_tokens"):
            if name in first:
                # First, as a trainer reads the number of clips off a batch's first tensor.
                batch["num_frames"] = torch.tensor([len(item[name]) for item in items])
                batch[name] = _end_to_end([item[name] for item in items])
        if "sign_features" in first:
            features = [item["sign_features"] for item in items]
            lengths = torch.tensor([len(clip) for clip in features])
            batch["sign_features"] = pad_sequence(features, batch_first=True)
            batch["sign_mask"] = torch.arange(int(lengths.max())) < lengths[:, None]
        if "pseudo_gloss_labels" in first:
            labels = [item["pseudo_gloss_labels"] for item in items]
            batch["pseudo_gloss_labels"] = torch.stack(labels).float()
        if self.tokenizer is not None:
            batch["labels"] = self._labels(self.tokenizer, items)
        if self.with_ids:
            batch["ids"] = [item["id"] for item in items]
        return batch

    def check_texts(self, texts: Mapping[str, str]) -> None:
        """Whether every text, by its clip's id, makes few enough labels; else raises UserError."""
        if self.tokenizer is not None and not self.truncate_text:
            tokens = self.tokenizer(list(texts.values()), add_special_tokens=False)["input_ids"]
            for clip, own in zip(texts, tokens, strict=True):
                self._check_length(clip, len(own))

    def _check_length(self, clip: str, tokens: int) -> None:
        if tokens >= self.max_text_tokens and not self.truncate_text:
            raise UserError(
                f"The text of clip {clip!r} makes {tokens + 1} tokens with the end, "
                f"over max_text_tokens ({self.max_text_tokens}); raise it, or shorten the text."
            )

    def _labels(
        self, tokenizer: PreTrainedTokenizerBase, items: Sequence[Mapping[str, Any]]
    ) -> Tensor:
        texts = [item["text"] for item in items]
        # The end token is put on here: which special tokens a tokenizer adds by itself differs.
        tokens = tokenizer(texts, add_special_tokens=False)["input_ids"]
        for item, own in zip(items, tokens, strict=True):
            self._check_length(item.get("id", "?"), len(own))
        most = self.max_text_tokens - 1
        rows = [torch.tensor([*own[:most], tokenizer.eos_token_id]) for own in tokens]
        return pad_sequence(rows, batch_first=True, padding_value=IGNORED_LABEL)


def _end_to_end(clips: Sequence[Tensor]) -> Tensor:
    """`torch.cat`, into memory from numpy, which asks the system for huge pages.

    A batch is fresh memory each time, and at 4 KB a page its first touch outlasts the copy.
    """
    shape = (sum(map(len, clips)), *clips[0].shape[1:])
    room = np.empty(math.prod(shape) * clips[0].element_size(), dtype=np.uint8)
    return torch.cat(list(clips), out=torch.from_numpy(room).view(clips[0].dtype).view(shape))
