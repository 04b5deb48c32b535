"""Draws an invented signer: poses in, pictures out.

Shapes: N frames, 2 hands (dominant, other), K joints or corners, 2 coordinates (x, y);
pictures are (256, 256, 3) uint8 RGB.

Everything that moves is computed for all frames at once in numpy; OpenCV then fills it in, frame
by frame, in 1/16 pixels. What stands still (background, torso) is drawn once a signer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sign2gpt.synth.face import draw_face, face_shapes
from sign2gpt.synth.signer import Colour, Signer

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

VIEW: Final = 256
PIXELS_PER_UNIT: Final = 100.0
HAND_SIZE: Final = 1.15  # hands about as large as the face
ORIGIN: Final = (128.0, 134.0)  # where the middle of the shoulders stands in the picture
SHIFT: Final = 4  # fixed-point bits of the coordinates given to OpenCV

# Columns of a hand.
X, Y, ANGLE, FACING, SCALE, SPREAD = range(6)
EXTENSION: Final = slice(6, 11)  # thumb to little finger
HAND_COLUMNS: Final = 11
# Columns of the face.
TURN, NOD, TILT, BROW, MOUTH_OPEN, MOUTH_WIDTH, MOUTH_CURVE = range(7)
FACE_COLUMNS: Final = 7

INK: Final[Colour] = (28, 26, 34)
PALM_FRONT: Final[Colour] = (252, 240, 222)
PALM_MARK: Final[Colour] = (240, 150, 130)
PALM_BACK: Final[Colour] = (44, 56, 104)
KNUCKLES: Final[Colour] = (120, 140, 210)
FINGERS: Final[tuple[Colour, ...]] = (
    (228, 52, 44), (252, 200, 36), (52, 172, 76), (60, 132, 240), (204, 72, 204),
)  # fmt: skip

# Of the unscaled hand: where each finger starts (across, along), its length, its angle at spread 1.
_ACROSS: Final = np.array([0.105, 0.085, 0.029, -0.029, -0.085])
_ALONG: Final = np.array([-0.03, 0.095, 0.115, 0.11, 0.085])
_LENGTH: Final = np.array([0.19, 0.235, 0.265, 0.24, 0.19])
_FAN: Final = np.array([0.0, 0.22, 0.06, -0.10, -0.28])
_PALM: Final = np.array(  # corners (across, along), wrist first
    [[0.075, -0.15], [0.125, -0.04], [0.118, 0.10], [0.03, 0.135], [-0.06, 0.13], [-0.12, 0.09],
     [-0.125, -0.04], [-0.075, -0.15]]
)  # fmt: skip
_UPPER_ARM, _FOREARM = 0.60, 0.58
_ELBOW_POLE: Final = np.array([0.9, 0.45])  # elbows point outwards and down


@dataclass
class Poses:
    """What a signer does in N frames, in the signer's own coordinates (see `lexicon`).

    hands: (N, 2, 11) and face: (N, 7), columns as named above.
    """

    hands: Floats
    face: Floats

    def __len__(self) -> int:
        return len(self.hands)


@dataclass(frozen=True)
class Camera:
    """Maps the signer's coordinates to pixels; the picture is mirrored for right-handers."""

    matrix: Floats  # (2, 2)
    offset: Floats  # (2,)

    @classmethod
    def of(cls, signer: Signer) -> Camera:
        cosine, sine = np.cos(signer.camera_roll), np.sin(signer.camera_roll)
        roll = np.array([[cosine, -sine], [sine, cosine]])
        mirror = np.diag([-1.0 if signer.right_handed else 1.0, 1.0])
        scale = PIXELS_PER_UNIT * signer.camera_scale
        return cls(scale * roll @ mirror, np.add(ORIGIN, signer.camera_shift))

    def pixels(self, points: Floats) -> Floats:
        """(..., 2) in units -> (..., 2) in pixels, pixel centres at whole numbers."""
        return points @ self.matrix.T + self.offset

    def fixed(self, points: Floats) -> NDArray[np.int32]:
        """The same as `pixels` in OpenCV's fixed point."""
        return np.rint(self.pixels(points) * (1 << SHIFT)).astype(np.int32)


def hand_pixels(poses: Poses, signer: Signer) -> Floats:
    """Palm centres in the picture: (N, 2, 2) pixels, dominant hand first."""
    return Camera.of(signer).pixels(_own_to_body(poses.hands[..., [X, Y]]))


