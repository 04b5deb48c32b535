"""What a reader gives: the clips of a corpus as they lie there, and what is known of the corpus."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from sign2gpt.errors import UserError
from sign2gpt.video.timeline import Span

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, kw_only=True)
class SourceClip:
    """One sentence and where its video lies; nothing of the video has been looked at.

    Attributes:
        id: unique in the corpus.
        split: "train", "dev" or "test".
        text: the sentence as it stands in the annotation.
        clip: a video file, or a folder of frames.
        signer: who signs.
        fps: frames a second of a folder of frames; files know their own.
        span: the part of a longer video that is the clip.
        annotated_frames: how many the annotation says there are; 0 where it does not.
        pixel_shape: width by height of a pixel, where the frames are squeezed.
        fault: why the annotation does not do for a clip, a sentence; empty where it does.
    """

    id: str
    split: str
    text: str
    clip: Path
    signer: str = ""
    fps: float | None = None
    span: Span | None = None
    annotated_frames: int = 0
    pixel_shape: Fraction = Fraction(1)
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A published corpus.

    Attributes:
        name: as on the command line.
        title: as in print.
        language: of its sentences, ISO 639-1.
        read: the clips below a folder in the official layout, one by one; UserError where the
            annotations are not there or not readable.
        sizes: for each split the numbers of sentences that are known to be right.
        known: remarks on single clips that trip people up, by id.
        remarks: what else to know.
    """

    name: str
    title: str
    language: str
    read: Callable[[Path], Iterator[SourceClip]]
    sizes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)
    remarks: Sequence[str] = ()


def split_tables(folders: Sequence[Path], pattern: str) -> dict[str, Path]:
    """The tables of the splits in the first of `folders` that has any; UserError where none has.

    Args:
        pattern: a table's name, with {split} in it.
    """
    for folder in folders:
        tables = {split: folder / pattern.format(split=split) for split in SPLITS}
        found = {split: path for split, path in tables.items() if path.is_file()}
        if found:
            return found
    looked = " or ".join(str(folder / pattern.format(split="train")) for folder in folders)
    raise UserError(f"The annotations are not where they should be ({looked}); put them there.")


def find_tables(corpus: Path, names: Mapping[str, str]) -> dict[str, Path]:
    """Each split's table by its file name, anywhere below a folder; UserError where none is."""
    found = {split: next(iter(sorted(corpus.rglob(name))), None) for split, name in names.items()}
    tables = {split: path for split, path in found.items() if path is not None}
    if not tables:
        raise UserError(
            f"There are no annotations below {corpus}; put {' or '.join(names.values())} there."
        )
    return tables


def clip_or_cut(
    videos: Mapping[str, Path], name: str, video: str, span: Span
) -> tuple[Path, Span | None] | None:
    """A sentence's own clip where it is there, else the span of the video it was cut from; None
    where neither is there.

    Args:
        videos: what `videos_below` found.
        name, video: of the clip and of the longer video, without extension.
        span: where in that video the sentence is.
    """
    if name in videos:
        return videos[name], None
    if video in videos:
        return videos[video], span
    return None


def videos_below(folder: Path) -> dict[str, Path]:
    """Every video file anywhere below a folder, by its name without extension."""
    suffixes = {".mp4", ".mkv", ".webm", ".mov", ".avi"}
    return {path.stem: path for path in sorted(folder.rglob("*")) if path.suffix in suffixes}
