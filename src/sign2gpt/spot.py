"""Sign spotting: from the localisation E to signs with a start and an end (section 4.4).

Shapes: T sign tokens, V pseudo-glosses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

THRESHOLD = 0.2
"""The paper's threshold on E, and on its sum over time (figures 4 to 6, Table 8)."""


@dataclass(frozen=True)
class SpottedSign:
    """A word and the place in the video where it was seen.

    Attributes:
        start, end: in seconds from the clip's start.
        score: how much of the word's evidence lies there, the sum of E over its tokens, at most 1.
            (The threshold is for E of each token; their sum is higher.)
    """

    word: str
    start: float
    end: float
    score: float


def spot_signs(
    localisation: np.ndarray,
    words: Sequence[str],
    seconds_per_token: float,
    duration: float,
    threshold: float = THRESHOLD,
) -> list[SpottedSign]:
    """The runs of tokens in which a word's E is above the threshold, in order of time.

    A token stands for the span of frames around its own: token t covers the time from
    ``(t - 1/2)`` to ``(t + 1/2)`` times ``seconds_per_token``, cut at the clip's ends.

    Args:
        localisation: E, (T, V).
        words: the V pseudo-glosses.
        seconds_per_token: time from one token to the next.
        duration: the clip's length in seconds.

    Returns:
        One entry a run, with the sum of E over it as its score (at most 1).
    """
    import numpy as np  # not above: the command line reads the threshold for its --help

    above = np.asarray(localisation) > threshold
    edges = np.diff(np.pad(above.astype(np.int8), ((1, 1), (0, 0))), axis=0)
    signs = []
    for column in np.flatnonzero(above.any(axis=0)):
        starts = np.flatnonzero(edges[:, column] == 1)
        ends = np.flatnonzero(edges[:, column] == -1)
        for first, past in zip(starts, ends, strict=True):
            signs.append(
                SpottedSign(
                    word=words[column],
                    start=float(max(0.0, (first - 0.5) * seconds_per_token)),
                    end=float(min(duration, (past - 0.5) * seconds_per_token)),
                    score=float(localisation[first:past, column].sum()),
                )
            )
    return sorted(signs, key=lambda sign: (sign.start, sign.word))
