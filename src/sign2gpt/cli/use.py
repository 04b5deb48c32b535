"""Verbs that use a trained model and score what it says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sign2gpt.cli.app import USE, JsonFlag, LanguageOption, VisionOption, app, print_json
from sign2gpt.errors import UserError


@app.command(rich_help_panel=USE)
def translate(
    clips: Annotated[list[Path], typer.Argument(help="Videos, GIFs or folders of frames.")],
    model: Annotated[Path, typer.Option(help="A trained model's folder.")] = Path(
        "runs/demo/translate"
    ),
    beams: Annotated[int, typer.Option(min=1, help="Width of the beam search.")] = 4,
    fps: Annotated[
        float | None, typer.Option(help="Frames a second of a folder of frames; 25 if not given.")
    ] = None,
    vision: VisionOption = None,
    language: LanguageOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Translate videos of a person signing, and say where in the video each sign was seen."""
    from transformers.utils import logging

    from sign2gpt.translate import Translator

    logging.disable_progress_bar()  # loading takes a moment and has nothing to say
    translator = Translator.from_pretrained(model, vision, language)
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
        print_json(results)
    if failures:
        raise typer.Exit(2)


@app.command(rich_help_panel=USE)
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
        print_json(asdict(scores))
        return
    for name in ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l"):
        print(f"{name:<8}{getattr(scores, name):8.2f}")
    print(scores.signature)


@app.command(rich_help_panel=USE)
def export(
    model: Annotated[Path, typer.Argument(help="A trained model's folder.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="The new folder to write.", show_default=False)],
    dtype: Annotated[
        str | None,
        typer.Option(help="float32, bfloat16 or float16; as it was saved if not given."),
    ] = None,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge",
            help="Merge the vision model's adapters into its weights. The language model's stay: "
            "one of its weights serves two adapters, so that no merged one is right for both.",
        ),
    ] = False,
    vision: VisionOption = None,
    language: LanguageOption = None,
) -> None:
    """Write a trained model whole into one folder, its frozen models inside.

    A trained model's own folder holds what was trained and names its frozen models; an exported one
    needs nothing else.
    """
    from transformers.utils import logging

    from sign2gpt.export import export_model

    logging.disable_progress_bar()
    export_model(model, out, dtype=dtype, merge=merge, vision=vision, language=language)
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"The whole model is in {out} ({size / 1e6:,.0f} MB).")


@app.command(rich_help_panel=USE)
def models(
    fetch: Annotated[
        str | None,
        typer.Option(help="Download this model from the Hub; a broken-off download goes on."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say which frozen models the shipped recipes need, their licences, and where they lie.

    Only --fetch uses the network, and takes safetensors, JSON and tokenizer files alone.
    """
    from dataclasses import asdict

    from sign2gpt.train.frozen_models import fetch_model, needed_models

    if fetch is not None:
        print(f"The model {fetch} is in {fetch_model(fetch)}.")
        return
    found = needed_models()
    if as_json:
        print_json([asdict(model) for model in found])
        return
    print("\n".join(model.as_text() for model in found))
