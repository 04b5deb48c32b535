"""Tables of annotations, and clips that are folders of frames: what published corpora share."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from sign2gpt.data.manifest import ClipRow
from sign2gpt.errors import UserError
from sign2gpt.video.decode import probe_clip

SPLITS = ("train", "dev", "test")


def read_table(path: Path, delimiter: str, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The lines of a table without quoting; UserError where a column or a cell is missing."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)
            missing = [name for name in columns if name not in (reader.fieldnames or [])]
            if missing:
                raise UserError(
                    f"The annotations {path} have no column {missing[0]!r}; "
                    f"they need {', '.join(columns)}."
                )
            for record in reader:
                if None in record or None in record.values():
                    raise UserError(
                        f"{path}, line {reader.line_num}: not as many cells as columns; mend it."
                    )
                yield record
    except UnicodeDecodeError as error:
        raise UserError(f"The annotations {path} are not UTF-8 text; convert them.") from error


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


def frame_folder_row(
    corpus: Path,
    folder: Path,
    *,
    id: str,
    split: str,
    text: str,
    signer: str,
    fps: float,
    source: str,
) -> ClipRow:
    """A row for a clip that is a folder of frames, counted and measured; UserError without any."""
    info = probe_clip(folder, source_fps=fps)
    return ClipRow(
        id=id,
        split=split,
        text=text,
        signer=signer,
        frames=info.frames,
        fps=fps,
        width=info.width,
        height=info.height,
        path=folder.relative_to(corpus).as_posix(),
        source=source,
    )
