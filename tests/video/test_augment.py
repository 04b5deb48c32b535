"""Augmentation: drawn once a clip, decided by the generator, each part doing what it says."""

import dataclasses

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sign2gpt.errors import UserError
from sign2gpt.video.augment import ClipAugment

NOTHING = ClipAugment(
    crop_scale=(1, 1), crop_ratio=(1, 1), flip_prob=0, rotation_prob=0, jitter_prob=0, grey_prob=0
)


def only(**changes: object) -> ClipAugment:
    return dataclasses.replace(NOTHING, **changes)  # type: ignore[arg-type]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def picture(frames: int = 3, side: int = 32) -> Tensor:
    """Smooth coloured frames, all alike, without symmetry."""
    ramp = torch.linspace(0, 200, side)
    rows, columns = torch.meshgrid(ramp, ramp, indexing="ij")
    image = torch.stack([rows, columns, (rows + 2 * columns) / 3])
    return image.to(torch.uint8).expand(frames, 3, side, side).contiguous()


def test_without_any_part_nothing_changes() -> None:
    frames = torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(NOTHING(frames, generator()), frames)


@pytest.mark.parametrize("seed", range(8))
def test_all_frames_of_a_clip_are_treated_alike(seed: int) -> None:
    frames = picture(frames=70)  # more than are sampled at once
    augment = ClipAugment(jitter_prob=1, rotation_prob=1)
    augmented = augment(frames, generator(seed), size=24)
    assert augmented.shape == (70, 3, 24, 24) and augmented.dtype == torch.uint8
    assert torch.equal(augmented, augmented[:1].expand_as(augmented))


def test_the_generator_decides() -> None:
    frames, augment = picture(), ClipAugment()
    assert torch.equal(augment(frames, generator(1)), augment(frames, generator(1)))
    assert not torch.equal(augment(frames, generator(1)), augment(frames, generator(2)))


def test_flip_mirrors_left_and_right() -> None:
    frames = picture()
    assert torch.equal(only(flip_prob=1)(frames, generator()), frames.flip(-1))


def test_flip_comes_as_often_as_asked() -> None:
    frames, augment, draws = picture(1, 8), only(flip_prob=0.3), generator()
    flipped = sum(not torch.equal(augment(frames, draws), frames) for _ in range(1000))
    assert 250 < flipped < 350


def test_rotation_turns_about_the_middle_without_skewing() -> None:
    side = 65
    frames = torch.zeros(1, 3, side, side, dtype=torch.uint8)
    frames[:, :, 12:15, 31:34] = 255  # a spot, 19 above the middle
    frames[:, :, 31:34, 51:54] = 255  # and one, 20 to its right
    draws, angles = generator(), []
    for _ in range(20):
        turned = only(rotation_prob=1, rotation_degrees=40)(frames, draws)[0, 0].float()
        ys, xs = torch.nonzero(turned > 60, as_tuple=True)
        distances = ((ys - 32.0) ** 2 + (xs - 32.0) ** 2).sqrt()
        assert distances.min() > 16 and distances.max() < 23
        angles.append(torch.atan2((ys - 32.0).mean(), (xs - 32.0).mean()).rad2deg().item())
    # The spots' middle is at -45 degrees before it is turned.
    assert all(-88 < angle < -2 for angle in angles)
    assert max(angles) - min(angles) > 40


def test_crop_keeps_the_asked_share() -> None:
    # On a ramp the range of levels tells how much of the picture was kept.
    frames = picture(1, 64)
    draws, kept = generator(), []
    for _ in range(100):
        rows, columns = only(crop_scale=(0.5, 0.7))(frames, draws)[0, :2].float()
        height, width = (rows.max() - rows.min()) / 200, (columns.max() - columns.min()) / 200
        kept.append((height * width).item())
    assert 0.42 < min(kept) < 0.55 and 0.62 < max(kept) < 0.75


def test_crop_box_moves_over_the_whole_picture() -> None:
    frames, draws = picture(1, 64), generator()
    tops = [only(crop_scale=(0.25, 0.25))(frames, draws)[0, 0].min().item() for _ in range(100)]
    assert min(tops) < 10 and max(tops) > 90


