"""An epoch over stored sign features, against the same epoch read and augmented from video.

No model runs in either: it is the reading that is timed, collation included. The floor copies the
features out of memory, widened to float32.
"""

import atexit
import tempfile
from pathlib import Path
from shutil import rmtree

import numpy as np
import torch

from benchmarks.harness import Case, Target
from benchmarks.input_pipeline import FRAMES, PROCESSOR, textured
from sign2gpt.data.collator import ClipCollator
from sign2gpt.data.dataset import ClipDataset
from sign2gpt.data.features import FeatureDataset, FeatureStore
from sign2gpt.data.manifest import ClipRow, write_manifest
from sign2gpt.video.augment import ClipAugment
from sign2gpt.video.encode import write_clip

TITLE = "An epoch of 64 clips read for training: stored Z (T x 512) against video, batches of 8"
BATCH, WIDTH = 8, 512

CHECK = {"clips": 8}
SHAPES = {"64 clips of 117 frames": {"clips": 64, "target": Target(speed=50.0)}}


def build(device: torch.device, clips: int, target: Target | None = None) -> Case:
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp())
    atexit.register(rmtree, folder, ignore_errors=True)
    write_clip(folder / "clip.mp4", textured(0, 256, 318, 2.0), 25)
    rows = [
        ClipRow(
            id=f"{number}", split="train", text="regen", path="clip.mp4", frames=FRAMES, fps=25.0
        )
        for number in range(clips)
    ]
    write_manifest(folder, rows)
    tokens = -(-FRAMES // 4)  # half of the frames are sampled, and the encoder halves them again
    drawn = np.random.default_rng(0)
    features = [drawn.standard_normal((tokens, WIDTH), dtype=np.float32) for _ in rows]
    store = FeatureStore.write(
        folder / "features", zip((row.id for row in rows), features, strict=True)
    )
    stored = FeatureDataset(rows, store, "sign_features")
    video = ClipDataset(folder, "train", PROCESSOR, ClipAugment())
    collate = ClipCollator(with_ids=True)

    def epoch(dataset: FeatureDataset | ClipDataset) -> torch.Tensor:
        """The ids of the clips, as they came."""
        ids: list[str] = []
        for start in range(0, clips, BATCH):
            batch = collate([dataset[index] for index in range(start, start + BATCH)])
            ids += batch["ids"]
        return torch.tensor(list(map(int, ids)))

    together = torch.from_numpy(np.concatenate(features).astype(np.float16))
    return Case(
        fast=lambda: epoch(stored),
        naive=lambda: epoch(video),
        floor=lambda: together.float(),
        items=clips,
        unit="clip",
        target=target,
        memory=False,
    )
