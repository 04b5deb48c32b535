"""The corpus doctor: what is wrong, or odd, with the sentences and clips of a store."""

import hashlib
import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from sign2gpt.corpora.corpus import Corpus
from sign2gpt.corpora.prepare import REPORT_NAME
from sign2gpt.corpora.readers import CORPORA
from sign2gpt.data.manifest import ClipRow
from sign2gpt.data.store import ClipStore, FolderStore, open_store
from sign2gpt.errors import UserError
from sign2gpt.files import reading
from sign2gpt.parallel import in_parallel
from sign2gpt.progress import Advance
from sign2gpt.video.decode import read_clip
from sign2gpt.video.source import ClipSource, open_source

SHORTEST = 0.32  # seconds: four frames at 12.5 a second, two sign tokens
_LOOKED_AT = 12  # frames of a clip, evenly spread, looked at for black and frozen pictures
_BLACK = 24.0  # brightest pixel, of 255, up to which a picture shows nothing
_FROZEN = 0.5  # mean change, of 255, under which no picture differs from the first

_ODD_TEXTS = {
    "a full stop after a space": re.compile(r" \.$"),
    "two spaces in a row": re.compile(r"  "),
    "a space at its start or end": re.compile(r"^\s|\s$"),
    "full-width punctuation": re.compile(r"[！？：，；（）．。]"),
    "an HTML entity": re.compile(r"&(?:[a-z]+|#\d+);"),
    "a control character": re.compile(r"[\x00-\x1f\x7f]"),
}
_USUAL_TEXTS = {"zh": {"full-width punctuation"}}  # what is no oddity in a language


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        level: "error" keeps clips from being trained on, "warning" falsifies scores or training,
            "note" is good to know.
        text: a sentence.
        clips: ids, where single clips are meant.
    """

    level: Literal["error", "warning", "note"]
    text: str
    clips: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Examination:
    """What a store holds and what was found."""

    splits: dict[str, int]
    findings: list[Finding]


def check(
    store: ClipStore | Path,
    *,
    look_at_clips: bool = True,
    workers: int | None = None,
    progress: Advance | None = None,
) -> Examination:
    """Examine a store: its split sizes, sentences and, unless told not to, every clip.

    Raises:
        UserError: no store, or a manifest that cannot be read.
    """
    store = open_store(store, stream=not look_at_clips)
    rows = store.rows()
    findings = [
        *_left_out(store), *_sizes(rows), *_known(rows), *_shared_sentences(rows),
        *_odd_texts(rows),
    ]  # fmt: skip
    if look_at_clips:
        findings += _clips(store, rows, workers, progress)
    order = ("error", "warning", "note")
    findings.sort(key=lambda finding: order.index(finding.level))
    return Examination(dict(Counter(row.split for row in rows)), findings)


def _corpora(rows: Sequence[ClipRow]) -> Iterator[tuple[Corpus, list[ClipRow]]]:
    by_source: dict[str, list[ClipRow]] = defaultdict(list)
    for row in rows:
        by_source[row.source].append(row)
    for source, own in by_source.items():
        if source in CORPORA:
            yield CORPORA[source], own


def _left_out(store: ClipStore) -> Iterator[Finding]:
    """Clips of the corpus that could not be prepared, or not well: a split may lack all it had."""
    report = store.folder / REPORT_NAME if isinstance(store, FolderStore) else None
    if report is None or not report.is_file():
        return
    with reading(report, "delete it, or prepare the store again"):
        said = json.loads(report.read_text(encoding="utf-8"))
        left, damaged = said["unreadable"], [str(clip) for clip in said.get("damaged", ())]
        splits = ", ".join(sorted({str(clip["split"]) for clip in left}))
        clips = [str(clip["id"]) for clip in left]
    if clips:
        text = f"{len(clips):,} clips of {splits} could not be prepared ({REPORT_NAME} says why)."
        yield Finding("warning", text, clips)
    if damaged:
        text = f"{len(damaged):,} clips were made of videos that are damaged in places."
        yield Finding("warning", text, damaged)


def _sizes(rows: Sequence[ClipRow]) -> Iterator[Finding]:
    for corpus, own in _corpora(rows):
        counts = Counter(row.split for row in own)
        for split, sizes in corpus.sizes.items():
            if counts[split] not in sizes:
                known = " or ".join(f"{size:,}" for size in sizes)
                yield Finding(
                    "warning",
                    f"{split} has {counts[split]:,} clips; {corpus.title} has {known}, so scores "
                    "would not compare.",
                )


def _known(rows: Sequence[ClipRow]) -> Iterator[Finding]:
    for corpus, own in _corpora(rows):
        split_of = {row.id: row.split for row in own}
        for clip, remark in corpus.known.items():
            where = f"is in {split_of[clip]} here" if clip in split_of else "is not here"
            yield Finding("note", f"{clip} {where}; it is {remark}.", [clip])
        for remark in corpus.remarks:
            yield Finding("note", remark)


def _shared_sentences(rows: Sequence[ClipRow]) -> Iterator[Finding]:
    texts: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        texts[row.split].append(row.text)
    for split in texts:
        distinct = len(set(texts[split]))
        if distinct < len(texts[split]):
            yield Finding(
                "note",
                f"{split} has {distinct:,} distinct sentences among {len(texts[split]):,}.",
            )
    train = set(texts.get("train", ()))
    for split in texts:
        both = sum(text in train for text in texts[split])
        if split != "train" and both:
            yield Finding(
                "warning",
                f"{both:,} of {len(texts[split]):,} {split} sentences also stand in train.",
                [row.id for row in rows if row.split == split and row.text in train],
            )


def _odd_texts(rows: Sequence[ClipRow]) -> Iterator[Finding]:
    languages = {corpus.name: corpus.language for corpus in CORPORA.values()}
    for what, pattern in _ODD_TEXTS.items():
        clips = [
            row.id
            for row in rows
            if pattern.search(row.text)
            and what not in _USUAL_TEXTS.get(languages.get(row.source, ""), ())
        ]
        if clips:
            yield Finding("warning", f"{len(clips):,} sentences have {what}.", clips)
    if clips := [row.id for row in rows if not row.text.strip()]:
        yield Finding("error", f"{len(clips):,} sentences are empty.", clips)
    if clips := [row.id for row in rows if unicodedata.normalize("NFC", row.text) != row.text]:
        yield Finding(
            "warning", f"{len(clips):,} sentences write letters in pieces (not NFC).", clips
        )


def _clips(
    store: ClipStore, rows: Sequence[ClipRow], workers: int | None, progress: Advance | None
) -> Iterator[Finding]:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    examined = in_parallel(partial(_examine, store), rows, workers)
    for done, (row, faults) in enumerate(zip(rows, examined, strict=True), 1):
        for fault in faults:
            found[fault].append(row.id)
        if progress is not None:
            progress(done, len(rows))
    for (level, what), clips in found.items():
        verb = "clips" if len(clips) > 1 else "clip"
        yield Finding(level, f"{len(clips):,} {verb} {what}.", clips)  # type: ignore[arg-type]


def _examine(store: ClipStore, row: ClipRow) -> list[tuple[str, str]]:
    """(level, what) of each fault of one clip."""
    if not store.has(row):
        return [("error", "missing from the store")]
    try:
        source = store.clip(row)
        clip = read_clip(source, size=(32, 32), source_fps=row.fps or None)
    except UserError:
        return [("error", "unreadable (cut short, damaged or no video)")]
    faults = []
    if clip.damaged:
        faults.append(("warning", "damaged in places"))
    if row.sha256 and _sha256(source) != row.sha256.lower():
        faults.append(("error", "changed since the manifest was written"))
    frames = len(clip.frames)
    if row.frames and frames != row.frames:
        faults.append(("error", "of another number of frames than the manifest says"))
    if frames < row.annotated_frames:
        faults.append(("warning", "with fewer frames than the annotation says"))
    elif row.annotated_frames and frames > row.annotated_frames:
        faults.append(("warning", "with more frames than the annotation says"))
    if clip.duration < SHORTEST:
        faults.append(("warning", f"shorter than {SHORTEST} s"))
    looked = clip.frames[np.linspace(0, frames - 1, min(frames, _LOOKED_AT)).astype(int)]
    if looked.max() <= _BLACK:
        faults.append(("error", "black from start to end"))
    elif frames > 1 and np.abs(looked - looked[:1].astype(float)).mean((1, 2, 3)).max() < _FROZEN:
        faults.append(("error", "frozen: all pictures are the same"))
    return faults


def _sha256(clip: ClipSource) -> str:
    with open_source(clip) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
