"""The clips of a manifest as training and evaluation read them.

Shapes: T sampled frames of a clip, h = the processor's image_size, V pseudo-glosses.

What is drawn at random follows from (seed, epoch, index) alone: the same in any order, in any
worker process, and in a run that is taken up again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from sign2gpt.data.hub import hub_dataset
from sign2gpt.data.manifest import ClipRow
from sign2gpt.data.store import ClipStore, open_store
from sign2gpt.errors import UserError
from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary
from sign2gpt.video.augment import ClipAugment
from sign2gpt.video.processor import SignVideoProcessor
from sign2gpt.video.sample import evenly, in_order, shifted_span
from sign2gpt.video.source import ClipSource


class LabelledRows(Dataset[dict[str, Any]]):
    """Rows of a manifest with their texts and pseudo-gloss labels; what each clip shows is added
    by those who extend it.

    Args:
        rows: of the manifest.
        pseudo_glosses: one list of pseudo-glosses a row, in the rows' order.
        vocabulary: turns them into labels; needed with `pseudo_glosses`.
        seed: what is drawn at random follows from it.
    """

    def __init__(
        self,
        rows: Sequence[ClipRow],
        pseudo_glosses: Sequence[Sequence[str]] | None = None,
        vocabulary: PseudoGlossVocabulary | None = None,
        seed: int = 0,
    ) -> None:
        if (pseudo_glosses is None) != (vocabulary is None):
            raise ValueError("pseudo_glosses and vocabulary come together")
        if pseudo_glosses is not None and len(pseudo_glosses) != len(rows):
            raise ValueError(f"{len(pseudo_glosses)} lists of pseudo-glosses for {len(rows)} rows")
        self.rows = list(rows)
        self.pseudo_glosses = pseudo_glosses
        self.vocabulary = vocabulary
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.rows)

    def set_epoch(self, epoch: int) -> None:
        """Draw anew from here on; the Trainer calls it at the start of each epoch."""
        self.epoch = int(epoch)

    def _labelled(self, index: int) -> dict[str, Any]:
        """{"id", "text"} of a row, and "pseudo_gloss_labels" (V,) float32 where known."""
        row = self.rows[index]
        item: dict[str, Any] = {"id": row.id, "text": row.text}
        if self.pseudo_glosses is not None and self.vocabulary is not None:
            labels = self.vocabulary.encode(self.pseudo_glosses[index])
            item["pseudo_gloss_labels"] = torch.from_numpy(labels)
        return item

    def _generator(self, index: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.epoch, index])


class ClipDataset(LabelledRows):
    """Decodes the clips of one split of a store.

    Items: {"id": str, "text": str, "pixel_values": (T, 3, h, h) uint8, "num_frames": T,
    "pseudo_gloss_labels": (V,) float32 where pseudo-glosses are given}.

    Args:
        store: of clips, open or its folder.
        split: its rows to take, all of them where None.
        processor: rate, sizes and cap.
        augment: what training does to each clip, beside shifting its start and end and keeping a
            random (not an even) choice of frames where the cap applies. None: as at evaluation.
        max_shift: sampled frames that may go from either end, in training.
        pseudo_glosses, vocabulary, seed: as LabelledRows.

    Raises:
        UserError: a wrong manifest, or clips that are not there.
    """

    def __init__(
        self,
        store: ClipStore | Path | str,
        split: str | None,
        processor: SignVideoProcessor,
        augment: ClipAugment | None = None,
        *,
        max_shift: int = 4,
        pseudo_glosses: Sequence[Sequence[str]] | None = None,
        vocabulary: PseudoGlossVocabulary | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(store, ClipStore) and hub_dataset(store):
            raise ValueError("open a store on the Hub with open_store first: it is fetched then")
        self.store = open_store(store)
        super().__init__(self.store.rows(split), pseudo_glosses, vocabulary, seed)
        self.processor = processor
        self.augment = augment
        self.max_shift = max_shift
        self._last: tuple[int, np.ndarray] | None = None
        missing = [row for row in self.rows if not self.store.has(row)]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(self.rows)} clips of {self.store.name} are missing, the "
                f"first is {missing[0].path}; mend the manifest's paths or fetch the clips."
            )

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Raises UserError, naming the row, where its clip cannot be read."""
        return self.item(index)

    def item(self, index: int, clip: ClipSource | None = None) -> dict[str, Any]:
        """A row's item, of its clip in the store or, where that came another way, of `clip`."""
        return self._item(index, None if self.augment is None else self._generator(index), clip)

    def variant(self, index: int, number: int, plain: bool = True) -> dict[str, Any]:
        """A clip augmented in its number-th way, to be stored; 0 as at evaluation if `plain`.

        The item is that of the clip, with `variant_id` for its id. The variants of one clip asked
        for one after the other decode it once. Raises UserError as an item does.
        """
        generator = np.random.default_rng([self.seed, number, index])
        item = self._item(index, None if plain and number == 0 else generator)
        return {**item, "id": variant_id(item["id"], number)}

    def _item(
        self, index: int, generator: np.random.Generator | None, clip: ClipSource | None = None
    ) -> dict[str, Any]:
        row = self.rows[index]
        try:
            pixel_values = self._pixel_values(index, generator, clip)
        except UserError as error:
            raise UserError(f"Row {row.id!r} of {self.store.name}: {error}") from error
        num_frames = len(pixel_values)
        return {**self._labelled(index), "pixel_values": pixel_values, "num_frames": num_frames}

    def _frames(self, index: int, clip: ClipSource | None) -> np.ndarray:
        """All sampled frames of a clip; the last one read is kept."""
        if self._last is None or self._last[0] != index:
            row = self.rows[index]
            source_fps = row.fps or None  # a folder of frames does not know its own rate
            read = self.processor.read(clip or self.store.clip(row), source_fps=source_fps)
            self._last = (index, read.frames)
        return self._last[1]

    def _pixel_values(
        self, index: int, generator: np.random.Generator | None, clip: ClipSource | None
    ) -> torch.Tensor:
        """As at evaluation without a generator, else as in training."""
        processor, cap = self.processor, self.processor.max_frames
        frames = self._frames(index, clip)
        if generator is None or self.augment is None:
            return processor.crop(frames if cap is None else frames[evenly(len(frames), cap)])
        start, end = shifted_span(len(frames), generator, self.max_shift)
        frames = frames[start:end]
        if cap is not None:
            frames = frames[in_order(len(frames), cap, generator)]
        draws = torch.Generator().manual_seed(int(generator.integers(2**63)))
        return self.augment(frames, draws, processor.image_size)


class ClipVariants(Dataset[dict[str, Any]]):
    """Every clip of a dataset in several variants, one after the other, to be stored.

    Args:
        clips: with the augmentation that makes the variants.
        count: variants of each clip.
        plain: whether the first of them is as at evaluation.
    """

    def __init__(self, clips: ClipDataset, count: int, plain: bool = True) -> None:
        self.clips = clips
        self.count = count
        self.plain = plain

    def __len__(self) -> int:
        return len(self.clips) * self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        """As `ClipDataset.variant`."""
        return self.clips.variant(index // self.count, index % self.count, self.plain)


def variant_id(clip_id: str, number: int) -> str:
    """What a stored variant of a clip is called; the first one by the clip's own id."""
    return f"{clip_id}#{number}" if number else clip_id
