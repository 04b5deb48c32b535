"""Augmentation: drawn once a clip, decided by the generator, each part doing what it says."""

import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
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


def augmented(
    augment: ClipAugment, frames: Tensor, draws: torch.Generator, size: int | None = None
) -> Tensor:
    """(T, 3, H, W) -> (T, 3, h, w)."""
    return augment(np.ascontiguousarray(frames.permute(0, 2, 3, 1).numpy()), draws, size)


def picture(frames: int = 3, side: int = 32) -> Tensor:
    """Smooth coloured frames, all alike, without symmetry."""
    ramp = torch.linspace(0, 200, side)
    rows, columns = torch.meshgrid(ramp, ramp, indexing="ij")
    image = torch.stack([rows, columns, (rows + 2 * columns) / 3])
    return image.to(torch.uint8).expand(frames, 3, side, side).contiguous()


def test_without_any_part_nothing_changes() -> None:
    frames = torch.randint(0, 256, (40, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(augmented(NOTHING, frames, generator()), frames)


@pytest.mark.parametrize("seed", range(8))
def test_all_frames_of_a_clip_are_treated_alike(seed: int) -> None:
    frames = picture()
    augment = ClipAugment(jitter_prob=1, rotation_prob=1)
    clip = augmented(augment, frames, generator(seed), size=24)
    assert clip.shape == (3, 3, 24, 24) and clip.dtype == torch.uint8
    assert torch.equal(clip, clip[:1].expand_as(clip))


def test_the_generator_decides() -> None:
    frames, augment = picture(), ClipAugment()
    assert torch.equal(
        augmented(augment, frames, generator(1)), augmented(augment, frames, generator(1))
    )
    assert not torch.equal(
        augmented(augment, frames, generator(1)), augmented(augment, frames, generator(2))
    )


def test_flip_mirrors_left_and_right() -> None:
    frames = picture()
    assert torch.equal(augmented(only(flip_prob=1), frames, generator()), frames.flip(-1))


def test_flip_comes_as_often_as_asked() -> None:
    frames, augment, draws = picture(1, 8), only(flip_prob=0.3), generator()
    flipped = sum(not torch.equal(augmented(augment, frames, draws), frames) for _ in range(1000))
    assert 250 < flipped < 350


def test_rotation_turns_about_the_middle_without_skewing() -> None:
    side = 65
    frames = torch.zeros(1, 3, side, side, dtype=torch.uint8)
    frames[:, :, 12:15, 31:34] = 255  # a spot, 19 above the middle
    frames[:, :, 31:34, 51:54] = 255  # and one, 20 to its right
    draws, angles = generator(), []
    for _ in range(20):
        turned = augmented(only(rotation_prob=1, rotation_degrees=40), frames, draws)[0, 0].float()
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
        rows, columns = augmented(only(crop_scale=(0.5, 0.7)), frames, draws)[0, :2].float()
        height, width = (rows.max() - rows.min()) / 200, (columns.max() - columns.min()) / 200
        kept.append((height * width).item())
    assert 0.42 < min(kept) < 0.55 and 0.62 < max(kept) < 0.75


def test_crop_box_moves_over_the_whole_picture() -> None:
    frames, draws = picture(1, 64), generator()
    tops = [
        augmented(only(crop_scale=(0.25, 0.25)), frames, draws)[0, 0].min().item()
        for _ in range(100)
    ]
    assert min(tops) < 10 and max(tops) > 90


def test_grey_takes_the_colour_away() -> None:
    grey = augmented(only(grey_prob=1), picture(), generator()).int()
    assert (grey[:, 0] - grey[:, 1]).abs().max() <= 1 and (grey[:, 0] - grey[:, 2]).abs().max() <= 1
    luma = (torch.tensor([0.299, 0.587, 0.114])[:, None, None] * picture()[0]).sum(0)
    assert (grey[0, 0] - luma).abs().max() <= 1


@pytest.mark.parametrize("part", ["brightness", "contrast", "saturation", "hue"])
def test_jitter_parts(part: str) -> None:
    strengths = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0)
    augment = only(jitter_prob=1, **(strengths | {part: 0.5}))
    frames = picture(2, 16) // 2 + 40
    grey = torch.full_like(frames, 100)
    changed = augmented(augment, frames, generator(11)).float()
    assert (changed - frames).abs().mean() > 1
    if part == "brightness":
        factor = changed[frames > 0].sum() / frames.sum()
        assert (changed - frames * factor).abs().max() < 1.5
    else:  # these keep the grey of the clip's mean as it is
        assert (augmented(augment, grey, generator(11)).float() - 100).abs().max() <= 1
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
    augment: ClipAugment, frames: np.ndarray, draws: torch.Generator, size: int
) -> Tensor:
    """The same draws, each frame sampled and coloured on its own in plain float arithmetic."""
    height, width = frames.shape[1:3]
    box = augment._draw_geometry(height, width, draws)
    colour = augment._draw_colour(frames, draws)
    cos, sin = math.cos(box.radians), math.sin(box.radians)
    across = (torch.arange(size, dtype=torch.float64) + 0.5) * box.width / size - 0.5
    down = (torch.arange(size, dtype=torch.float64) + 0.5) * box.height / size - 0.5
    if not box.radians:  # what a pixel at the edge of the box lacks, it takes from itself
        across, down = across.clamp(0, box.width - 1), down.clamp(0, box.height - 1)
    across = across.flip(0) if box.mirrored else across
    y, x = torch.meshgrid(down + box.top, across + box.left, indexing="ij")
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    x, y = cos * x - sin * y, sin * x + cos * y
    # Pixels' middles from -1 to 1, for `grid_sample`.
    grid = torch.stack([2 * x / (width - 1), 2 * y / (height - 1)], dim=-1)[None]
    plain = []
    for frame in torch.from_numpy(frames).permute(0, 3, 1, 2).double():
        pixels = functional.grid_sample(frame[None], grid, align_corners=True)[0]
        if colour is not None:
            matrix = torch.from_numpy(colour)
            pixels = torch.einsum("ij,jhw->ihw", matrix[:, :3], pixels) + matrix[:, 3:, None]
        plain.append(pixels.round().clamp(0, 255).to(torch.uint8))
    return torch.stack(plain)


