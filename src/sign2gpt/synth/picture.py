"""Pictures for people: sheets of signs and strips of clips, with their glosses written in.

Pictures are (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sign2gpt.synth.avatar import VIEW, draw
from sign2gpt.synth.lexicon import sign_of
from sign2gpt.synth.motion import sign_pose, sign_sequence
from sign2gpt.synth.signer import signer_named

Picture = NDArray[np.uint8]

SHOWN: Final = (
    "MONTAG", "SONNTAG", "HEUTE", "NACHT", "NORD", "SÜD", "KÜSTE", "ALPEN", "BAYERN", "REGEN",
    "SCHNEE", "SONNE", "WOLKE", "GEWITTER", "NEBEL", "WIND", "STARK", "WARM", "KALT", "GRAD",
    "KOMMEN", "BLEIBEN", "HIMMEL", "NICHT",
)  # fmt: skip
_MARGIN: Final = 6
_LABEL: Final = 26


def contact_sheet(
    glosses: Sequence[str] = SHOWN, columns: int = 6, seed: int = 0, size: int = VIEW
) -> Image.Image:
    """One picture a sign, each by another signer of the corpus, its gloss below."""
    tiles = []
    for n, gloss in enumerate(glosses):
        signer = signer_named(f"signer{n % 13 + 1:02d}", seed)
        tiles.append(next(draw(sign_pose(sign_of(gloss, seed)), signer)))
    return _tiled(tiles, list(glosses), columns, size)


def film_strip(
    glosses: Sequence[str], signer: str = "signer01", seed: int = 0, columns: int = 8,
    every: int = 3, size: int = VIEW,
) -> Image.Image:  # fmt: skip
    """Every third frame of a signed sequence; below each the gloss being signed, if any."""
    signs = [sign_of(gloss, seed) for gloss in glosses]
    who = signer_named(signer, seed)
    poses, spans = sign_sequence(signs, who, np.random.default_rng(seed))
    tiles = list(draw(poses, who))[::every]
    labels = [
        next((span.gloss for span in spans if span.start <= n < span.end), "")
        for n in range(0, len(poses), every)
    ]
    return _tiled(tiles, labels, columns, size)


def _tiled(tiles: Sequence[Picture], labels: Sequence[str], columns: int, size: int) -> Image.Image:
    rows = -(-len(tiles) // columns)
    wide, high = size + _MARGIN, size + _LABEL + _MARGIN
    sheet = Image.new("RGB", (columns * wide + _MARGIN, rows * high + _MARGIN), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    # Pillow's own font has no umlauts.
    font = ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), 15)
    for n, (tile, label) in enumerate(zip(tiles, labels, strict=True)):
        left, top = n % columns * wide + _MARGIN, n // columns * high + _MARGIN
        picture = Image.fromarray(tile).resize((size, size), Image.Resampling.BOX)
        sheet.paste(picture, (left, top))
        pen.text((left + size / 2, top + size + 3), label, (40, 40, 48), font, anchor="ma")
    return sheet
