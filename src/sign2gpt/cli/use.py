"""Verbs that use a trained model and score what it says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sign2gpt.cli.app import USE, JsonFlag, app, print_json
from sign2gpt.errors import UserError
from sign2gpt.spot import THRESHOLD

# Memory and time grow with the width, and translations get worse, not better, long before this.
MOST_BEAMS = 64


@app.command(rich_help_panel=USE)
def translate(
    clips: Annotated[list[Path], typer.Argument(help="Videos, GIFs or folders of frames.")],
    model: Annotated[Path, typer.Option(help="A trained model's folder.")] = Path(
        "runs/demo/translate"
    ),
    beams: Annotated[
        int, typer.Option(min=1, max=MOST_BEAMS, help="Width of the beam search.")
    ] = 4,
    threshold: Annotated[
        float,
        typer.Option(min=0, max=1, help="A sign is seen where the model's E is above this."),
    ] = THRESHOLD,
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
            result = translator.translate(
                clip, num_beams=beams, threshold=threshold, source_fps=fps
            )
        except UserError as error:
            failures.append(str(error))
            print(f"sign2gpt: {error}", file=sys.stderr)
            continue
        results.append({"clip": str(clip), **result.as_dict()})
        if not as_json:
            print(result.as_text(str(clip) if len(clips) > 1 else None))
    if as_json:
        print_json(results)
    if failures:
        raise typer.Exit(2)


@app.command(rich_help_panel=USE)
def evaluate(
    hypotheses: Annotated[
        Path | None, typer.Option(help="One generated sentence a line; with --references.")
    ] = None,
    references: Annotated[
        Path | None, typer.Option(help="One reference a line, same order.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="A trained model's folder; with --store, in their place.")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="A store whose clips are translated.")] = None,
    split: Annotated[str, typer.Option(help="The store's split.")] = "test",
    beams: Annotated[int, typer.Option(min=1, max=64, help="Width of the beam search.")] = 4,
    characters: Annotated[
        bool, typer.Option("--characters", help="Score by character, as CSL-Daily is.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="With --model: write the sentences to hypotheses.txt and references.txt"),
    ] = None,
    convention: Annotated[
        str,
        typer.Option(
            help="paper: as the field's published scores, BLEU of texts as they are (tok:none), 0 "
            "where an n-gram order has no match. sacrebleu: its defaults (tok:13a, smooth:exp)."
        ),
    ] = "paper",
    as_json: JsonFlag = False,
) -> None:
    """Score translations: BLEU-1 to 4 and ROUGE-L, with the signature that reproduces them.

    Either two files of sentences, or a model over a store's split: then the text is generated, and
    the references are the manifest's raw sentences. A control is scored beside it: each sentence
    against another clip's reference.
    """
    from dataclasses import asdict

    from sign2gpt.metrics import bleu_rouge, read_lines, spaced_characters

    if hypotheses and references and not (model or store):
        said, meant, control = read_lines(hypotheses), read_lines(references), None
    elif model and store and not (hypotheses or references):
        said, meant, control = _translate_split(model, store, split, beams, out)
    else:
        raise UserError("Give --hypotheses and --references, or --model and --store.")
    if characters:
        said, meant = ([spaced_characters(text) for text in texts] for texts in (said, meant))
        control = control and [spaced_characters(text) for text in control]
    scores = bleu_rouge(said, meant, convention)
    shuffled_bleu4 = control and bleu_rouge(control, meant, convention).bleu4
    if as_json:
        print_json(asdict(scores) | ({} if control is None else {"shuffled_bleu4": shuffled_bleu4}))
        return
    for name in ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l"):
        print(f"{name:<8}{getattr(scores, name):8.2f}")
    if control is not None:
        print(f"bleu4 of sentences given to other clips: {shuffled_bleu4:.2f}")
    print(scores.signature)


def _translate_split(
    model: Path, store: Path, split: str, beams: int, out: Path | None
) -> tuple[list[str], list[str], list[str]]:
    """What the model says, what is meant, and the same sentences given to other clips."""
    from transformers.utils import logging

    from sign2gpt.evaluate.predict import shuffled, translate_split
    from sign2gpt.progress import progress_bar

    logging.disable_progress_bar()  # loading takes a moment and has nothing to say
    with progress_bar("Translating") as advance:
        said, meant = translate_split(
            model, store, split, num_beams=beams, out=out, progress=advance
        )
    return said, meant, shuffled(said)
