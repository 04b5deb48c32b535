"""Who signs: build, looks, handedness, manner and camera of one invented person."""

from __future__ import annotations

import colorsys
import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np

Colour = tuple[int, int, int]

SKINS: Final[tuple[Colour, ...]] = (
    (246, 214, 190), (232, 190, 160), (214, 164, 128), (178, 124, 88), (128, 84, 58), (92, 60, 44),
)  # fmt: skip
HAIRS: Final[tuple[Colour, ...]] = (
    (36, 28, 26), (74, 48, 34), (122, 78, 44), (196, 156, 92), (150, 62, 36), (150, 150, 152),
)  # fmt: skip
HAIR_STYLES: Final = ("short", "long", "bun")
CLOTHES_STYLES: Final = ("plain", "stripes", "collar")
BACKGROUND_STYLES: Final = ("gradient", "panel", "plain")


@dataclass(frozen=True)
class Signer:
    """One person before one camera; lengths are factors on the unscaled avatar."""

    name: str
    skin: Colour
    hair: Colour
    hair_style: str
    clothes: Colour
    clothes_style: str
    background: Colour
    background_accent: Colour
    background_style: str
    right_handed: bool
    shoulders: float
    arms: float
    head: float
    tempo: float  # signing time against the mean: 0.9 is quick
    size: float  # reach of the movements against the mean
    camera_scale: float
    camera_shift: tuple[float, float]  # pixels of the 256-pixel view
    camera_roll: float  # radians

    @classmethod
    def random(cls, rng: np.random.Generator, name: str = "") -> Signer:
        """Draw a signer; every trait is drawn apart from the others."""
        hue, accent = rng.uniform(0, 1, 2)
        light = rng.uniform(0.62, 0.95)
        return cls(
            name=name,
            skin=_between(SKINS, rng),
            hair=_between(HAIRS, rng),
            hair_style=str(rng.choice(HAIR_STYLES)),
            clothes=_hsv(rng.uniform(0, 1), rng.uniform(0.1, 0.55), rng.uniform(0.25, 0.6)),
            clothes_style=str(rng.choice(CLOTHES_STYLES)),
            background=_hsv(hue, rng.uniform(0.02, 0.3), light),
            background_accent=_hsv(accent, rng.uniform(0.05, 0.35), light * 0.85),
            background_style=str(rng.choice(BACKGROUND_STYLES)),
            right_handed=bool(rng.random() < 0.8),
            shoulders=rng.uniform(0.9, 1.12),
            arms=rng.uniform(0.94, 1.08),
            head=rng.uniform(0.92, 1.08),
            tempo=rng.uniform(0.88, 1.12),
            size=rng.uniform(0.85, 1.2),
            camera_scale=rng.uniform(0.88, 1.0),
            camera_shift=(rng.uniform(-8, 8), rng.uniform(-6, 6)),
            camera_roll=rng.uniform(-0.05, 0.05),
        )


def signer_named(name: str, seed: int = 0) -> Signer:
    """The signer that a name stands for in the corpus of `seed`."""
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()
    return Signer.random(np.random.default_rng(int.from_bytes(digest, "big")), name)


def _between(tones: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    place = rng.uniform(0, len(tones) - 1)
    lower = int(place)
    mixed = np.array(tones[lower]) * (lower + 1 - place) + np.array(tones[lower + 1]) * (
        place - lower
    )
    red, green, blue = (int(value) for value in mixed)
    return red, green, blue


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return int(red * 255), int(green * 255), int(blue * 255)
