"""Results as pictures: training curves, and where in a clip each word was found (figure 4)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sign2gpt.metrics import LabelledInterval
from sign2gpt.spot import THRESHOLD

INK, SIGNED, SPOTTED = "#22303c", "#f2a65a", "#2a9d8f"


def draw_losses(runs: Mapping[str, Path], path: Path) -> None:
    """Loss and dev score of each run over its epochs, side by side.

    Args:
        runs: title of each run and the folder that holds its ``trainer_state.json``.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        1, len(runs), figsize=(3.6 * len(runs), 3), squeeze=False, layout="constrained"
    )
    for axis, (title, folder) in zip(axes[0], runs.items(), strict=True):
        history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
        loss = [(entry["epoch"], entry["loss"]) for entry in history if "loss" in entry]
        axis.plot(*zip(*loss, strict=True), color=INK)
        axis.set(title=title, xlabel="epoch", ylabel="training loss")
        score = next((k for k in ("eval_f1", "eval_bleu4") if any(k in e for e in history)), None)
        if score:
            points = [(entry["epoch"], entry[score]) for entry in history if score in entry]
            twin = axis.twinx()
            twin.plot(*zip(*points, strict=True), color=SPOTTED, marker="o", markersize=3)
            twin.set_ylabel({"eval_f1": "dev F1", "eval_bleu4": "dev BLEU-4"}[score], color=SPOTTED)
            twin.set_ylim(bottom=0)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_localisation(
    frames: np.ndarray,
    localisation: np.ndarray,
    words: Sequence[str],
    seconds_per_token: float,
    path: Path,
    truth: Sequence[LabelledInterval] = (),
    threshold: float = THRESHOLD,
) -> None:
    """E of some words over a clip, under the clip's frames, as in the paper's figure 4.

    Args:
        frames: (T*, H, W, 3) uint8, the clip.
        localisation: E of the given words, (T, len(words)).
        words: one row each, from top to bottom.
        seconds_per_token: time from one column of E to the next.
        truth: what was really signed, outlined in the word's row.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    # A column of E stands for half a step either side of its token's time.
    begin, end = -0.5 * seconds_per_token, (len(localisation) - 0.5) * seconds_per_token
    figure, (strip, chart) = plt.subplots(
        2,
        1,
        figsize=(9, 1.4 + 0.3 * len(words)),
        height_ratios=[1.15, 0.3 * len(words)],
        layout="constrained",
        sharex=True,
    )
    shown = np.linspace(0, len(frames) - 1, 10).round().astype(int)
    strip.imshow(np.concatenate(frames[shown], axis=1), aspect="auto", extent=(begin, end, 0, 1))
    strip.set_axis_off()
    chart.imshow(
        localisation.T,
        aspect="auto",
        cmap="gray",
        vmin=0,
        vmax=max(2 * threshold, float(localisation.max(initial=0))),
        extent=(begin, end, len(words) - 0.5, -0.5),
        interpolation="nearest",
    )
    for word, start, stop in truth:
        if word in words:
            row = list(words).index(word)
            place = ((start, row - 0.42), stop - start, 0.84)
            chart.add_patch(plt.Rectangle(*place, fill=False, edgecolor=SIGNED, lw=2))
    chart.set_yticks(range(len(words)), words)
    chart.set_xlabel(
        "seconds (white: E is high; outlined: what was really signed; no outline: found in error)"
    )
    figure.savefig(path, dpi=110)
    plt.close(figure)
