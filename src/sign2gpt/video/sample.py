"""Which frames of a clip to keep: a cap on their number, and the jitter of start and end.

Every function gives indices, rising, as an int64 array. Reference: section 4 of the paper
(every second frame); the cap of 256 and the shift by up to 4 frames are its authors' settings.
"""

import math

import numpy as np


def frame_count(duration: float, fps: float) -> int:
    """Frames at `fps` a second that `duration` seconds make: half of n frames is ceil(n / 2)."""
    # Time stamps are rounded to the container's clock: a fiftieth of a frame is no frame.
    return max(1, math.ceil(duration * fps - 0.02))


def nearest(times: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """For each of `targets` the index of the nearest of `times` (rising), the earlier of two."""
    middles = (times[:-1] + times[1:]) / 2 + 1e-6
    return np.searchsorted(middles, targets)


def evenly(num_frames: int, cap: int) -> np.ndarray:
    """At most `cap` of `num_frames` indices, evenly spread, first and last among them.

    Deterministic: what evaluation uses. Returns (min(num_frames, cap),) int64.
    """
    _check(num_frames, cap)
    if num_frames <= cap:
        return np.arange(num_frames)
    if cap == 1:
        return np.array([num_frames // 2])
    # In whole numbers, rounded half up: the same on every machine.
    steps = np.arange(cap, dtype=np.int64)
    return (2 * steps * (num_frames - 1) + (cap - 1)) // (2 * (cap - 1))


def in_order(num_frames: int, cap: int, generator: np.random.Generator) -> np.ndarray:
    """A random `cap` of `num_frames` indices, in their order: what training uses.

    Returns (min(num_frames, cap),) int64.
    """
    _check(num_frames, cap)
    if num_frames <= cap:
        return np.arange(num_frames)
    return np.sort(generator.choice(num_frames, size=cap, replace=False))


def shifted_span(
    num_frames: int, generator: np.random.Generator, max_shift: int = 4
) -> tuple[int, int]:
    """Start and end (exclusive) of a clip with up to `max_shift` frames off at either end.

    Each shift is drawn on its own, evenly from 0 to `max_shift`; a clip too short to give up
    frames at both ends keeps at least half of itself.
    """
    if num_frames < 1 or max_shift < 0:
        raise ValueError(f"num_frames is {num_frames} and max_shift {max_shift}")
    most = min(max_shift, num_frames // 4)
    start, cut = generator.integers(0, most, size=2, endpoint=True)
    return int(start), num_frames - int(cut)


def _check(num_frames: int, cap: int) -> None:
    if num_frames < 1 or cap < 1:
        raise ValueError(f"num_frames is {num_frames} and cap {cap}; both must be at least 1")
