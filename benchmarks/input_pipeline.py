"""A store's clips -> one augmented batch: decoded, sampled, augmented and collated, on one core.

Naive is the textbook way: every frame decoded and turned into an RGB array, every sampled one
resized and augmented on its own by PIL. The floor decodes the needed frames and does nothing with
them. `python -m benchmarks.input_pipeline [CLIP ...]` prints where the time goes, for the drawn
shapes or for clips of one's own.
"""

import atexit
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from shutil import rmtree
from typing import Any

import av
import cv2
import numpy as np
import torch
from PIL import Image, ImageEnhance

from benchmarks.harness import Case, Target
from sign2gpt.data.collator import ClipCollator
from sign2gpt.video.augment import ClipAugment
from sign2gpt.video.encode import write_clip
from sign2gpt.video.packets import VideoPackets
from sign2gpt.video.processor import SignVideoProcessor
from sign2gpt.video.timeline import file_timeline

TITLE = "Input of training, 8 clips of 117 frames, every second one at 256 x 256 -> 224, one core"
CLIPS, FRAMES = 8, 117  # PHOENIX14T's mean length
PROCESSOR = SignVideoProcessor(fps=12.5, store_size=256, crop_size=224, fit="stretch")
AUGMENT = ClipAugment()
WHOLE = SignVideoProcessor(fps=12.5, store_size=256, crop_size=256, fit="stretch")
NOTHING = ClipAugment((1, 1), (1, 1), *[0.0] * 9)

CHECK = {"noise": 2.0, "clips": 1, "width": 256, "plain": True}
SHAPES = {
    "256 x 318, texture, noise of 2 levels": {
        "noise": 2.0,
        "target": Target(per_second=1300),
    },
    "256 x 256, texture, noise of 2 levels": {
        "noise": 2.0,
        "width": 256,
        "target": Target(per_second=1300),
    },
    "256 x 318, texture, noise of 5 levels": {"noise": 5.0},
}


def build(
    device: torch.device,
    noise: float,
    clips: int = CLIPS,
    width: int = 318,
    plain: bool = False,
    target: Target | None = None,
) -> Case:
    """`noise`: of the camera, in grey levels; most of what a decoder has to work on.

    `plain`: whole frames, nothing augmented.
    """
    ways = (WHOLE, NOTHING) if plain else (PROCESSOR, AUGMENT)
    one_thread()
    folder = Path(tempfile.mkdtemp())
    atexit.register(rmtree, folder, ignore_errors=True)
    paths = [folder / f"{number}.mp4" for number in range(min(clips, 2))]
    for number, path in enumerate(paths):
        write_clip(path, textured(number, 256, width, noise), 25)
    paths = list(islice(cycle(paths), clips))
    return Case(
        fast=lambda: fast(paths, *ways)["pixel_values"],
        naive=lambda: naive(paths, *ways),
        floor=lambda: [decoded(path) for path in paths],
        items=sum(map(decoded, paths)),
        unit="frame",
        target=target,
        memory=False,
    )


def one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def textured(seed: int, height: int, width: int, noise: float) -> Iterator[np.ndarray]:
    """Frames (height, width, 3): a still background, a swaying body, two fast hands, and noise."""
    drawn = np.random.default_rng(seed)
    back, front = (_texture(drawn, height, width) for _ in range(2))
    phases = drawn.uniform(0, 2 * np.pi, (3, 2))
    rows, columns = np.mgrid[:height, :width]
    for index in range(FRAMES):
        image = back.copy()
        for side, sway, radius, period, phase in zip(
            (0, -60, 60), (8, 50, 50), (60, 30, 30), (25, 7, 9), phases, strict=True
        ):
            x = width / 2 + side + sway * np.sin(index / period + phase[0])
            y = 0.55 * height + sway * np.cos(index / period + phase[1])
            inside = (columns - x) ** 2 + (rows - y) ** 2 < radius**2
            image[inside] = np.roll(front, (int(y), int(x)), axis=(0, 1))[inside]
        image += drawn.normal(0, noise, (height, width, 1))
        image += drawn.normal(0, noise / 2, (height, width, 3))
        yield image.clip(0, 255).astype(np.uint8)