def draw(poses: Poses, signer: Signer) -> Iterator[Picture]:
    """Draw each pose of one signer: yields N pictures of (256, 256, 3) uint8 RGB."""
    camera = Camera.of(signer)
    stage = _draw_stage(signer, camera)
    thickness = max(1, round(8.0 * signer.camera_scale))
    arms = camera.fixed(_arms(poses, signer))
    palms, fingers, marks = (camera.fixed(points) for points in _hands(poses))
    front = poses.hands[..., FACING] > 0
    face = face_shapes(poses.face, signer, camera.fixed)
    for n in range(len(poses)):
        picture = stage.copy()
        draw_face(picture, face, n, signer)
        for hand in (1, 0):
            _draw_arm(picture, arms[n, hand], signer)
        for hand in (1, 0):
            _draw_hand(
                picture, palms[n, hand], fingers[n, hand], marks[n, hand], bool(front[n, hand]),
                thickness,
            )  # fmt: skip
        yield picture


def _own_to_body(points: Floats) -> Floats:
    """(..., 2 hands, ..., 2): the other hand's own x points the other way."""
    mirrored = points.copy()
    mirrored[:, 1, ..., 0] *= -1.0
    return mirrored


def _arms(poses: Poses, signer: Signer) -> Floats:
    """Shoulder, elbow, wrist by two-bone inverse kinematics: (N, 2, 3, 2).

    The bend is seen partly from the front, so it shows shortened, and it passes smoothly through
    the straight arm where the hand moves along the elbow's direction.
    """
    hands = poses.hands
    wrist = hands[..., [X, Y]] - 0.14 * HAND_SIZE * hands[..., SCALE, None] * _pointing(hands)
    shoulder = np.broadcast_to([0.42 * signer.shoulders, 0.06], wrist.shape)
    reach = wrist - shoulder
    distance = np.linalg.norm(reach, axis=-1, keepdims=True).clip(1e-6)
    unit = reach / distance
    upper, fore = _UPPER_ARM * signer.arms, _FOREARM * signer.arms
    along = distance * upper / (upper + fore)
    bend = 0.85 * np.sqrt(np.clip(upper**2 - along**2, 0.0, None))
    pole = _ELBOW_POLE - (unit @ _ELBOW_POLE)[..., None] * unit
    elbow = shoulder + along * unit + bend * pole
    return _own_to_body(np.stack([shoulder, elbow, wrist], axis=2))


def _pointing(hands: Floats) -> Floats:
    """Direction of the fingers: (N, 2, 2)."""
    return np.stack([-np.sin(hands[..., ANGLE]), -np.cos(hands[..., ANGLE])], axis=-1)


def _hands(poses: Poses) -> tuple[Floats, Floats, Floats]:
    """Palm corners (N, 2, 8, 2), finger ends (N, 2, 5, 2, 2) and the palm's mark (N, 2, 2, 2)."""
    hands = poses.hands
    scale = HAND_SIZE * hands[..., SCALE, None, None]
    along = _pointing(hands)[..., None, :]
    facing = hands[..., FACING]
    width = np.where(facing >= 0, 1.0, -1.0) * np.maximum(np.abs(facing), 0.4)
    across = np.stack([along[..., 0, 1], -along[..., 0, 0]], axis=-1)[..., None, :]
    across = across * width[..., None, None]  # towards the thumb
    centre = hands[..., None, [X, Y]]

    def placed(u: Floats, v: Floats) -> Floats:
        return centre + scale * (u[..., None] * across + v[..., None] * along)

    palms = placed(_PALM[:, 0], _PALM[:, 1])
    marks = placed(np.array([0.0, 0.0]), np.array([-0.03, 0.045]))

    extension = hands[..., EXTENSION]
    thumb = np.arange(5) == 0
    # Folding bends a finger out of the picture's plane: it shortens and its tip turns back.
    fold = np.where(thumb, 0.0, 1.0 - extension)
    first = 0.5 * _LENGTH * np.cos(fold * 1.15)
    second = 0.5 * _LENGTH * np.cos(fold * 2.75)
    lean = np.where(thumb, -0.85 + 1.75 * extension, _FAN * hands[..., SPREAD, None])
    root = np.broadcast_to(np.stack([_ACROSS, _ALONG], -1), (*extension.shape, 2))
    heading = np.stack([np.sin(lean), np.cos(lean)], axis=-1)
    # Both parts of a finger lie on one line, so that its near and far end say all.
    near = root + np.minimum(0.0, first + second)[..., None] * heading
    far = root + np.maximum(first, first + second)[..., None] * heading
    ends = np.stack([near, far], axis=-2)  # (N, 2, 5, 2, 2) across and along
    flat = ends.reshape(*ends.shape[:2], 10, 2)
    fingers = placed(flat[..., 0], flat[..., 1]).reshape(ends.shape)
    return _own_to_body(palms), _own_to_body(fingers), _own_to_body(marks)