@pytest.mark.parametrize("shape", [(5, 256, 256), (3, 40, 56), (2, 400, 400)])
@pytest.mark.parametrize("turned", [0.0, 1.0])
@pytest.mark.parametrize("coloured", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_like_frame_by_frame(
    shape: tuple[int, int, int], turned: float, coloured: float, seed: int
) -> None:
    frames = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    augment = ClipAugment(jitter_prob=coloured, rotation_prob=turned)
    off = augment(frames, generator(seed), 224).int()
    off -= frame_by_frame(augment, frames, generator(seed), 224).int()
    # OpenCV's resizing is an eighth of a level too dark on average, and colours come after it.
    assert off.abs().max() <= (2 if coloured else 1)
    assert off.float().abs().mean() < (0.35 if coloured else 0.15)


def test_frames_may_be_parts_of_larger_ones() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 60, 70, 3), dtype=np.uint8)
    part = frames[:, 5:45, 50:10:-1]
    whole = np.ascontiguousarray(part)
    for seed in range(6):
        augment = ClipAugment(rotation_prob=0.5)
        assert torch.equal(augment(part, generator(seed), 32), augment(whole, generator(seed), 32))


def test_contrast_is_about_the_clips_mean_grey() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (7, 33, 41, 3), dtype=np.uint8)
    augment = only(jitter_prob=1, contrast=0.5, brightness=0, saturation=0, hue=0)
    colour = augment._draw_colour(frames, generator())
    grey = frames.mean(axis=(0, 1, 2)) @ [0.299, 0.587, 0.114]
    # What contrast leaves alone is the clip's mean grey.
    assert np.allclose(colour @ [grey, grey, grey, 1], grey, atol=1e-6)


IN_A_WORKER = """
import cv2, numpy as np, torch
from torch.utils.data import DataLoader
from sign2gpt.video.augment import ClipAugment

class Clips:
    def __len__(self): return 4
    def __getitem__(self, seed):
        draws = torch.Generator().manual_seed(seed)
        clip = ClipAugment(rotation_prob=1)(np.zeros((3, 300, 300, 3), np.uint8), draws, 280)
        return clip, cv2.getNumThreads()

if __name__ == "__main__":
    cv2.setNumThreads(2)
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (9, 9), 3)  # OpenCV's threads are there
    loader = DataLoader(Clips(), batch_size=None, num_workers=2, multiprocessing_context="fork")
    print(*(threads for clip, threads in loader), cv2.getNumThreads())
"""


def test_in_a_forked_worker_there_is_one_thread_and_nobody_waits(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(IN_A_WORKER)
    command = [sys.executable, tmp_path / "worker.py"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert said.split() == ["1", "1", "1", "1", "2"]