def fast(
    paths: list[Path],
    processor: SignVideoProcessor = PROCESSOR,
    augment: ClipAugment = AUGMENT,
    lap: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """Our way; `lap` is called with a step's name when it is done."""
    items = []
    for number, path in enumerate(paths):
        frames = processor.read(path).frames
        lap("read")
        draws = torch.Generator().manual_seed(number)
        pixel_values = augment(frames, draws, processor.image_size)
        items.append({"pixel_values": pixel_values})
        lap("augment")
    batch = ClipCollator()(items)
    lap("collate")
    return batch


def naive(paths: list[Path], processor: SignVideoProcessor, augment: ClipAugment) -> torch.Tensor:
    """Geometry and colour step by step; the draws are not ours but from the same ranges."""
    clips = []
    for number, path in enumerate(paths):
        with av.open(str(path)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        draw = np.random.default_rng(number)
        side, size = processor.store_size, processor.image_size
        crop = side * np.sqrt(draw.uniform(*augment.crop_scale))
        left, top = draw.uniform(0, side - crop, 2)
        jitter, turn, flip, grey = draw.random(4) < (
            augment.jitter_prob,
            augment.rotation_prob,
            augment.flip_prob,
            augment.grey_prob,
        )
        factors = draw.uniform(1 - augment.brightness, 1 + augment.brightness, 3)
        angle = draw.uniform(-augment.rotation_degrees, augment.rotation_degrees)
        hue = int(255 * draw.uniform(-augment.hue, augment.hue))
        clip = []
        for frame in frames[::2]:
            image = Image.fromarray(frame).resize((side, side), Image.Resampling.BILINEAR)
            if turn:
                image = image.rotate(angle, Image.Resampling.BILINEAR)
            box = (left, top, left + crop, top + crop)
            image = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
            if flip:
                image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            if jitter:
                makers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
                for maker, factor in zip(makers, factors, strict=True):
                    image = maker(image).enhance(factor)
                tint, *others = image.convert("HSV").split()
                tint = tint.point([(level + hue) % 256 for level in range(256)])
                image = Image.merge("HSV", (tint, *others)).convert("RGB")
            if grey:
                image = image.convert("L").convert("RGB")
            clip.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
        clips.append(torch.stack(clip))
    return torch.cat(clips)


def decoded(path: Path) -> int:
    """Decode what every second frame needs, and drop it; returns how many those are."""
    packets = VideoPackets(path)
    timeline = file_timeline(packets)
    wanted = np.arange(0, len(timeline.times), 2)
    for _ in packets.decode(unwanted=timeline.unneeded(wanted)):
        pass
    return len(wanted)


def shares(paths: list[Path]) -> dict[str, float]:
    """Microseconds of one core that a sampled frame takes, by step."""
    frames = sum(map(decoded, paths))
    spent: dict[str, float] = {}
    before = time.thread_time()

    def lap(name: str) -> None:
        nonlocal before
        now = time.thread_time()
        spent[name] = spent.get(name, 0.0) + 1e6 * (now - before) / frames
        before = time.thread_time()

    for path in paths:
        decoded(path)
    lap("decode")
    fast(paths, lap=lap)
    spent["convert"] = spent.pop("read") - spent["decode"]
    return spent | {"frames a second": 1e6 / sum(spent.values())}


def _texture(drawn: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width, 3) float64 around 120; amplitudes fall with frequency, as in photographs."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    planes = []
    for _ in range(4):
        phase = np.exp(2j * np.pi * drawn.random(frequency.shape))
        plane = np.fft.irfft2(phase / frequency, (height, width))
        planes.append((plane - plane.mean()) / plane.std())
    return 15 * np.stack(planes[:3], axis=-1) + 25 * planes[3][..., None] + 120


if __name__ == "__main__":
    one_thread()
    own = [Path(name) for name in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as place:
        sources = {", ".join(path.stem for path in own): own}
        if not own:
            sources = {name: [] for name in SHAPES}
            for number, (name, shape) in enumerate(SHAPES.items()):
                path = Path(place) / f"{number}.mp4"
                frames = textured(0, 256, shape.get("width", 318), shape["noise"])
                write_clip(path, frames, 25)
                sources[name] = [path] * CLIPS
        for name, paths in sources.items():
            shares(paths)  # warms up
            rounds = [shares(paths) for _ in range(7)]
            found = {key: sorted(r[key] for r in rounds)[3] for key in rounds[0]}
            print(name, {key: round(value) for key, value in found.items()}, flush=True)
