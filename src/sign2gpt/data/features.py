"""Arrays of different lengths, one a clip, kept in one memory-mapped file.

Shapes: T frames or sign tokens of a clip, T_all those of all clips together.

Two things are stored so: what the frozen part of the vision model makes of each frame
(`frame_tokens`, T x P x C) and the sign encoder's output (`sign_features`, T x D). A store is a
folder with `features.npy`, all clips end to end, and `index.json`, which says where each lies.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import DTypeLike

from sign2gpt.data.dataset import LabelledRows, variant_id
from sign2gpt.data.feature_writer import ARRAY, WRITTEN, FeatureWriter
from sign2gpt.data.manifest import ClipRow
from sign2gpt.errors import UserError
from sign2gpt.files import LOCK, alone_in, new_folder
from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary
from sign2gpt.video.sample import shifted_span

_INDEX = "index.json"


class FeatureStore:
    """Read-only store: `store[id]` is the (T, ...) array of a clip, read when it is used.

    Attributes:
        ids: of the clips, in the order written.
        meta: what the writer noted, such as a fingerprint of the model.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            index = json.loads((self.path / _INDEX).read_text(encoding="utf-8"))
            self._array = np.load(self.path / ARRAY, mmap_mode="r")
            self.ids: list[str] = index["ids"]
            self.meta: dict[str, Any] = index["meta"]
            self._offsets: list[int] = index["offsets"]
        except FileNotFoundError as error:
            raise UserError(
                f"There are no stored features in {self.path}; write them first."
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(str(error)) from error
        if len(self._offsets) != len(self.ids) + 1 or self._offsets[-1] != len(self._array):
            raise self._damaged("index and array differ")
        self._positions = {clip_id: position for position, clip_id in enumerate(self.ids)}

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a written store; UserError where there is none or it is damaged."""
        return cls(path)

    @classmethod
    def write(
        cls,
        path: Path | str,
        items: Iterable[tuple[str, Any]],
        dtype: DTypeLike = np.float16,
        meta: Mapping[str, Any] | None = None,
    ) -> Self:
        """Write (id, array (T, ...)) pairs as they come; `path` appears only when all are in.

        A store that lies there already is replaced. `meta` has to be JSON.

        Raises:
            ValueError: no items, an id twice, or arrays that do not go together.
            UserError: a number too great for `dtype`.
        """
        unfinished = _unfinished(Path(path))
        shutil.rmtree(unfinished, ignore_errors=True)
        with new_folder(unfinished.parent):
            try:
                return cls.resume(path, lambda done: items, dtype, meta)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)

    @classmethod
    def resume(
        cls,
        path: Path | str,
        items_after: Callable[[int], Iterable[tuple[str, Any]]],
        dtype: DTypeLike = np.float16,
        meta: Mapping[str, Any] | None = None,
    ) -> Self:
        """As `write`, but what is in stays beside `path` if it breaks off, and is gone on from if
        `dtype` and `meta` are the same.

        Args:
            items_after: the pairs that come after the first n.
        """
        target = Path(path)
        unfinished = _unfinished(target)
        refusal = (
            f"Another run is writing {target}; wait for it, or have this one store its features in "
            "another folder."
        )
        with new_folder(target.parent), alone_in(unfinished, refusal):
            with FeatureWriter(unfinished, np.dtype(dtype), dict(meta or {})) as writer:
                unfit = False
                try:
                    for clip_id, array in items_after(len(writer.lengths)):
                        try:
                            writer.append(clip_id, array)
                        except (UserError, ValueError):
                            unfit = True  # another time it would be the same
                            raise
                    index = writer.finish()
                except BaseException:
                    if unfit or not writer.lengths:
                        shutil.rmtree(unfinished)
                    raise
            (unfinished / _INDEX).write_text(json.dumps(index), encoding="utf-8")
            if target.exists():
                shutil.rmtree(target)
            unfinished.rename(target)
            for name in (WRITTEN, LOCK):
                (target / name).unlink(missing_ok=True)
        return cls(target)

    def __getitem__(self, clip_id: str) -> np.ndarray:
        """(T, ...) of a clip; KeyError where it is not in the store."""
        position = self._positions[clip_id]
        return self._array[self._offsets[position] : self._offsets[position + 1]]

    def __contains__(self, clip_id: object) -> bool:
        return clip_id in self._positions

    def __len__(self) -> int:
        return len(self.ids)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path,)  # a worker process maps the file anew, it gets no copy

    def _damaged(self, reason: str) -> UserError:
        return UserError(f"The stored features in {self.path} are damaged ({reason}); delete them.")


class FeatureDataset(LabelledRows):
    """Stored features in place of decoded clips, with the same labels as ClipDataset.

    Items: {"id", "text", key: (T, ...), frame tokens as stored and sign features as float32,
    "num_frames": T for frame tokens,
    "pseudo_gloss_labels" where given}.

    Args:
        rows: of the manifest; each has to be in the store.
        store: the features.
        key: what the features are.
        variants: how many variants of each clip the store holds (see `ClipDataset.variant`); one
            of them is drawn an item and epoch.
        max_shift: frames whose tokens may be left out at either end, drawn an item and epoch.
        pseudo_glosses, vocabulary, seed: as LabelledRows.

    Raises:
        UserError: a clip without features.
    """

    def __init__(
        self,
        rows: Sequence[ClipRow],
        store: FeatureStore,
        key: Literal["frame_tokens", "sign_features"],
        *,
        variants: int = 1,
        max_shift: int = 0,
        pseudo_glosses: Sequence[Sequence[str]] | None = None,
        vocabulary: PseudoGlossVocabulary | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(rows, pseudo_glosses, vocabulary, seed)
        self.store = store
        self.key = key
        self.variants = variants
        self.max_shift = max_shift
        for row in self.rows:
            for number in range(variants):
                if variant_id(row.id, number) not in store:
                    raise UserError(
                        f"The stored features in {store.path} lack variant {number} of clip "
                        f"{row.id!r}; write them anew."
                    )

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = self._generator(index)
        number = int(generator.integers(self.variants)) if self.variants > 1 else 0
        features = self.store[variant_id(self.rows[index].id, number)]
        if self.max_shift:
            start, end = shifted_span(len(features), generator, self.max_shift)
            features = features[start:end]
        if self.key == "frame_tokens":  # many: the model widens them, a batch at a time
            tokens = torch.from_numpy(np.array(features))
            return {**self._labelled(index), self.key: tokens, "num_frames": len(features)}
        return {**self._labelled(index), self.key: torch.from_numpy(features.astype(np.float32))}


def _unfinished(target: Path) -> Path:
    return target.with_name(f".{target.name}.unfinished")
