"""Which frames are kept: order, spread, determinism."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sign2gpt.video.sample import evenly, in_order, shifted_span

lengths = st.integers(1, 2000)
caps = st.integers(1, 600)


@given(lengths, caps)
def test_evenly_keeps_order_and_spread(num_frames: int, cap: int) -> None:
    kept = evenly(num_frames, cap)
    assert len(kept) == min(num_frames, cap)
    assert (np.diff(kept) > 0).all()
    assert kept[0] >= 0 and kept[-1] < num_frames
    if len(kept) > 1:
        assert kept[0] == 0 and kept[-1] == num_frames - 1
        gaps = np.diff(kept)
        assert gaps.max() - gaps.min() <= 1


@given(lengths, caps, st.integers(0, 2**32))
def test_in_order_is_a_sorted_subset_that_the_seed_decides(
    num_frames: int, cap: int, seed: int
) -> None:
    kept = in_order(num_frames, cap, np.random.default_rng(seed))
    assert len(set(kept.tolist())) == min(num_frames, cap)
    assert (np.diff(kept) > 0).all()
    assert kept[0] >= 0 and kept[-1] < num_frames
    np.testing.assert_array_equal(kept, in_order(num_frames, cap, np.random.default_rng(seed)))


def test_in_order_reaches_every_frame() -> None:
    generator = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        seen.update(in_order(12, 4, generator).tolist())
    assert seen == set(range(12))


@given(lengths, st.integers(0, 6), st.integers(0, 2**32))
def test_shift_takes_a_few_frames_off_the_ends(num_frames: int, shift: int, seed: int) -> None:
    start, end = shifted_span(num_frames, np.random.default_rng(seed), shift)
    assert 0 <= start <= shift and 0 <= num_frames - end <= shift
    assert end - start >= num_frames / 2


def test_shift_reaches_every_amount() -> None:
    generator = np.random.default_rng(0)
    spans = {shifted_span(50, generator) for _ in range(500)}
    assert spans == {(start, 50 - cut) for start in range(5) for cut in range(5)}
