"""Spotting: from E to intervals of seconds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sign2gpt.spot import spot_signs

WORDS = ["regen", "sonne", "wind"]


def test_runs_above_the_threshold_become_intervals() -> None:
    localisation = np.zeros((8, 3))
    localisation[2:4, 0] = 0.4
    localisation[6:8, 0] = 0.3
    localisation[0, 2] = 0.9
    signs = spot_signs(localisation, WORDS, seconds_per_token=0.16, duration=1.2)
    assert [sign.word for sign in signs] == ["wind", "regen", "regen"]
    wind, first, second = signs
    assert (wind.start, wind.end) == pytest.approx((0.0, 0.08))
    assert (first.start, first.end) == pytest.approx((0.24, 0.56))
    assert (second.start, second.end) == pytest.approx((0.88, 1.2))
    assert first.score == pytest.approx(0.8)


def test_nothing_above_the_threshold_spots_nothing() -> None:
    assert spot_signs(np.full((5, 3), 0.2), WORDS, 0.16, 0.8) == []


@given(
    hnp.arrays(float, st.tuples(st.integers(1, 20), st.just(3)), elements=st.floats(0, 1)),
    st.floats(0.05, 0.9),
)
def test_every_token_above_lies_in_an_interval_of_its_word_and_no_other(
    localisation: np.ndarray, threshold: float
) -> None:
    step = 0.16
    signs = spot_signs(localisation, WORDS, step, len(localisation) * step, threshold)
    for column, word in enumerate(WORDS):
        inside = np.zeros(len(localisation), bool)
        for sign in signs:
            if sign.word == word:
                assert 0 <= sign.start < sign.end
                centres = np.arange(len(localisation)) * step
                inside |= (centres >= sign.start - 1e-9) & (centres < sign.end - 1e-9)
        assert (inside == (localisation[:, column] > threshold)).all()
