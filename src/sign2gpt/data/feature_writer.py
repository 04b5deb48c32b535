"""Writes stored features clip by clip, so that a run that broke off can go on behind them.

Shapes: T frames or sign tokens of a clip.
"""

import io
import itertools
import json
import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from sign2gpt.errors import UserError
from sign2gpt.files import write_whole

ARRAY = "features.npy"
WRITTEN = "written.jsonl"  # while it is being written: dtype and meta, then a line a clip
NOTED_EVERY = 30.0  # seconds of writing that are lost at most where the process is killed


class FeatureWriter:
    """Writes arrays end to end as one .npy, and now and then which are in, so that it can go on.

    Attributes:
        lengths: T of each clip by its id, in order.
    """

    def __init__(self, folder: Path, dtype: np.dtype[Any], meta: dict[str, Any]) -> None:
        self.dtype, self.meta = dtype, meta
        self.lengths: dict[str, int] = {}
        self.shape: tuple[int, ...] | None = None
        array, written = folder / ARRAY, folder / WRITTEN
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
