"""A corpus as its owner keeps it -> a store: clips of 256 pixels in H.264 and a manifest.

A clip's file stands whole or not at all, so work that was stopped goes on where it was, and doing
it again does nothing. What cannot be read is listed with its reason, and the rest goes on.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sign2gpt.corpora.corpus import SourceClip
from sign2gpt.data.manifest import (
    PARQUET_NAME,
    ClipRow,
    read_manifest,
    write_manifest,
)
from sign2gpt.errors import UserError
from sign2gpt.files import (
    alone_in,
    check_output,
    reading,
    remove_unfinished,
    sha256_of,
    write_json,
    write_whole,
)
from sign2gpt.parallel import in_parallel
from sign2gpt.progress import Advance
from sign2gpt.video.decode import ClipInfo, open_clip, probe_clip
from sign2gpt.video.encode import stored_size, write_clip

REPORT_NAME = "prepare.report.json"
DAMAGED_NAME = "prepare.damaged.jsonl"
SETTINGS_NAME = "prepare.json"
_CLIPS = "clips"
_MOST_FRAMES = 10**9  # that an annotation may give a clip
_LONGEST_NAME = 200  # bytes; file systems take 255


@dataclass(frozen=True)
class Unreadable:
    """A clip that could not be prepared, or a row without one, and why."""

    id: str
    split: str
    reason: str


@dataclass(frozen=True)
class Prepared:
    """What became of a corpus.

    Attributes:
        store: the folder.
        splits: clips in it, by split.
        made: how many of them were made this time.
        unreadable: those that are not in it.
        short: ids of clips with fewer frames than the annotation says.
        damaged: ids of clips whose videos had pictures that the decoder had to mend.
    """

    store: Path
    splits: dict[str, int]
    made: int
    unreadable: list[Unreadable]
    short: list[str]
    damaged: list[str]

    @property
    def rows(self) -> int:
        """Clips in the store."""
        return sum(self.splits.values())


def prepare(
    clips: Iterable[SourceClip],
    store: Path,
    source: str,
    settings: dict[str, Any],
    *,
    workers: int | None = None,
    limit: int | None = None,
    progress: Advance | None = None,
) -> Prepared:
    """Write the clips of a corpus to a store, those that are not there yet.

    Args:
        clips: what a reader gives.
        store: the folder, new or of an earlier call with the same settings.
        source: the corpus's name, for the manifest.
        settings: what the store is made of, for the record; has to be JSON.
        workers: processes; all cores where None.
        limit: only so many clips of each split.
        progress: called with (clips done, clips in all).

    Raises:
        UserError: annotations that cannot be used, a store of something else, an id that is there
            twice, or no clip that can be read.
    """
    chosen = _chosen(clips, limit)
    check_output(store)
    refusal = f"Another run is preparing {store}; wait for it, or name another store."
    with alone_in(store, refusal):
        _claim(store, {"source": source, **settings})
        return _prepare_chosen(chosen, store, source, settings, workers, progress)


def _prepare_chosen(
    chosen: Sequence[SourceClip],
    store: Path,
    source: str,
    settings: dict[str, Any],
    workers: int | None,
    progress: Advance | None,
) -> Prepared:
    """Write these clips to a store that nobody else writes to, and say what became of each."""
    folder = store / _CLIPS
    folder.mkdir(parents=True, exist_ok=True)
    remove_unfinished(folder, ".mp4")
    rows: list[ClipRow] = []
    unreadable: list[Unreadable] = []
    made = 0
    _forget_damage_of_lost(store)
    work = partial(_prepare_clip, store, source)
    noted = _checksums(store)
    items = [(clip, noted.get(clip.id, "")) for clip in chosen]
    for done, (result, new) in enumerate(in_parallel(work, items, workers, chunk=4), 1):
        if isinstance(result, Unreadable):
            unreadable.append(result)
        else:
            rows.append(result)
            made += new
        if progress is not None:
            progress(done, len(chosen))
    short = [row.id for row in rows if 0 < row.frames < row.annotated_frames]
    noted_damage = _damaged(store)
    damaged = [row.id for row in rows if row.id in noted_damage]
    splits = dict(Counter(row.split for row in rows))
    prepared = Prepared(store, splits, made, unreadable, short, damaged)
    _report(prepared, rows, {"source": source, **settings})
    if not rows:
        (store / PARQUET_NAME).unlink(missing_ok=True)
        raise UserError(
            f"None of the {len(chosen)} clips can be read, the first because: "
            f"{unreadable[0].reason} ({store / REPORT_NAME} has the rest)"
        )
    write_manifest(store, rows)
    return prepared


def _report(prepared: Prepared, rows: Sequence[ClipRow], settings: dict[str, Any]) -> None:
    """What became of each clip, for its owner to read."""
    report = {
        **settings,
        "clips": len(rows),
        "splits": prepared.splits,
        "frames": sum(row.frames for row in rows),
        "shorter_than_annotated": prepared.short,
        "damaged": prepared.damaged,
        "unreadable": [asdict(clip) for clip in prepared.unreadable],
    }
    write_json(prepared.store / REPORT_NAME, report)


def clip_file(clip_id: str) -> str:
    """A clip's path in its store; ids may be anything, file names may not."""
    name = quote(clip_id, safe=" !#$&'()+,;=@[]{}~^`") if _awkward(clip_id) else clip_id
    if len(name.encode()) > _LONGEST_NAME:
        name = hashlib.sha256(clip_id.encode()).hexdigest()
    return f"{_CLIPS}/{name}.mp4"


