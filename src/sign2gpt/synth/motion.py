"""From glosses to poses over time: strokes, holds, and the transitions between them.

Shapes: N frames; poses are hands (N, 2, 11) and face (N, 7), see `avatar`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sign2gpt.synth.avatar import (
    ANGLE,
    BROW,
    EXTENSION,
    FACE_COLUMNS,
    FACING,
    HAND_COLUMNS,
    MOUTH_CURVE,
    MOUTH_OPEN,
    MOUTH_WIDTH,
    NOD,
    SCALE,
    SPREAD,
    TILT,
    TURN,
    Poses,
    X,
    Y,
)
from sign2gpt.synth.lexicon import BROWS, HANDSHAPES, LOCATIONS, MOUTHS, ORIENTATIONS, Sign
from sign2gpt.synth.signer import Signer

Floats = NDArray[np.float64]

FRAMES_PER_SECOND: Final = 25
STROKE_FRAMES: Final = 6.3  # a movement made once
REPEATED_STROKE_FRAMES: Final = 9.5
HOLD_FRAMES: Final = 1
REST_FRAMES: Final = 3
REACH: Final = 0.25  # half the length of a straight movement

Path = Callable[[Floats], tuple[Floats, Floats]]


@dataclass(frozen=True)
class SignedGloss:
    """Where a gloss is signed: frames [start, end) at 25 frames a second.

    The span runs from the first frame of the stroke, the hands having arrived at its place, to
    the last frame of the hold; the transitions before and after belong to no sign.
    """

    gloss: str
    start: int
    end: int


def sign_sequence(
    signs: Sequence[Sign], signer: Signer, rng: np.random.Generator
) -> tuple[Poses, list[SignedGloss]]:
    """Sign one gloss after the other, from rest to rest.

    Strokes last about 0.25 s (0.4 s when repeated) and transitions 0.1 to 0.2 s, by the signer's
    tempo and the way to go.
    """
    rest = rest_pose()
    pieces = [_repeat(rest, REST_FRAMES + int(rng.integers(0, 2)))]
    spans: list[SignedGloss] = []
    frame = len(pieces[0])
    for sign in signs:
        stroke = _stroke(sign, signer, rng)
        approach = _transition(_frame(pieces[-1], -1), _frame(stroke, 0), signer)
        start = frame + len(approach)
        frame = start + len(stroke)
        spans.append(SignedGloss(sign.gloss, start, frame))
        pieces += [approach, stroke]
    pieces.append(_transition(_frame(pieces[-1], -1), rest, signer))
    pieces.append(_repeat(rest, REST_FRAMES))
    return _joined(pieces), spans


def rest_pose() -> Poses:
    """One frame of a signer at rest: hands down and half open, face neutral."""
    hand = np.zeros(HAND_COLUMNS)
    hand[[X, Y, ANGLE, FACING, SCALE, SPREAD]] = (0.30, 0.84, 2.5, -1.0, 1.0, 0.4)
    hand[EXTENSION] = 0.6
    face = np.zeros(FACE_COLUMNS)
    face[[MOUTH_OPEN, MOUTH_WIDTH, MOUTH_CURVE]] = MOUTHS["neutral"]
    return Poses(np.stack([hand, hand])[None], face[None])


def sign_pose(sign: Sign) -> Poses:
    """One frame of a sign in the middle of its movement, as the lexicon describes it."""
    pose = rest_pose()
    hand = np.zeros(HAND_COLUMNS)
    angle, facing = ORIENTATIONS[sign.orientation]
    x, y = LOCATIONS[sign.location]
    if sign.hands in ("mirrored", "parallel"):
        x = max(x, 0.30)  # room for two hands side by side
    hand[[X, Y, ANGLE, FACING, SCALE]] = (x, y, angle, facing, 1.0)
    hand[EXTENSION] = HANDSHAPES[sign.handshape][:5]
    hand[SPREAD] = HANDSHAPES[sign.handshape][5]
    pose.hands[0, 0] = hand
    if sign.hands == "base":
        below = pose.hands[0, 1]
        below[[X, Y, ANGLE, FACING, SCALE, SPREAD]] = (-x + 0.02, y + 0.24, 1.4, 1.0, 1.0, 0.0)
        below[EXTENSION] = HANDSHAPES["flat"][:5]
    elif sign.hands != "one":
        pose.hands[0, 1] = hand
    face = pose.face[0]
    face[[MOUTH_OPEN, MOUTH_WIDTH, MOUTH_CURVE]] = MOUTHS[sign.mouth]
    face[BROW] = BROWS[sign.brows]
    return pose


def _stroke(sign: Sign, signer: Signer, rng: np.random.Generator) -> Poses:
    """The movement and its hold: about 8 frames, 11 when repeated."""
    length = REPEATED_STROKE_FRAMES if sign.repeated else STROKE_FRAMES
    moving = max(5, round(length * signer.tempo * rng.uniform(0.92, 1.08)))
    phase = np.concatenate([np.linspace(0, 1, moving), np.ones(HOLD_FRAMES)])
    poses = _repeat(sign_pose(sign), len(phase))
    moved = ("mirrored", "parallel")
    for hand in (0, 1) if sign.hands in moved else (0,):
        way = -1.0 if hand == 1 and sign.hands == "parallel" else 1.0
        _move(poses.hands[:, hand], sign, phase, signer.size, way)
    signed = slice(0, 2) if sign.hands != "one" else slice(0, 1)
    poses.hands[:, signed, X : Y + 1] += rng.normal(0, 0.02, 2)
    poses.hands[:, signed, ANGLE] += rng.normal(0, 0.06)
    beat = np.sin(2 * np.pi * phase * 1.5)
    if sign.head == "shake":
        poses.face[:, TURN] = 0.6 * beat
    elif sign.head == "nod":
        poses.face[:, NOD] = 0.6 * np.abs(beat)
    elif sign.head == "tilt":
        poses.face[:, TILT] = 0.16
    return poses


def _move(hand: Floats, sign: Sign, phase: Floats, size: float, way: float) -> None:
    """Lay the sign's path over one hand, in place; hand: (N, 11), phase: (N,) from 0 to 1.

    `way` -1 turns sideways movement round, so that parallel hands go the same way in the picture.
    """
    reach = REACH * size
    laps = 2.0 if sign.repeated else 1.0
    eased = _minimum_jerk(phase)
    # A straight movement made again goes there, back and there.
    along = -np.cos(np.pi * (3.0 if sign.repeated else 1.0) * phase)
    turn = 2 * np.pi * laps * eased
    match sign.movement:
        case "up" | "down":
            hand[:, Y] += reach * along * (-1 if sign.movement == "up" else 1)
        case "outward" | "inward":
            hand[:, X] += way * reach * along * (1 if sign.movement == "outward" else -1)
        case "arc":
            hand[:, X] += way * reach * along
            hand[:, Y] += reach * (along**2 - 0.5) * 1.4
        case "circle" | "circle_back":
            spin = turn if sign.movement == "circle" else -turn
            hand[:, X] += way * 0.7 * reach * np.sin(spin)
            hand[:, Y] -= 0.7 * reach * np.cos(spin)
        case "zigzag":
            hand[:, X] += way * 0.7 * reach * np.sin(np.pi * (4 if sign.repeated else 3) * phase)
            hand[:, Y] += reach * (2 * eased - 1)
        case "swing":
            hand[:, ANGLE] += 0.75 * along
        case "twist":
            hand[:, FACING] *= -along
        case "forward":
            hand[:, SCALE] = 1.12 + 0.28 * along
        case "opening":
            hand[:, EXTENSION] *= (0.5 + 0.5 * along)[:, None]


def _transition(start: Poses, end: Poses, signer: Signer) -> Poses:
    """The way between two frames, both left out: 2 to 5 frames by the distance."""
    way = np.linalg.norm(end.hands[0, :, :2] - start.hands[0, :, :2], axis=-1).max()
    length = max(2, round((2.0 + 2.2 * min(way, 1.2)) * signer.tempo))
    weight = _minimum_jerk(np.arange(1, length + 1) / (length + 1))
    hands = start.hands + weight[:, None, None] * (end.hands - start.hands)
    face = start.face + weight[:, None] * (end.face - start.face)
    return Poses(hands, face)


def _minimum_jerk(phase: Floats) -> Floats:
    return phase**3 * (10 - 15 * phase + 6 * phase**2)


def _repeat(pose: Poses, count: int) -> Poses:
    return Poses(np.repeat(pose.hands, count, axis=0), np.repeat(pose.face, count, axis=0))


def _frame(poses: Poses, n: int) -> Poses:
    return Poses(poses.hands[[n]], poses.face[[n]])


def _joined(pieces: Sequence[Poses]) -> Poses:
    return Poses(
        np.concatenate([piece.hands for piece in pieces]),
        np.concatenate([piece.face for piece in pieces]),
    )
