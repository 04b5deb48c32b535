"""The command line: one verb a job.

Only what ``--help`` needs is imported here; each verb imports its job when it runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sign2gpt.errors import UserError, check_output
from sign2gpt.synth import CLIPS

app = typer.Typer(
    help="Sign-language video in, spoken-language sentence out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Overrides of recipe keys, e.g. training.learning_rate=1e-3."),
]


def main() -> None:
    """Entry point: a user's mistake ends in one sentence and exit code 2."""
    try:
        app()
    except UserError as error:
        # From a data worker the sentence comes behind that process's traceback.
        print(f"sign2gpt: {str(error).rpartition('UserError: ')[2].strip()}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            raise
        reason = f"{error.filename} cannot be used ({error.strerror})"
        print(f"sign2gpt: {reason}; mend or name another one.", file=sys.stderr)
        sys.exit(2)


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where everything is written.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the corpus and of the training.")] = 0,
) -> None:
    """Learn an invented sign language from nothing and translate videos never seen.

    Makes a corpus of drawn signers, takes pseudo-glosses from its sentences, pretrains on them,
    trains the translation, scores it on unseen clips and writes a report. Stopped half-way and
    started again, it goes on where it was.
    """
    from sign2gpt.demo import run_demo

    run_demo(out, seed)


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help="Folder the corpus is written to.")],
    clips: Annotated[int, typer.Option(min=1, help="How many clips, all splits together.")] = CLIPS,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same frames.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: all cores.")
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(help="Sign the orth column of a PHOENIX-layout CSV instead of the grammar."),
    ] = None,
) -> None:
    """Make a signed-language corpus: drawn signers, German weather sentences, ground truth."""
    from sign2gpt.progress import progress_bar
    from sign2gpt.synth.corpus import make_corpus

    with progress_bar("Drawing clips") as advance:
        store = make_corpus(
            out, clips=clips, seed=seed, workers=workers, annotations=annotations, progress=advance
        )
    print(f"The corpus is in {store}.")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped one.")],
    overrides: Overrides = None,
) -> None:
    """Run one training stage from a recipe; run again, it goes on from its last checkpoint."""
    from sign2gpt.progress import progress_bar
    from sign2gpt.train import run
    from sign2gpt.train.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or [])
    with progress_bar("Training") as advance:
        folder = run(loaded, progress=advance)
    print(f"The trained model is in {folder}.")


@app.command()
def params(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped one.")],
    overrides: Overrides = None,
    as_json: JsonFlag = False,
) -> None:
    """Count a recipe's parameters, all and trainable, by component; nothing is downloaded."""
    from sign2gpt.train.recipe import load_recipe
    from sign2gpt.train.sizes import parameter_table

    table = parameter_table(load_recipe(recipe, overrides or []))
    if as_json:
        _print_json({name: {"total": n, "trainable": t} for name, (n, t) in table.items()})
        return
    print(f"{'':<20}{'parameters':>16}{'trainable':>16}")
    for name, (total, trainable) in table.items():
        print(f"{name:<20}{total:>16,}{trainable:>16,}")


@app.command()
def evaluate(
    hypotheses: Annotated[Path, typer.Option(help="One generated sentence a line.")],
    references: Annotated[Path, typer.Option(help="One reference a line, same order.")],
    convention: Annotated[
        str, typer.Option(help="Scoring convention: paper or sacrebleu.")
    ] = "paper",
    as_json: JsonFlag = False,
) -> None:
    """Score translations: BLEU-1 to 4 and ROUGE-L, with the signature that reproduces them."""
    from dataclasses import asdict

    from sign2gpt.metrics import bleu_rouge, read_lines

    scores = bleu_rouge(read_lines(hypotheses), read_lines(references), convention)
    if as_json:
        _print_json(asdict(scores))
        return
    for name in ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l"):
        print(f"{name:<8}{getattr(scores, name):8.2f}")
    print(scores.signature)


@app.command()
def translate(
    clips: Annotated[list[Path], typer.Argument(help="Videos, GIFs or folders of frames.")],
    model: Annotated[Path, typer.Option(help="A trained model's folder.")] = Path(
        "runs/demo/translate"
    ),
    beams: Annotated[int, typer.Option(min=1, help="Width of the beam search.")] = 4,
    fps: Annotated[
        float | None, typer.Option(help="Frames a second of a folder of frames; 25 if not given.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Translate videos of a person signing, and say where in the video each sign was seen."""
    from transformers.utils import logging

    from sign2gpt.translate import Translator

    logging.disable_progress_bar()  # loading takes a moment and has nothing to say
    translator = Translator.from_pretrained(model)
    results, failures = [], []
    for clip in clips:
        try:
            result = translator.translate(clip, num_beams=beams, source_fps=fps)
        except UserError as error:
            failures.append(str(error))
            print(f"sign2gpt: {error}", file=sys.stderr)
            continue
        results.append({"clip": str(clip), **result.as_dict()})
        if not as_json:
            print(result.as_text(str(clip) if len(clips) > 1 else None))
    if as_json:
        _print_json(results)
    if failures:
        raise typer.Exit(2)


@app.command()
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

    check_output(out)
    with progress_display() as progress:
        bar = add_bar(progress, "Vision model")
        make_vision_prior(out / "pose-vit", pictures, epochs, seed, bar)
        bar = add_bar(progress, "Language model")
        make_language_prior(out / "weather-xglm", language_steps, seed, bar)
    print(f"The two models are in {out}.")


if __name__ == "__main__":
    main()