def _awkward(clip_id: str) -> bool:
    wrong = any(mark in '/\\:*?"<>|%' or not mark.isprintable() for mark in clip_id)
    return wrong or clip_id.startswith(".")


def _chosen(clips: Iterable[SourceClip], limit: int | None) -> list[SourceClip]:
    chosen: dict[str, SourceClip] = {}
    taken: dict[str, int] = {}
    for clip in clips:
        if clip.id in chosen:
            raise UserError(
                f"The clip {clip.id!r} is in the annotations twice; give every clip its own id."
            )
        taken[clip.split] = taken.get(clip.split, 0) + 1
        if limit is None or taken[clip.split] <= limit:
            chosen[clip.id] = clip
    if not chosen:
        raise UserError("The annotations name no clips; give some.")
    return list(chosen.values())


def _claim(store: Path, settings: dict[str, Any]) -> None:
    """Note what the store is made of; UserError where it is of something else already."""
    noted = store / SETTINGS_NAME
    if noted.is_file():
        try:
            same = json.loads(noted.read_text(encoding="utf-8")) == settings
        except ValueError:
            same = False
        if not same:
            raise UserError(
                f"{store} holds a store prepared from something else ({SETTINGS_NAME} says what); "
                "give a new folder, or delete that one."
            )
        return
    if foreign := [path.name for path in store.iterdir() if not path.name.startswith(".")]:
        raise UserError(
            f"{store} holds another store or other files ({min(foreign)}); give a new folder."
        )
    write_json(noted, settings)


def _checksums(store: Path) -> dict[str, str]:
    """What an earlier call noted of each clip, by its id; nothing where it did not come so far."""
    with suppress(UserError):
        return {row.id: row.sha256 for row in read_manifest(store)}
    return {}


def _damaged(store: Path) -> set[str]:
    """Ids of clips that were noted as made of damaged videos."""
    note = store / DAMAGED_NAME
    if not note.is_file():
        return set()
    with reading(note, "delete it, and damage found so far is forgotten"):
        return {json.loads(line) for line in note.read_text(encoding="utf-8").splitlines()}


def _forget_damage_of_lost(store: Path) -> None:
    """Clips whose files are gone are made anew, maybe of videos that were mended."""
    if noted := _damaged(store):
        there = sorted(clip_id for clip_id in noted if (store / clip_file(clip_id)).is_file())
        lines = "".join(json.dumps(clip_id) + "\n" for clip_id in there)
        write_whole(store / DAMAGED_NAME, lines)


def _prepare_clip(
    store: Path, source: str, item: tuple[SourceClip, str]
) -> tuple[ClipRow | Unreadable, bool]:
    """A clip's row, or why there is none; and whether its file was made just now.

    Args:
        item: the clip, and the checksum that its file has to have if it is there; "" for any.
    """
    clip, noted = item
    path = store / clip_file(clip.id)
    annotated = clip.annotated_frames
    try:
        _check_annotation(clip)
        info = _stored(path, noted)
        new = info is None
        if info is None:
            stream = open_clip(
                clip.clip, size=stored_size, source_fps=clip.fps, span=clip.span, steady=True
            )
            pictures = (picture for _, picture in stream.frames)
            write_clip(path, pictures, stream.fps, pixel_shape=clip.pixel_shape)
            if stream.damaged:  # of which the new file shows nothing
                with (store / DAMAGED_NAME).open("a", encoding="utf-8") as note:
                    note.write(json.dumps(clip.id) + "\n")
            info = probe_clip(path)
    except UserError as error:
        return Unreadable(clip.id, clip.split, str(error)), False
    if clip.span is not None and clip.span[1] is not None:
        spanned = round((clip.span[1] - clip.span[0]) * info.fps)
        # Time stamps fall between frames: one more or less is no fault.
        annotated = annotated or (info.frames if abs(spanned - info.frames) <= 1 else spanned)
    row = ClipRow(
        id=clip.id,
        split=clip.split,
        text=clip.text,
        path=clip_file(clip.id),
        signer=clip.signer,
        frames=info.frames,
        fps=round(info.fps, 4),
        width=info.width,
        height=info.height,
        annotated_frames=annotated,
        source=source,
        sha256=sha256_of(path),
    )
    return row, new


def _check_annotation(clip: SourceClip) -> None:
    """What can be said of a clip without looking at it; UserError where it does not do."""
    if clip.fault:
        raise UserError(clip.fault)
    if not clip.text.strip():
        raise UserError(f"The clip {clip.id!r} has no sentence; fill it in, or leave it out.")
    if not 0 <= clip.annotated_frames <= _MOST_FRAMES:
        raise UserError(
            f"The annotation of the clip {clip.id!r} gives it a number of frames that no clip can "
            "have; mend the number."
        )


def _stored(path: Path, noted: str) -> ClipInfo | None:
    """What is known of a clip's file; None where there is none, or one that was damaged since."""
    if path.is_file() and noted in ("", sha256_of(path)):
        with suppress(UserError):
            return probe_clip(path)
    return None