def test_grey_takes_the_colour_away() -> None:
    grey = only(grey_prob=1)(picture(), generator()).int()
    assert (grey[:, 0] - grey[:, 1]).abs().max() <= 1 and (grey[:, 0] - grey[:, 2]).abs().max() <= 1
    luma = (torch.tensor([0.299, 0.587, 0.114])[:, None, None] * picture()[0]).sum(0)
    assert (grey[0, 0] - luma).abs().max() <= 1


@pytest.mark.parametrize("part", ["brightness", "contrast", "saturation", "hue"])
def test_jitter_parts(part: str) -> None:
    strengths = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0)
    augment = only(jitter_prob=1, **(strengths | {part: 0.5}))
    frames = picture(2, 16) // 2 + 40
    grey = torch.full_like(frames, 100)
    changed = augment(frames, generator(11)).float()
    assert (changed - frames).abs().mean() > 1
    if part == "brightness":
        factor = changed[frames > 0].sum() / frames.sum()
        assert (changed - frames * factor).abs().max() < 1.5
    else:  # these keep the grey of the clip's mean as it is
        assert (augment(grey, generator(11)).float() - 100).abs().max() <= 1
    if part == "contrast":
        assert (
            abs(
                changed.mean(dim=(0, 2, 3)) @ torch.tensor([0.299, 0.587, 0.114])
                - frames.float().mean(dim=(0, 2, 3)) @ torch.tensor([0.299, 0.587, 0.114])
            )
            < 1
        )


@pytest.mark.parametrize(
    "wrong",
    [{"flip_prob": 1.5}, {"crop_scale": (0.9, 0.5)}, {"crop_scale": (0.0, 1.0)}, {"hue": -0.1}],
)
def test_wrong_numbers_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        ClipAugment(**wrong)  # type: ignore[arg-type]


def frame_by_frame(
    augment: ClipAugment, frames: Tensor, draws: torch.Generator, size: int
) -> Tensor:
    """The same draws, each frame sampled and coloured on its own in plain float arithmetic."""
    height, width = frames.shape[2:]
    theta = augment._draw_geometry(height, width, draws).theta(height, width)
    colour = augment._draw_colour(frames, draws)
    grid = functional.affine_grid(theta[None], [1, 3, size, size], align_corners=False)
    plain = []
    for frame in frames.double():
        pixels = functional.grid_sample(frame[None], grid.double(), align_corners=False)[0]
        if colour is not None:
            matrix, offset = (part.double() for part in colour)
            pixels = torch.einsum("ij,jhw->ihw", matrix, pixels) + offset[:, None]
        plain.append(pixels.round().clamp(0, 255).to(torch.uint8).expand(3, -1, -1))
    return torch.stack(plain)


@pytest.mark.parametrize("shape", [(5, 256, 256), (33, 40, 56), (2, 400, 400)])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_like_frame_by_frame(shape: tuple[int, int, int], last: bool, seed: int) -> None:
    count, height, width = shape
    noise = torch.randint(0, 256, (count, height, width, 3), generator=generator(seed))
    frames = noise.to(torch.uint8).permute(0, 3, 1, 2)
    frames = frames if last else frames.contiguous()  # colours may lie last, or as planes
    augment = ClipAugment(jitter_prob=0.7, rotation_prob=0.7)
    fast = augment(frames, generator(seed), 224)
    plain = frame_by_frame(augment, frames, generator(seed), 224)
    off = fast.int() - plain.int()
    in_bytes = augment._draw_geometry(height, width, generator(seed)).shrinks_to((224, 224))
    assert off.abs().max() <= 1 and (off != 0).float().mean() < (0.3 if in_bytes else 1e-3)
    assert off.float().mean().abs() < 0.1


def test_contrast_is_about_the_clips_mean_grey() -> None:
    frames = torch.randint(0, 256, (7, 33, 41, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    matrix, offset = (
        only(jitter_prob=1, contrast=0.5, brightness=0, saturation=0, hue=0)._draw_colour(
            frames, generator()
        )
        or ()
    )
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    grey = luma @ frames.double().mean(dim=(0, 2, 3))
    # What contrast leaves alone is the clip's mean grey.
    assert torch.allclose(
        matrix.double() @ grey.expand(3) + offset[:, 0], grey.expand(3), atol=1e-2
    )
