"""Clips as a store holds them."""

from pathlib import Path

import numpy as np

from sign2gpt.video.encode import write_clip


def test_the_same_pictures_become_the_same_bytes(tmp_path: Path) -> None:
    """Also of a width that leaves room at the end of a row in memory, which holds anything."""
    noise = np.random.default_rng(0).integers(0, 255, (5, 84, 84, 3), dtype=np.uint8)
    made = set()
    for _ in range(25):
        write_clip(tmp_path / "clip.mp4", noise, 25)
        made.add((tmp_path / "clip.mp4").read_bytes())
    assert len(made) == 1
