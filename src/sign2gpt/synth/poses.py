"""Pictures of random poses with their labels, to pretrain a small vision model on.

Shapes: N frames, 2 hands, S picture size, 5 fingers.

The signers, drawn from the caller's generator, are nobody from a corpus. Pictures go the way of a
corpus clip: drawn at 256 pixels, chroma halved as H.264 does, cropped, averaged down.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sign2gpt.synth.avatar import (
    ANGLE,
    BROW,
    EXTENSION,
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
    VIEW,
    Poses,
    X,
    Y,
    draw,
    hand_pixels,
)
from sign2gpt.synth.lexicon import BROWS, HANDSHAPES, LOCATIONS, MOUTHS, ORIENTATIONS
from sign2gpt.synth.motion import rest_pose
from sign2gpt.synth.signer import Signer

Labels = dict[str, NDArray[Any]]

POSES_A_SIGNER: Final = 16
HANDS_COVER: Final = 22.0  # pixels between palms below which the nearer hand hides the other
_REST_SHARE: Final = 0.25  # of the other hand
_HAND_LABELS: Final = ("position", "visible", "handshape", "angle", "facing", "extension")


def posed_frames(
    rng: np.random.Generator, count: int, size: int = 84, crop: int = VIEW
) -> tuple[NDArray[np.uint8], Labels]:
    """Draw `count` random poses of random signers.

    Args:
        rng: everything is drawn from it.
        size: pixels of the returned pictures' sides.
        crop: the middle of the 256-pixel view that is kept before averaging down, as the
            processor's `crop_size` of a `store_size` of 256.

    Returns:
        Frames (N, size, size, 3) uint8 RGB and labels, where the axis of 2 is (dominant hand,
        other hand); `by_side` turns it into (left of the picture, right of the picture):
            position (N, 2, 2) float32: palm x, y; -1 to 1 across the picture.
            visible (N, 2) float32: 1, or 0 where outside the picture or under the other hand.
            handshape (N, 2) int64: index in `lexicon.HANDSHAPES`, or its length at rest.
            angle (N, 2, 2) float32: (sin, cos) of the fingers' direction, 0 up, clockwise.
            facing (N, 2) float32: 1 palm to the viewer, -1 back to the viewer.
            extension (N, 2, 5) float32: thumb to little finger, 1 straight.
            left_first (N, 2) int64: which hand is left, which right, in the picture.
            mouth, brow (N,) int64: index in `lexicon.MOUTHS` and `lexicon.BROWS`.
            head (N, 3) float32: turn, nod and tilt, turn and tilt towards the picture's right.
    """
    frames = np.empty((count, size, size, 3), np.uint8)
    parts: list[Labels] = []
    margin = (VIEW - crop) // 2
    inside = slice(margin, margin + crop)
    for start in range(0, count, POSES_A_SIGNER):
        signer = Signer.random(rng)
        poses, labels = _random_poses(rng, min(POSES_A_SIGNER, count - start))
        parts.append(labels | _in_picture(poses, signer, crop))
        for n, picture in enumerate(draw(poses, signer), start):
            planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
            decoded = cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420)[inside, inside]
            cv2.resize(decoded, (size, size), dst=frames[n], interpolation=cv2.INTER_AREA)
    return frames, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def by_side(labels: Labels) -> Labels:
    """The labels with the hands' axis as (left of the picture, right of the picture)."""
    turned = dict(labels)
    for name in _HAND_LABELS:
        order = labels["left_first"].reshape(-1, 2, *[1] * (labels[name].ndim - 2))
        turned[name] = np.take_along_axis(labels[name], order, axis=1)
    return turned


