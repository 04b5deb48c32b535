"""A translated clip as a file of ELAN, for linguists to look at beside the video, and to mend."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sign2gpt.errors import UserError
from sign2gpt.files import check_output, whole_file

if TYPE_CHECKING:
    from sign2gpt.spot import SpottedSign
    from sign2gpt.translate import Translation

SENTENCE, SIGNS = "sentence", "signs"


def elan_files(clips: Sequence[Path], folder: Path) -> list[Path]:
    """Where each clip's file is to lie, ``folder/NAME.eaf``; to be asked before clips are read.

    Raises:
        UserError: pympi is not installed, the folder takes no files, a file is there already
            (somebody may have worked on it), or two clips have one name.
    """
    check_output(folder)
    try:
        import pympi  # noqa: F401
    except ImportError as error:
        raise UserError(
            "ELAN files need the package pympi-ling, which is not installed: run 'pip install "
            "pympi-ling'."
        ) from error
    files = [folder / f"{clip.resolve().stem}.eaf" for clip in clips]
    for number, file in enumerate(files):
        if file in files[:number]:
            raise UserError(f"Two clips would both be written to {file}; translate one at a time.")
        if file.exists():
            raise UserError(f"{file} is there already; remove it, or name another folder.")
    return files


def write_elan(path: Path, clip: Path, translation: Translation) -> None:
    """Write one clip's sentence and spotted signs.

    The tiers are ``sentence``, over the whole clip, and ``signs``; as annotations of one tier may
    not overlap, signs that do stand in ``signs 2``, ``signs 3`` ... Times are in milliseconds.

    Args:
        path: the .eaf file.
        clip: the video, to which the file is linked by its full path; a folder of frames is not.
    """
    from pympi import Eaf

    eaf = Eaf(author="sign2gpt")
    eaf.remove_tier("default")
    if clip.is_file():
        kind = mimetypes.guess_type(clip.name)[0] or "unknown"
        eaf.add_linked_file(clip.resolve().as_uri(), mimetype=kind)
    eaf.add_tier(SENTENCE)
    text = "".join(filter(str.isprintable, translation.text))  # XML takes no control characters
    eaf.add_annotation(SENTENCE, 0, max(1, _milliseconds(translation.duration)), text)
    for number, signs in enumerate(without_overlap(translation.signs) or [[]], 1):
        tier = SIGNS if number == 1 else f"{SIGNS} {number}"
        eaf.add_tier(tier)
        for sign in signs:
            start, end = _milliseconds(sign.start), _milliseconds(sign.end)
            eaf.add_annotation(tier, start, max(start + 1, end), sign.word)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as unfinished:
        eaf.to_file(unfinished)


def without_overlap(signs: Sequence[SpottedSign]) -> list[list[SpottedSign]]:
    """Signs in as few rows as may be, so that those of a row follow each other."""
    rows: list[list[SpottedSign]] = []
    for sign in sorted(signs, key=lambda sign: sign.start):
        for row in rows:
            if row[-1].end <= sign.start:
                row.append(sign)
                break
        else:
            rows.append([sign])
    return rows


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
