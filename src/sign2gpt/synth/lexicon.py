"""The invented sign language's phonology: which form a gloss has.

A sign is a bundle of parameters, as in the linguistics of real sign languages: handshape,
location, movement, palm orientation, the part the second hand plays, and the non-manual part.
The bundle follows from the gloss and a seed alone, so any gloss sequence can be signed.

Coordinates are the signer's own: unit = 100 pixels of an unscaled view, origin between the
shoulders, x away from the midline on the hand's own side, y downwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import pi
from typing import Final

# Extension of thumb, index, middle, ring and little finger (0 folded, 1 straight), then spread.
HANDSHAPES: Final[dict[str, tuple[float, ...]]] = {
    "fist": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "thumb": (1.0, 0.0, 0.0, 0.0, 0.0, 0.3),
    "index": (0.0, 1.0, 0.0, 0.0, 0.0, 0.3),
    "little": (0.0, 0.0, 0.0, 0.0, 1.0, 0.6),
    "two_together": (0.0, 1.0, 1.0, 0.0, 0.0, 0.0),
    "two_apart": (0.0, 1.0, 1.0, 0.0, 0.0, 1.8),
    "thumb_index": (1.0, 1.0, 0.0, 0.0, 0.0, 0.4),
    "thumb_little": (1.0, 0.0, 0.0, 0.0, 1.0, 1.2),
    "horns": (0.0, 1.0, 0.0, 0.0, 1.0, 1.0),
    "three": (1.0, 1.0, 1.0, 0.0, 0.0, 1.4),
    "three_middle": (0.0, 1.0, 1.0, 1.0, 0.0, 1.2),
    "ring": (0.6, 0.35, 1.0, 1.0, 1.0, 1.2),
    "flat": (0.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    "four": (0.0, 1.0, 1.0, 1.0, 1.0, 1.3),
    "open": (1.0, 1.0, 1.0, 1.0, 1.0, 1.6),
    "claw": (0.8, 0.55, 0.55, 0.55, 0.55, 1.5),
}

# Centre of the palm (x, y).
LOCATIONS: Final[dict[str, tuple[float, float]]] = {
    "forehead": (0.02, -0.74),
    "temple": (0.46, -0.62),
    "cheek": (0.36, -0.34),
    "chin": (0.0, -0.20),
    "near_shoulder": (0.52, 0.0),
    "far_shoulder": (-0.40, 0.06),
    "chest": (0.04, 0.24),
    "belly": (0.06, 0.60),
    "high_space": (0.76, -0.40),
    "side_space": (0.76, 0.22),
    "low_space": (0.62, 0.60),
    "far_space": (-0.36, 0.56),
}
FRONT_OF_BODY: Final = ("chest", "belly", "low_space", "side_space")
ACROSS_THE_BODY: Final = ("far_shoulder", "far_space")

# Where the fingers point (0 up, positive towards the midline) and what the viewer sees of the
# palm (1 its front, -1 its back).
ORIENTATIONS: Final[dict[str, tuple[float, float]]] = {
    "up_front": (0.10, 1.0),
    "up_back": (0.15, -1.0),
    "in_front": (0.45 * pi, 1.0),
    "in_back": (0.45 * pi, -1.0),
    "down_front": (0.88 * pi, 1.0),
    "down_back": (0.88 * pi, -1.0),
    "out_front": (-0.30 * pi, 1.0),
    "up_edge": (0.20, 0.30),
}

MOVEMENTS: Final = (
    "up", "down", "outward", "inward", "arc", "circle", "circle_back", "zigzag",
    "swing", "twist", "forward", "opening",
)  # fmt: skip
HANDS: Final = ("one", "mirrored", "parallel", "base")

# Opening, width and curve of the corners (1 smile, -1 frown).
MOUTHS: Final[dict[str, tuple[float, float, float]]] = {
    "neutral": (0.0, 0.55, 0.1),
    "smile": (0.0, 1.0, 1.0),
    "frown": (0.0, 0.8, -1.0),
    "open": (1.0, 0.75, 0.0),
    "round": (0.7, 0.30, 0.0),
    "wide": (0.35, 1.1, 0.3),
}
BROWS: Final[dict[str, float]] = {"neutral": 0.0, "raised": 1.0, "lowered": -1.0}
HEAD_MOVEMENTS: Final = ("still", "nod", "tilt", "shake")

# Minimal pairs: the first gloss has the form of the second except for one parameter.
MINIMAL_PAIRS: Final[dict[str, tuple[str, str]]] = {
    "SCHNEE": ("REGEN", "handshape"),
    "HAGEL": ("REGEN", "movement"),
    "SÜD": ("NORD", "orientation"),
    "WEST": ("OST", "location"),
    "KÜHL": ("KALT", "mouth"),
    "HEISS": ("WARM", "handshape"),
    "FALLEN": ("STEIGEN", "movement"),
    "TIEF": ("HOCH", "orientation"),
    "ABNEHMEN": ("ZUNEHMEN", "movement"),
    "STURM": ("WIND", "repeated"),
    "ÜBERMORGEN": ("MORGEN", "repeated"),
    "NACHMITTAG": ("VORMITTAG", "location"),
    "ENDE": ("ANFANG", "movement"),
    "BÖE": ("LUFT", "hands"),
    "ELBE": ("RHEIN", "handshape"),
}
NEGATIONS: Final = frozenset({"NICHT", "KEIN"})


@dataclass(frozen=True)
class Sign:
    """The form of one gloss; every field but `gloss` is a parameter of the form."""

    gloss: str
    handshape: str
    location: str
    movement: str
    repeated: bool
    orientation: str
    hands: str
    mouth: str
    brows: str
    head: str

    @property
    def form(self) -> tuple[str | bool, ...]:
        """All parameters, without the gloss: equal forms look the same."""
        return tuple(getattr(self, field.name) for field in fields(self)[1:])

    def differs_in(self, other: Sign) -> tuple[str, ...]:
        """Names of the parameters in which two signs differ; one name is a minimal pair."""
        names = [field.name for field in fields(self)[1:]]
        return tuple(name for name in names if getattr(self, name) != getattr(other, name))


def _number(seed: int, gloss: str, parameter: str) -> int:
    digest = hashlib.blake2b(f"{seed}\0{gloss}\0{parameter}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _locations_for(hands: str) -> tuple[str, ...]:
    """Two hands neither cross the body nor leave the base hand in front of the face."""
    if hands == "base":
        return FRONT_OF_BODY
    if hands == "one":
        return tuple(LOCATIONS)
    return tuple(name for name in LOCATIONS if name not in ACROSS_THE_BODY)


def _choices(parameter: str, hands: str) -> tuple[str | bool, ...]:
    """What a parameter may be; a value listed more than once is that much more frequent."""
    table: dict[str, tuple[str | bool, ...]] = {
        "handshape": tuple(HANDSHAPES),
        "location": _locations_for(hands),
        "movement": MOVEMENTS,
        "repeated": (False, False, True),
        "orientation": tuple(ORIENTATIONS),
        "hands": ("one", "one", "one", "one", "mirrored", "mirrored", "parallel", "base"),
        "mouth": ("neutral", *MOUTHS),
        "brows": ("neutral", *BROWS),
        "head": ("still", "still", "still", "still", "still", "nod", "tilt"),
    }
    return table[parameter]


def sign_of(gloss: str, seed: int = 0) -> Sign:
    """The form of any gloss in the language of `seed`; the same on every machine and run.

    A gloss marked `neg-` is its positive counterpart with a head shake.
    """
    if gloss.startswith("neg-") and len(gloss) > 4:
        positive = sign_of(gloss.removeprefix("neg-"), seed)
        return replace(positive, gloss=gloss, head="shake")
    partner, changed = MINIMAL_PAIRS.get(gloss, (gloss, ""))

    def drawn(parameter: str, options: Sequence[str | bool]) -> str | bool:
        value = options[_number(seed, partner, parameter) % len(options)]
        if parameter == changed:
            others = [option for option in options if option != value]
            value = others[_number(seed, gloss, parameter) % len(others)]
        return value

    # A pair that differs in its hands must agree on a location that both can have.
    pair_hands = drawn("hands", _choices("hands", ""))
    reach = "base" if changed == "hands" or _has_hand_twin(gloss) else str(pair_hands)
    values: dict[str, str | bool] = {"hands": pair_hands}
    for parameter in ("handshape", "location", "movement", "repeated", "orientation"):
        values[parameter] = drawn(parameter, _choices(parameter, reach))
    for parameter in ("mouth", "brows", "head"):
        values[parameter] = drawn(parameter, _choices(parameter, reach))
    if gloss in NEGATIONS:
        values["head"] = "shake"
    return Sign(gloss=gloss, **values)  # type: ignore[arg-type]


def _has_hand_twin(gloss: str) -> bool:
    return (gloss, "hands") in MINIMAL_PAIRS.values()
