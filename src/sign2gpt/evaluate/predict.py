"""A trained model over the clips of a split, as its users would call it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from sign2gpt.data.manifest import ClipRow
from sign2gpt.data.store import ClipStore, open_store
from sign2gpt.files import check_output, write_whole
from sign2gpt.progress import Advance
from sign2gpt.video.decode import VideoClip

if TYPE_CHECKING:
    from sign2gpt.model.precision import Precision
    from sign2gpt.translate import Translation, Translator


Item = TypeVar("Item")


def predict(
    translator: Translator,
    store: ClipStore | Path,
    rows: Sequence[ClipRow],
    *,
    num_beams: int = 4,
    batch_size: int = 16,
    progress: Advance | None = None,
) -> list[Translation]:
    """Translate the clips of a manifest, in its order.

    Raises:
        UserError: a clip cannot be read.
    """
    store = open_store(store)
    predictions: list[Translation] = []
    for batch in _batches(rows, batch_size):
        videos = [
            translator.processor.read(store.clip(row), source_fps=row.fps or None) for row in batch
        ]
        predictions += translator.translate_batch(videos, num_beams)
        if progress is not None:
            progress(len(predictions), len(rows))
    return predictions


def translate_split(
    model: Path,
    store: Path,
    split: str,
    *,
    num_beams: int = 4,
    out: Path | None = None,
    vision: Path | None = None,
    language: Path | None = None,
    precision: Precision | None = None,
    sentences: Iterable[str] | None = None,
    progress: Advance | None = None,
) -> tuple[list[str], list[str]]:
    """(hypotheses, references) of a trained model over a split, in the manifest's order.

    Args:
        out: folder that both are written to, one sentence a line.
        vision, language, precision, sentences: as in `Translator.from_pretrained`.

    Raises:
        UserError: no such model, store or split, a clip that cannot be read, or no place to write.
    """
    from sign2gpt.translate import Translator

    if out is not None:
        check_output(out)
    clips = open_store(store)
    rows = clips.rows(split)
    translator = Translator.from_pretrained(model, vision, language, precision, sentences)
    found = predict(translator, clips, rows, num_beams=num_beams, progress=progress)
    hypotheses, references = [one.text for one in found], [row.text for row in rows]
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, lines in (("hypotheses", hypotheses), ("references", references)):
            flat = (" ".join(line.split("\n")) for line in lines)
            write_whole(out / f"{name}.txt", "\n".join(flat) + "\n")
    return hypotheses, references


def blank_texts(
    translator: Translator, rows: Sequence[ClipRow], *, num_beams: int = 4, batch_size: int = 16
) -> list[str]:
    """What the model says of black frames, as many as each clip has.

    A deterministic model says the same of every blank clip of one length, so each length is
    decoded once.
    """
    fps = translator.processor.video_processor.fps
    lengths = [max(1, round(row.frames * fps / row.fps)) for row in rows]
    texts: dict[int, str] = {}
    for batch in _batches(sorted(set(lengths)), batch_size):
        videos = [
            VideoClip(
                frames=np.zeros((length, 256, 256, 3), np.uint8),
                fps=fps,
                times=np.arange(length) / fps,
                duration=length / fps,
            )
            for length in batch
        ]
        outputs = translator.translate_batch(videos, num_beams)
        texts |= {length: out.text for length, out in zip(batch, outputs, strict=True)}
    return [texts[length] for length in lengths]


def shuffled(texts: Sequence[str]) -> list[str]:
    """The same sentences, each given to another clip (half the list further on).

    A model that ignores its video scores as well on these as on its own.
    """
    half = len(texts) // 2
    return [*texts[half:], *texts[:half]]


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]