def _random_poses(rng: np.random.Generator, count: int) -> tuple[Poses, Labels]:
    """Hands near the places of signs or anywhere, in any shape and orientation; any face."""
    rest = rest_pose()
    hands = np.zeros((count, 2, HAND_COLUMNS))
    places = np.array(list(LOCATIONS.values()))
    near = places[rng.integers(len(places), size=(count, 2))]
    near[:, 1, 0] = np.abs(near[:, 1, 0]) * rng.choice([1.0, 1.0, -1.0], size=count)
    near += rng.normal(0, 0.12, near.shape)
    anywhere = rng.uniform((-0.5, -0.95), (0.95, 0.95), size=(count, 2, 2))
    free = rng.random((count, 2)) < 0.35
    hands[..., [X, Y]] = np.where(free[..., None], anywhere, near)
    orientations = np.array(list(ORIENTATIONS.values()))
    chosen = orientations[rng.integers(len(orientations), size=(count, 2))]
    swung = rng.normal(0, 0.35, (count, 2))
    hands[..., ANGLE] = np.where(
        free, rng.uniform(-0.5, 1.0, (count, 2)) * np.pi, chosen[..., 0] + swung
    )
    turned = np.where(rng.random((count, 2)) < 0.2, rng.uniform(-1, 1, (count, 2)), 1.0)
    hands[..., FACING] = chosen[..., 1] * turned
    hands[..., SCALE] = np.where(
        rng.random((count, 2)) < 0.2, rng.uniform(0.85, 1.4, (count, 2)), 1.0
    )
    handshape = rng.integers(len(HANDSHAPES), size=(count, 2))
    shapes = np.array(list(HANDSHAPES.values()))[handshape]
    opened = np.where(rng.random((count, 2, 1)) < 0.15, rng.random((count, 2, 1)), 1.0)
    hands[..., EXTENSION] = shapes[..., :5] * opened
    hands[..., SPREAD] = shapes[..., 5]
    resting = rng.random((count, 2)) < (0.05, _REST_SHARE)
    hands = np.where(resting[..., None], rest.hands, hands)

    face = np.repeat(rest.face, count, axis=0)
    mouth = rng.integers(len(MOUTHS), size=count)
    brow = rng.integers(len(BROWS), size=count)
    face[:, [MOUTH_OPEN, MOUTH_WIDTH, MOUTH_CURVE]] = np.array(list(MOUTHS.values()))[mouth]
    face[:, BROW] = np.array(list(BROWS.values()))[brow]
    face[:, TURN] = rng.uniform(-0.6, 0.6, count) * (rng.random(count) < 0.4)
    face[:, NOD] = rng.uniform(0, 0.6, count) * (rng.random(count) < 0.3)
    face[:, TILT] = 0.16 * rng.choice([-1.0, 0.0, 0.0, 1.0], size=count)
    labels: Labels = {
        "handshape": np.where(resting, len(HANDSHAPES), handshape),
        "mouth": mouth,
        "brow": brow,
    }
    return Poses(hands, face), labels


def _in_picture(poses: Poses, signer: Signer, crop: int) -> Labels:
    """The labels that hang on the camera and on which side the signer's dominant hand is."""
    pixels = hand_pixels(poses, signer)
    position = (pixels + 0.5 - VIEW / 2) / (crop / 2)
    visible = np.abs(position).max(axis=-1) < 1.0
    visible[:, 1] &= np.linalg.norm(pixels[:, 0] - pixels[:, 1], axis=-1) > HANDS_COVER
    # Towards the midline is clockwise for the hand on the left of the picture.
    mirror = 1.0 if signer.right_handed else -1.0
    angle = poses.hands[..., ANGLE] * mirror * (1.0, -1.0) + signer.camera_roll
    head = poses.face[:, [TURN, NOD, TILT]] * (-mirror, 1.0, -mirror)
    order = np.argsort(pixels[..., 0], axis=1, kind="stable")
    numbers = {
        "position": position,
        "visible": visible,
        "angle": np.stack([np.sin(angle), np.cos(angle)], axis=-1),
        "facing": poses.hands[..., FACING],
        "extension": poses.hands[..., EXTENSION],
        "head": head,
    }
    return {name: value.astype(np.float32) for name, value in numbers.items()} | {
        "left_first": order
    }
