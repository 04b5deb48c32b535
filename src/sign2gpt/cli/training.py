"""Verbs that train: the demo, a recipe's run, its sizes, the demo's frozen models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sign2gpt.cli.app import TRAINING, JsonFlag, Overrides, RecipeArgument, app, print_json
from sign2gpt.files import check_output

if TYPE_CHECKING:
    from sign2gpt.train.recipe import Recipe


@app.command(rich_help_panel=TRAINING)
def demo(
    out: Annotated[Path, typer.Option(help="Where everything is written.")] = Path("runs/demo"),
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of the corpus and of the training.")
    ] = 0,
) -> None:
    """Learn an invented sign language from nothing and translate videos never seen.

    Makes a corpus of drawn signers, takes pseudo-glosses from its sentences, pretrains on them,
    trains the translation, scores it on unseen clips and writes a report. Stopped half-way and
    started again, it goes on where it was.
    """
    from sign2gpt.demo import run_demo

    run_demo(out, seed)


@app.command(rich_help_panel=TRAINING)
def train(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the recipe and say how large the run would be.")
    ] = False,
) -> None:
    """Run one training stage from a recipe; run again, it goes on from its last checkpoint."""
    from sign2gpt.progress import progress_bar
    from sign2gpt.train import run
    from sign2gpt.train.recipe_file import load_recipe

    loaded = load_recipe(recipe, overrides or [])
    if dry_run:
        _print_plan(loaded)
        return
    with progress_bar("Training") as advance:
        folder = run(loaded, progress=advance)
    print(f"The trained model is in {folder}{_best_score(folder)}.")


def _best_score(folder: Path) -> str:
    """The dev score that the best epoch was chosen by, where the training's log has it."""
    import json

    try:
        state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
        last = [entry for entry in state["log_history"] if "eval_loss" in entry]
        names = [name for name in ("f1", "bleu4") if f"eval_{name}" in last[-1]]
        return f" (best {names[0]} on dev: {state['best_metric']:.3g})"
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _print_plan(recipe: Recipe) -> None:
    from sign2gpt.train.sizes import plan

    planned = plan(recipe)
    _print_parameters(planned.parameters)
    counts = ", ".join(f"{count:,} of {split}" for split, count in planned.clips.items())
    print(f"Clips   {counts or 'not known yet'}")
    if planned.steps:
        print(f"Steps   {planned.steps:,}")
    print(f"Batch   clips of {planned.frames} sampled frames")
    for name, shape in planned.shapes.items():
        print(f"        {name:<34}{', '.join(f'{size:,}' for size in shape)}")
    print(
        f"Memory  about {_size(planned.whole_gb)} of a GPU: {_size(planned.weights_gb)} of "
        f"weights, {_size(planned.training_gb - planned.weights_gb)} of gradients and optimiser, "
        f"{_size(planned.activations_gb)} of activations, {_size(planned.passing_gb)} for a moment"
    )
    if planned.translation_gb:
        print(f"        to translate one such clip: {_size(planned.translation_gb)}")
    for card, clips in planned.batches.items():
        held = f"a batch of {clips:,}" if clips else "not one clip"
        print(f"        a card of {card:>2} GB holds {held}")
    for lacking in planned.missing:
        print(f"Lacks   {lacking}")


def _size(gigabytes: float) -> str:
    return f"{gigabytes:.1f} GB" if gigabytes >= 0.1 else f"{1000 * gigabytes:.0f} MB"


def _print_parameters(table: dict[str, tuple[int, int]]) -> None:
    print(f"{'':<20}{'parameters':>16}{'trainable':>16}")
    for name, (total, trainable) in table.items():
        print(f"{name:<20}{total:>16,}{trainable:>16,}")


@app.command(rich_help_panel=TRAINING)
def params(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    as_json: JsonFlag = False,
) -> None:
    """Count a recipe's parameters, all and trainable, by component; nothing is downloaded."""
    from sign2gpt.train.recipe_file import load_recipe
    from sign2gpt.train.sizes import parameter_table

    table = parameter_table(load_recipe(recipe, overrides or []))
    if as_json:
        print_json({name: {"total": n, "trainable": t} for name, (n, t) in table.items()})
        return
    _print_parameters(table)


@app.command(rich_help_panel=TRAINING)
def priors(
    out: Annotated[Path, typer.Argument(help="Folder the two small models are written to.")],
    pictures: Annotated[int, typer.Option(min=512, help="Drawn pictures to learn from.")] = 153600,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the pictures.")] = 8,
    language_steps: Annotated[int, typer.Option(min=1, help="Batches of 32 documents.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of everything drawn at random.")] = 0,
) -> None:
    """Make the demo's two small frozen models again: a vision model of poses, a language model.

    Those that come with the package were made with the defaults: 45 minutes on one core.
    """
    from sign2gpt.progress import add_bar, progress_display
    from sign2gpt.train.priors import make_language_prior, make_vision_prior

    vision, language = out / "pose-vit", out / "weather-xglm"
    for folder in (vision, language):
        check_output(folder)
    with progress_display() as progress:
        bar = add_bar(progress, "Vision model")
        make_vision_prior(vision, pictures, epochs, seed, bar)
        bar = add_bar(progress, "Language model")
        make_language_prior(language, language_steps, seed, bar)
    print(f"The two models are in {out}.")
