"""Arrays of different lengths, one a clip, kept in one memory-mapped file.

Shapes: T frames or sign tokens of a clip, T_all those of all clips together.

Two things are stored so: what the frozen part of the vision model makes of each frame
(`frame_tokens`, T x P x C) and the sign encoder's output (`sign_features`, T x D). A store is a
folder with `features.npy`, all clips end to end, and `index.json`, which says where each lies.
"""

import io
import itertools
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import DTypeLike

from sign2gpt.data.dataset import LabelledRows, variant_id
from sign2gpt.data.manifest import ClipRow
from sign2gpt.errors import UserError
from sign2gpt.files import new_folder, write_whole
from sign2gpt.text.pseudo_gloss import PseudoGlossVocabulary
from sign2gpt.video.sample import shifted_span

_ARRAY, _INDEX = "features.npy", "index.json"
# In a store that is being written: dtype and meta, then a line a clip; and the writer's lock.
_WRITTEN, _LOCK = "written.jsonl", "lock"
NOTED_EVERY = 30.0  # seconds of writing that are lost at most where the process is killed


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
            self._array = np.load(self.path / _ARRAY, mmap_mode="r")
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
                return cls.go_on(path, lambda done: items, dtype, meta)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)

    @classmethod
    def go_on(
        cls,
        path: Path | str,
        after: Callable[[int], Iterable[tuple[str, Any]]],
        dtype: DTypeLike = np.float16,
        meta: Mapping[str, Any] | None = None,
    ) -> Self:
        """As `write`, but what is in stays beside `path` if it breaks off, and is gone on from if
        `dtype` and `meta` are the same.

        Args:
            after: the pairs that come after the first n.
        """
        target = Path(path)
        unfinished = _unfinished(target)
        with new_folder(target.parent), _alone_in(unfinished):
            with _Writer(unfinished, np.dtype(dtype), dict(meta or {})) as writer:
                try:
                    for clip_id, array in after(len(writer.lengths)):
                        try:
                            writer.append(clip_id, array)
                        except (UserError, ValueError):  # it would come to the same again
                            writer.lengths.clear()
                            raise
                    index = writer.finish()
                except BaseException:
                    if not writer.lengths:
                        shutil.rmtree(unfinished)
                    raise
            (unfinished / _INDEX).write_text(json.dumps(index), encoding="utf-8")
            if target.exists():
                shutil.rmtree(target)
            unfinished.rename(target)
            for name in (_WRITTEN, _LOCK):
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


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Make a folder if need be, and keep other processes from writing to it."""
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            f"Another run is writing {folder.with_name(folder.name[1:]).with_suffix('')}; wait for "
            "it, or have this one store its features in another folder."
        ) from error
    except NotImplementedError:
        pass  # some clusters' file systems have no locks
    try:
        yield
    finally:
        lock.release()


class _Writer:
    """Writes arrays end to end as one .npy, and now and then which are in, so that it can go on.

    Attributes:
        lengths: T of each clip by its id, in order.
    """

    def __init__(self, folder: Path, dtype: np.dtype[Any], meta: dict[str, Any]) -> None:
        self.dtype, self.meta = dtype, meta
        self.lengths: dict[str, int] = {}
        self.shape: tuple[int, ...] | None = None
        array, written = folder / _ARRAY, folder / _WRITTEN
        array.touch()
        begun = json.loads(json.dumps({"dtype": str(dtype), "meta": meta}))
        first, *clips = _whole_lines(written) or [None]
        kept = self._take_up(clips, array) if first == begun else []
        if not kept:
            array.write_bytes(b"")
        write_whole(written, "".join(json.dumps(line) + "\n" for line in (begun, *kept)))
        self._array, self._written = array.open("r+b"), written.open("a", encoding="utf-8")
        self._array.seek(0, os.SEEK_END)
        self._to_note: list[str] = []
        self._noted_at = time.monotonic()

    def _take_up(self, clips: list[Any], array: Path) -> list[Any]:
        """Go on behind the clips that are whole in both files; their lines."""
        size, taken = array.stat().st_size, 0
        for clip_id, shape in clips:
            end = taken or _header_size(tuple(shape[1:]), self.dtype)
            end += math.prod(shape) * self.dtype.itemsize
            if end > size or clip_id in self.lengths:
                break
            self.lengths[clip_id], self.shape, taken = shape[0], tuple(shape[1:]), end
        os.truncate(array, taken)
        return clips[: len(self.lengths)]

    def append(self, clip_id: str, array: Any) -> None:
        """Write one clip's array (T, ...)."""
        given = np.asarray(array)
        if given.ndim == 0 or len(given) == 0:
            raise ValueError(f"clip {clip_id!r} has no features")
        if clip_id in self.lengths:
            raise ValueError(f"clip {clip_id!r} comes twice")
        if self.shape is None:
            self.shape = given.shape[1:]
            _write_header(self._array, (0, *self.shape), self.dtype)
        if given.shape[1:] != self.shape:
            raise ValueError(f"clip {clip_id!r} is {given.shape}, the first is (T, *{self.shape})")
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(given, dtype=self.dtype)
        if not np.isfinite(stored).all():
            raise UserError(
                f"The features of clip {clip_id!r} are not finite as {self.dtype}; store float32."
            )
        self._array.write(stored.data)
        self._to_note.append(json.dumps([clip_id, given.shape]) + "\n")
        self.lengths[clip_id] = len(given)
        if time.monotonic() - self._noted_at > NOTED_EVERY:
            self._note()

    def _note(self) -> None:
        """Say which clips are in, once they are on the disk."""
        self._array.flush()
        os.fsync(self._array.fileno())
        self._written.write("".join(self._to_note))
        self._written.flush()
        self._to_note, self._noted_at = [], time.monotonic()

    def finish(self) -> dict[str, Any]:
        """Write how many there are into the array's header; the index."""
        if self.shape is None:
            raise ValueError("no clips to write")
        offsets = [0, *itertools.accumulate(self.lengths.values())]
        self._array.seek(0)
        _write_header(self._array, (offsets[-1], *self.shape), self.dtype)
        return {"ids": list(self.lengths), "offsets": offsets, "meta": self.meta}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._array, self._written:
            self._note()


def _whole_lines(path: Path) -> list[Any]:
    """The JSON of a file's lines, up to one that broke off."""
    found: list[Any] = []
    with suppress(OSError, ValueError):
        for line in path.read_text(encoding="utf-8").splitlines():
            found.append(json.loads(line))
    return found


def _header_size(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    header = io.BytesIO()
    _write_header(header, (0, *shape), dtype)
    return len(header.getvalue())


def _write_header(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """An .npy header; numpy leaves room in it for the first axis to grow."""
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(file, header)
