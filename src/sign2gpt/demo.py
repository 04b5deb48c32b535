"""The whole way at small size: corpus, two training stages, scores, report, three translations.

Each step leaves its result in the output folder and is skipped when that is there, so a demo that
was stopped goes on where it was.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sign2gpt.errors import UserError
from sign2gpt.files import alone_in, check_output, reading, write_json
from sign2gpt.progress import Advance, add_bar, progress_display
from sign2gpt.synth import CLIPS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from sign2gpt.train.recipe import Recipe

RECIPE_FOLDER = "runs/demo"  # where the shipped recipes of the demo write
STAGES = {
    "pretrain": "Stage 1: pseudo-gloss pretraining",
    "translate-frozen-z": "Stage 2: Sign(Z)2GPT(w/PGP)",
    "translate": "Stage 2: Sign2GPT(w/PGP)",
    "translate-from-scratch": "Stage 2: Sign2GPT, no pretraining",
}
FINAL = "translate"


def run_demo(out: Path, seed: int = 0, clips: int = CLIPS, overrides: tuple[str, ...] = ()) -> Path:
    """Run the demo, or what is left of it, and print what it came to.

    Args:
        out: folder that everything is written to.
        seed: of the corpus and of the training.
        clips: size of the corpus, all splits together.
        overrides: recipe overrides applied to every stage.

    Returns:
        The report's folder.

    Raises:
        UserError: `out` holds a demo made with other settings, or cannot be written to.
    """
    check_output(out)
    _same_settings(out, {"seed": seed, "clips": clips, "overrides": list(overrides)})
    refusal = f"Another demo is running in {out}; wait for it, or name another folder with --out."
    with alone_in(out, refusal):
        return _run_demo(out, seed, clips, overrides)


def _run_demo(out: Path, seed: int, clips: int, overrides: tuple[str, ...]) -> Path:
    """`run_demo` in a folder that nobody else writes to."""
    result = out / "report" / "scores.json"
    if result.is_file():
        with reading(result, "delete it, and the same call makes it again"):
            _print_summary(out, json.loads(result.read_text(encoding="utf-8")))
        return out / "report"
    with progress_display() as progress:
        step = _Steps(out / "timings.json", progress)
        with step("Drawing the corpus") as advance:
            from sign2gpt.synth.corpus import make_corpus

            store = make_corpus(out / "corpus", clips=clips, seed=seed, progress=advance)
        from sign2gpt.train import run

        for name, title in STAGES.items():
            with step(title) as advance:
                run(demo_recipe(name, out, seed, overrides), progress=advance)
        from sign2gpt.evaluate.demo_scores import score_demo

        with step("Scoring unseen clips") as advance:
            scores = score_demo(out, store, {n: out / n for n in STAGES}, seed, advance)
        scores["seconds"] = step.seconds
        scores["peak_memory_gb"] = _peak_memory_gb()
        write_json(result, scores)
    _print_summary(out, scores)
    return out / "report"


def demo_recipe(name: str, out: Path, seed: int, overrides: tuple[str, ...] = ()) -> Recipe:
    """A shipped recipe of the demo, moved to another output folder."""
    from sign2gpt.train.recipe_file import load_recipe

    recipe = load_recipe(f"demo/{name}", [f"training.seed={seed}", *overrides])

    def moved(path: str | None) -> str | None:
        return path and path.replace(RECIPE_FOLDER, str(out), 1)

    return replace(
        recipe,
        store=str(moved(recipe.store)),
        output=str(moved(recipe.output)),
        start_from=moved(recipe.start_from),
        features=moved(recipe.features),
    )


class _Steps:
    """Steps of a job, each with a bar; their times are kept across interruptions."""

    def __init__(self, file: Path, progress: Progress) -> None:
        self.file, self.progress = file, progress
        self.seconds: dict[str, float] = {}
        if file.is_file():
            with reading(file, "delete it, and times are counted from here on"):
                times = json.loads(file.read_text(encoding="utf-8"))
                self.seconds = {title: float(seconds) for title, seconds in times.items()}

    @contextmanager
    def __call__(self, title: str) -> Iterator[Advance]:
        advance = add_bar(self.progress, title)
        before, begin = self.seconds.get(title, 0.0), time.monotonic()
        try:
            yield advance
        finally:
            self.seconds[title] = round(before + time.monotonic() - begin, 1)
            write_json(self.file, self.seconds)
        advance(1, 1)


def _same_settings(out: Path, settings: dict[str, Any]) -> None:
    file = out / "demo.json"
    there = settings
    if file.is_file():
        with reading(file, "delete it if that demo had these settings, or name another folder"):
            there = json.loads(file.read_text(encoding="utf-8"))
    if there != settings:
        raise UserError(
            f"The folder {out} holds a demo with other settings ({file.name} says which); give "
            "this one another folder with --out, or remove that one."
        )
    out.mkdir(parents=True, exist_ok=True)
    write_json(file, settings)


def _peak_memory_gb() -> float:
    """Largest resident memory of this process, and of its largest child, in GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = sum(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return round(peak * unit / 1e9, 2)


def _print_summary(out: Path, scores: dict[str, Any]) -> None:
    """All of it, or nothing where the scores are not whole."""
    from rich.console import Console

    console = Console()
    with console.capture() as summary:
        _show_summary(console, out, scores)
    print(summary.get(), end="")


def _show_summary(console: Console, out: Path, scores: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title="BLEU-4 of generated text, unseen test clips")
    for column in ("setting", "all", "seen signers", "unseen signers"):
        table.add_column(column, justify="left" if column == "setting" else "right")
    for name, by_signer in scores["settings"].items():
        cells = (f"{by_signer[group]['bleu4']:.1f}" for group in ("all", "seen", "unseen"))
        table.add_row(name, *cells)
    console.print(table)
    controls, spotting = scores["controls"], scores["spotting"]["stage 1"]
    ceiling = scores["paraphrase_ceiling"]["bleu4"]
    console.print(
        f"Right content in a wording drawn from the grammar, a ceiling: {ceiling:.1f}. Sentences "
        f"of other clips: {controls['shuffled videos']:.1f}. Blank videos: "
        f"{controls['blank videos']:.1f}.\nSigns, which no gloss taught: F1 "
        f"{spotting['presence']['f1']:.2f} of what is there, time-IoU "
        f"{spotting['localisation']['mean_iou']:.2f} of where (at random "
        f"{spotting['localisation_random']['mean_iou']:.2f}).",
        highlight=False,
    )
    for example in scores["examples"]:
        console.print(f"\n[bold]{example['clip']}[/bold]")
        console.print(f"  reference    {example['reference']}")
        console.print(f"  translation  {example['hypothesis']}")
    console.print(f"\nThe report: {out / 'report' / 'index.html'}")
    console.print("Try next:")
    command = str(scores["command"])
    if shutil.which("sign2gpt") is None and Path(sys.argv[0]).name == "sign2gpt":
        command = command.replace("sign2gpt", sys.argv[0], 1)  # as it was called, say by make
    console.print(f"  {command}", soft_wrap=True, highlight=False)
