"""The avatar's head: hair, eyes, brows and mouth, which carry the non-manual part of a sign.

Shapes: N frames, K corners, 2 coordinates (x, y); pictures are (256, 256, 3) uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sign2gpt.synth.signer import Colour, Signer

Floats = NDArray[np.float64]
Fixed = NDArray[np.int32]
Picture = NDArray[np.uint8]

SHIFT: Final = 4
HEAD_CENTRE: Final = np.array([0.0, -0.50])
INK: Final[Colour] = (30, 24, 26)
LIPS: Final[Colour] = (168, 42, 54)
MOUTH_INSIDE: Final[Colour] = (84, 12, 24)

_CIRCLE: Final = np.stack(
    [np.sin(np.linspace(0, 2 * np.pi, 24, False)), -np.cos(np.linspace(0, 2 * np.pi, 24, False))],
    axis=-1,
)
_SKULL: Final = _CIRCLE * [0.225, 0.285]
_ARC: Final = np.linspace(-0.36 * np.pi, 0.36 * np.pi, 12)
_FRINGE: Final = np.stack([0.235 * np.sin(_ARC), -0.30 * np.cos(_ARC)], axis=-1)
_HAIR: Final[dict[str, Floats]] = {  # what shows from behind the head
    "short": _CIRCLE * [0.245, 0.30] + [0.0, -0.02],
    "long": np.concatenate(
        [_CIRCLE[18:] * [0.27, 0.31], _CIRCLE[:7] * [0.27, 0.31], [[0.28, 0.36], [-0.28, 0.36]]]
    ),
    "bun": _CIRCLE * [0.13, 0.12] + [0.0, -0.33],
}
_MOUTH_STEPS: Final = np.linspace(-1.0, 1.0, 7)


@dataclass
class FaceShapes:
    """Fixed-point corners of everything in a face, for all frames."""

    hair: Fixed  # (N, K, 2)
    skull: Fixed  # (N, 24, 2)
    fringe: Fixed  # (N, 12, 2)
    eyes: Fixed  # (N, 2, 2)
    pupils: Fixed  # (N, 2, 2)
    brows: Fixed  # (N, 2, 2, 2)
    nose: Fixed  # (N, 2, 2)
    mouth: Fixed  # (N, 14, 2)
    mouth_open: NDArray[np.bool_]  # (N,)


def face_shapes(face: Floats, signer: Signer, fixed: Callable[[Floats], Fixed]) -> FaceShapes:
    """Place the features; face: (N, 7), `fixed` maps units to fixed-point pixels."""
    turn, nod, tilt, brow, opening, width, curve = (face[:, None, k] for k in range(7))
    size = signer.head
    cosine, sine = np.cos(tilt), np.sin(tilt)

    def placed(points: Floats, depth: float) -> Fixed:
        """Points (K, 2) or (N, K, 2) on the head; what lies nearer (depth) turns further."""
        points = np.broadcast_to(points, (len(face), *points.shape[-2:]))
        x = points[..., 0] + depth * 0.10 * turn
        y = points[..., 1] + depth * 0.10 * nod
        pivot = 0.25  # heads tilt about the neck
        turned = np.stack(
            [cosine * x - sine * (y - pivot), sine * x + cosine * (y - pivot) + pivot], axis=-1
        )
        return fixed(HEAD_CENTRE * size + size * turned)

    pair = np.array([-1.0, 1.0])
    eyes = np.stack([0.088 * pair, np.full(2, -0.05)], axis=-1)
    inner = np.stack([0.045 * pair, np.full(2, -0.13)], axis=-1)[None] + np.zeros((len(face), 1, 1))
    outer = np.stack([0.135 * pair, np.full(2, -0.13)], axis=-1)[None] + np.zeros((len(face), 1, 1))
    inner[..., 1] -= np.where(brow > 0, 0.055, -0.028) * np.abs(brow)
    outer[..., 1] -= np.where(brow > 0, 0.05, 0.012) * np.abs(brow)
    brows = np.stack([inner, outer], axis=2).reshape(len(face), 4, 2)
    middle = 0.155 - 0.03 * curve * (1 - _MOUTH_STEPS**2) * -1.0 - 0.012 * curve
    height = 0.055 * opening * np.sqrt(1 - 0.98 * _MOUTH_STEPS**2)
    across = 0.105 * width * _MOUTH_STEPS
    upper = np.stack([across, middle - height], axis=-1)
    lower = np.stack([across, middle + height], axis=-1)[:, ::-1]
    return FaceShapes(
        hair=placed(_HAIR[signer.hair_style], -0.3),
        skull=placed(_SKULL, 0.3),
        fringe=placed(_FRINGE, 0.3),
        eyes=placed(eyes, 1.0),
        pupils=placed(eyes, 1.25),
        brows=placed(brows, 1.0).reshape(len(face), 2, 2, 2),
        nose=placed(np.array([[0.0, -0.02], [0.018, 0.06]]), 1.3),
        mouth=placed(np.concatenate([upper, lower], axis=1), 1.0),
        mouth_open=opening[:, 0] > 0.12,
    )


def draw_face(picture: Picture, shapes: FaceShapes, n: int, signer: Signer) -> None:
    """Draw the head of frame n into the picture."""
    aa = cv2.LINE_AA
    unit = signer.camera_scale * (1 << SHIFT)
    if signer.hair_style == "bun":
        cv2.fillConvexPoly(picture, shapes.hair[n], signer.hair, aa, SHIFT)
    else:
        cv2.fillPoly(picture, [shapes.hair[n]], signer.hair, aa, SHIFT)
    cv2.fillConvexPoly(picture, shapes.skull[n], signer.skin, aa, SHIFT)
    cv2.fillConvexPoly(picture, shapes.fringe[n], signer.hair, aa, SHIFT)
    for eye, pupil in zip(shapes.eyes[n].tolist(), shapes.pupils[n].tolist(), strict=True):
        cv2.circle(picture, eye, int(4.4 * unit), (250, 250, 250), -1, aa, SHIFT)
        cv2.circle(picture, pupil, int(2.5 * unit), INK, -1, aa, SHIFT)
    cv2.polylines(picture, list(shapes.brows[n]), False, INK, 3, aa, SHIFT)
    shade = tuple(int(0.72 * channel) for channel in signer.skin)
    cv2.polylines(picture, [shapes.nose[n]], False, shade, 2, aa, SHIFT)
    if shapes.mouth_open[n]:
        cv2.fillPoly(picture, [shapes.mouth[n]], MOUTH_INSIDE, aa, SHIFT)
        cv2.polylines(picture, [shapes.mouth[n]], True, LIPS, 3, aa, SHIFT)
    else:
        cv2.polylines(picture, [shapes.mouth[n, :7]], False, LIPS, 4, aa, SHIFT)