def _draw_stage(signer: Signer, camera: Camera) -> Picture:
    """Background, neck and torso: what no pose moves."""
    picture = np.empty((VIEW, VIEW, 3), np.uint8)
    picture[:] = signer.background
    if signer.background_style == "gradient":
        weight = np.linspace(0, 1, VIEW)[:, None, None]
        blend = np.multiply(signer.background, 1 - weight) + weight * signer.background_accent
        picture[:] = blend.astype(np.uint8)
    elif signer.background_style == "panel":
        picture[:, VIEW * 2 // 3 :] = signer.background_accent
        picture[VIEW * 5 // 6 :] = signer.background_accent
    wide = 0.50 * signer.shoulders
    torso = np.array(
        [[-0.13, -0.14], [0.13, -0.14], [wide, -0.02], [wide + 0.03, 0.2], [wide - 0.02, 1.6],
         [0.02 - wide, 1.6], [-wide - 0.03, 0.2], [-wide, -0.02]]
    )  # fmt: skip
    outline = camera.fixed(torso)
    cv2.fillPoly(picture, [outline], signer.clothes, cv2.LINE_AA, SHIFT)
    light = _shade(signer.clothes, 1.25)
    if signer.clothes_style == "stripes":
        for height in np.arange(0.12, 1.4, 0.16):
            ends = camera.fixed(np.array([[0.02 - wide, height], [wide - 0.02, height]]))
            cv2.line(picture, ends[0].tolist(), ends[1].tolist(), light, 4, cv2.LINE_AA, SHIFT)
    cv2.polylines(picture, [outline], True, _shade(signer.clothes, 0.6), 2, cv2.LINE_AA, SHIFT)
    neck = np.array([[-0.10, -0.35], [0.10, -0.35], [0.12, -0.10], [0.0, 0.03], [-0.12, -0.10]])
    cv2.fillPoly(picture, [camera.fixed(neck)], _shade(signer.skin, 0.82), cv2.LINE_AA, SHIFT)
    if signer.clothes_style == "collar":
        collar = camera.fixed(np.array([[-0.14, -0.14], [0.0, 0.06], [0.14, -0.14]]))
        cv2.polylines(picture, [collar], False, light, 6, cv2.LINE_AA, SHIFT)
    return picture


def _draw_arm(picture: Picture, joints: NDArray[np.int32], signer: Signer) -> None:
    thick = round(19 * signer.camera_scale)
    edge = _shade(signer.clothes, 0.45)
    cv2.polylines(picture, [joints], False, edge, thick + 3, cv2.LINE_AA, SHIFT)
    cv2.polylines(picture, [joints], False, _shade(signer.clothes, 1.1), thick, cv2.LINE_AA, SHIFT)


def _draw_hand(
    picture: Picture,
    palm: NDArray[np.int32],
    fingers: NDArray[np.int32],
    mark: NDArray[np.int32],
    front: bool,
    thickness: int,
) -> None:
    """From the front the folded fingers lie on the palm, from behind the palm hides them."""
    order = (4, 3, 2, 1, 0) if front else (0, 1, 2, 3, 4)
    if front:
        _draw_palm(picture, palm, mark, front)
    for finger in order:
        joints = [fingers[finger]]
        colour = FINGERS[finger]
        cv2.polylines(picture, joints, False, INK, thickness + 3, cv2.LINE_AA, SHIFT)
        cv2.polylines(picture, joints, False, colour, thickness, cv2.LINE_AA, SHIFT)
    if not front:
        _draw_palm(picture, palm, mark, front)


def _draw_palm(
    picture: Picture, palm: NDArray[np.int32], mark: NDArray[np.int32], front: bool
) -> None:
    cv2.fillConvexPoly(picture, palm, PALM_FRONT if front else PALM_BACK, cv2.LINE_AA, SHIFT)
    cv2.polylines(picture, [palm], True, INK, 2, cv2.LINE_AA, SHIFT)
    if front:
        cv2.circle(picture, mark[0].tolist(), 5 << SHIFT, PALM_MARK, -1, cv2.LINE_AA, SHIFT)
    else:
        cv2.circle(picture, mark[1].tolist(), 4 << SHIFT, KNUCKLES, -1, cv2.LINE_AA, SHIFT)


@cache
def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, int(channel * factor)) for channel in colour)
    return red, green, blue
