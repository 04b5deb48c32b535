"""Writes docs/demo.md from the scores of finished demo runs.

Usage: python docs/make_demo_page.py MACHINE RUN...
"""

import json
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

HEAD = """# The demo, measured

{runs} runs of `sign2gpt demo`, seeds {seeds}, each with a corpus of its own. The settings are those
of `recipes/demo`, chosen on dev of a corpus of another seed (7) and frozen before any of these test
splits was looked at; each was scored once. Machine: {machine}. Mean and standard deviation over the
seeds.

Made by `python docs/make_demo_page.py MACHINE {folders}`.
"""


def value(scores: dict[str, Any], keys: tuple[str, ...]) -> float:
    for key in keys:
        scores = scores[key]
    return float(scores)  # type: ignore[arg-type]


def row(title: str, runs: list[dict[str, Any]], paths: list[tuple[str, ...]], digits: int) -> str:
    cells = []
    for path in paths:
        values = [value(run, path) for run in runs]
        spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
        cells.append(f"{mean(values):.{digits}f}{spread}")
    return f"| {title} | " + " | ".join(cells) + " |"


def page(folders: list[Path], machine: str) -> str:
    runs = [json.loads((f / "report" / "scores.json").read_text(encoding="utf-8")) for f in folders]
    seeds = [json.loads((f / "demo.json").read_text())["seed"] for f in folders]
    clips = runs[0]["clips"]
    lines = [
        HEAD.format(
            runs=len(runs),
            seeds=", ".join(map(str, seeds)),
            machine=machine,
            folders=" ".join(map(str, folders)),
        ),
        "## Translation of unseen clips, BLEU-4 of generated text",
        "",
        f"| setting | all ({clips['all']}) | seen signers ({clips['seen']}) "
        f"| unseen signers ({clips['unseen']}) | ROUGE-L |",
        "|---|---|---|---|---|",
    ]
    for setting in runs[0]["settings"]:
        paths = [("settings", setting, g, "bleu4") for g in ("all", "seen", "unseen")]
        lines.append(row(setting, runs, [*paths, ("settings", setting, "all", "rouge_l")], 1))
    lines += ["", "## Controls", "", "| | BLEU-4 |", "|---|---|"]
    lines += [row(name, runs, [("controls", name)], 1) for name in runs[0]["controls"]]
    lines += [
        row(
            "right content, a wording drawn from the grammar (ceiling)",
            runs,
            [("paraphrase_ceiling", "bleu4")],
            1,
        ),
        row("share of the ceiling reached", runs, [("paraphrase_ceiling", "share_reached")], 2),
        "",
        "## Pseudo-glosses and spotting",
        "",
        "| sign features | precision | recall | F1 | time-IoU | random time-IoU |",
        "|---|---|---|---|---|---|",
    ]
    for stage in ("stage 1", "stage 2"):
        parts = [("presence", name) for name in ("precision", "recall", "f1")]
        parts += [("localisation", "mean_iou"), ("localisation_random", "mean_iou")]
        lines.append(row(stage, runs, [("spotting", stage, *part) for part in parts], 2))
    lines += ["", runs[0]["spotting"]["rule"], "", "## Time and memory", "", "| | seconds |"]
    lines += ["|---|---|"]
    lines += [row(step, runs, [("seconds", step)], 0) for step in runs[0]["seconds"]]
    total = [sum(run["seconds"].values()) for run in runs]
    lines.append(f"| **all** | **{mean(total):.0f}** |")
    lines += ["", f"Peak memory: {max(run['peak_memory_gb'] for run in runs):.1f} GB.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    machine, *given = sys.argv[1:]
    Path(__file__).with_name("demo.md").write_text(
        page([Path(name) for name in given], machine), encoding="utf-8"
    )
