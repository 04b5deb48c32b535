"""Verbs that use a trained model and score what it says."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sign2gpt.cli.app import (
    USE,
    JsonFlag,
    LanguageOption,
    PrecisionOption,
    SentencesOption,
    VisionOption,
    app,
    new_place,
    print_json,
    sentences_of,
)
from sign2gpt.errors import UserError
from sign2gpt.spot import THRESHOLD

if TYPE_CHECKING:
    from sign2gpt.metrics import TranslationScores

# Memory and time grow with the width, and translations get worse, not better, long before this.
MOST_BEAMS = 64
BeamsOption = Annotated[int, typer.Option(min=1, max=MOST_BEAMS, help="Width of the beam search.")]


@app.command(rich_help_panel=USE)
def translate(
    clips: Annotated[list[Path], typer.Argument(help="Videos, GIFs or folders of frames.")],
    model: Annotated[Path, typer.Option(help="A trained model's folder.")] = Path(
        "runs/demo/translate"
    ),
    beams: BeamsOption = 4,
    threshold: Annotated[
        float,
        typer.Option(min=0, max=1, help="A sign is seen where the model's E is above this."),
    ] = THRESHOLD,
    fps: Annotated[
        float | None, typer.Option(help="Frames a second of a folder of frames; 25 if not given.")
    ] = None,
    vision: VisionOption = None,
    language: LanguageOption = None,
    precision: PrecisionOption = None,
    only_tokens_of: SentencesOption = None,
    elan: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write a file for ELAN to for each clip: its sentence and signs.",
            metavar="FOLDER",
            parser=new_place,
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Translate videos of a person signing, and say where in the video each sign was seen."""
    from transformers.utils import logging

    from sign2gpt.elan import elan_files, write_elan
    from sign2gpt.translate import Translator

    _require_clips(clips, fps)  # before a model is loaded
    files = [None] * len(clips) if elan is None else elan_files(clips, elan)
    logging.disable_progress_bar()  # loading takes a moment and has nothing to say
    translator = Translator.from_pretrained(
        model, vision, language, precision, sentences_of(only_tokens_of)
    )
    results, failures = [], []
    for clip, file in zip(clips, files, strict=True):
        try:
            result = translator.translate(
                clip, num_beams=beams, threshold=threshold, source_fps=fps
            )
        except UserError as error:
            failures.append(str(error))
            print(f"sign2gpt: {error}", file=sys.stderr)
            continue
        results.append({"clip": str(clip), **result.as_dict()})
        if result.damaged:
            _say_damaged(clip, result.damaged[0])
        if file is not None:
            write_elan(file, clip, result)
        if not as_json:
            print(result.as_text(str(clip) if len(clips) > 1 else None))
    if as_json:
        print_json(results)
    if failures:
        raise typer.Exit(2)


def _require_clips(clips: list[Path], fps: float | None) -> None:
    """Raise UserError where no clip is there, or where a rate is given that none of them takes."""
    there = [clip for clip in clips if clip.exists()]
    if not there:
        raise UserError(f"There is no clip at {clips[0]}; check the path.")
    if fps is None:
        return
    if not 0 < fps < math.inf:
        raise UserError(f"--fps is {fps}; give a number of frames a second, above 0.")
    if not any(clip.is_dir() for clip in there):
        raise UserError(f"--fps is for folders of frames; {there[0]} knows its own: leave it out.")


def _say_damaged(clip: Path, first: float) -> None:
    """`first`: seconds into the clip."""
    print(
        f"sign2gpt: The clip {clip} is damaged, first at {first:.2f} s: what is signed from there "
        "on may be read wrongly; copy or download it again.",
        file=sys.stderr,
    )


@app.command(rich_help_panel=USE)
def evaluate(
    context: typer.Context,
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
    beams: BeamsOption = 4,
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
    vision: VisionOption = None,
    language: LanguageOption = None,
    precision: PrecisionOption = None,
    only_tokens_of: SentencesOption = None,
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
        of_a_model = ["split", "beams", "out", "vision", "language", "precision", "only_tokens_of"]
        for name in of_a_model:
            if context.get_parameter_source(name).name != "DEFAULT":
                option = "--" + name.replace("_", "-")
                raise UserError(f"{option} is for the sentences of a --model; leave it out.")
        said, meant, control = read_lines(hypotheses), read_lines(references), None
        if blank := next((n for n, text in enumerate(meant, 1) if not text.strip()), None):
            raise UserError(
                f"Line {blank} of {references} is empty, and nothing can be scored against it; "
                "give a reference a line."
            )
    elif model and store and not (hypotheses or references):
        said, meant, control = _translate_split(
            model,
            store,
            split,
            num_beams=beams,
            out=out,
            vision=vision,
            language=language,
            precision=precision,
            sentences=sentences_of(only_tokens_of),
        )
    else:
        raise UserError("Give --hypotheses and --references, or --model and --store.")
    if characters:
        said, meant = ([spaced_characters(text) for text in texts] for texts in (said, meant))
        control = control and [spaced_characters(text) for text in control]
    scores = bleu_rouge(said, meant, convention)
    shuffled_bleu4 = control and bleu_rouge(control, meant, convention).bleu4
    if as_json:
        print_json(asdict(scores) | ({} if control is None else {"shuffled_bleu4": shuffled_bleu4}))
    else:
        print(f"{len(said):,} sentences")
        _print_scores(scores, shuffled_bleu4)


def _print_scores(scores: TranslationScores, shuffled_bleu4: float | None) -> None:
    for name in ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l"):
        print(f"{name:<8}{getattr(scores, name):8.2f}")
    if shuffled_bleu4 is not None:
        print(f"bleu4 of sentences given to other clips: {shuffled_bleu4:.2f}")
    print(scores.signature)


def _translate_split(
    model: Path, store: Path, split: str, **options: Any
) -> tuple[list[str], list[str], list[str]]:
    """What the model says, what is meant, and the same sentences given to other clips."""
    from transformers.utils import logging

    from sign2gpt.evaluate.predict import shuffled, translate_split
    from sign2gpt.progress import progress_bar

    logging.disable_progress_bar()  # loading takes a moment and has nothing to say
    with progress_bar("Translating") as advance:
        said, meant = translate_split(model, store, split, **options, progress=advance)
    return said, meant, shuffled(said)


@app.command(rich_help_panel=USE)
def export(
    model: Annotated[Path, typer.Argument(help="A trained model's folder.", show_default=False)],
    out: Annotated[
        Path,
        typer.Argument(help="The new folder to write.", show_default=False, parser=new_place),
    ],
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

    Only --fetch uses the network: it takes weights that torch reads, settings and tokenizers.
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
