"""Verbs that make and look at corpora."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sign2gpt.cli.app import CORPORA, app
from sign2gpt.synth import CLIPS


@app.command(rich_help_panel=CORPORA)
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
    language: Annotated[
        str, typer.Option(help="Of the grammar's sentences, de or en; same videos.")
    ] = "de",
) -> None:
    """Make a signed-language corpus: drawn signers, weather sentences, ground truth."""
    from sign2gpt.progress import progress_bar
    from sign2gpt.synth.corpus import make_corpus

    with progress_bar("Drawing clips") as advance:
        store = make_corpus(
            out,
            clips=clips,
            seed=seed,
            workers=workers,
            annotations=annotations,
            progress=advance,
            language=language,
        )
    print(f"The corpus is in {store}.")
