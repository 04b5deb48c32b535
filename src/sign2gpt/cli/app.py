"""The command's root and what its verbs share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sign2gpt.errors import UserError
from sign2gpt.model.precision import Precision
from sign2gpt.train.recipe_file import shipped_recipes

app = typer.Typer(
    help="Sign-language video in, spoken-language sentence out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # a paragraph is filled, not broken where the source is
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"sign2gpt {version('sign2gpt')}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print it, and end."
        ),
    ] = False,
) -> None:
    """Sign-language video in, spoken-language sentence out."""


CORPORA, TRAINING, USE = "Corpora", "Training", "Use"
"""Under which heading of ``--help`` a verb stands."""

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
RecipeArgument = Annotated[
    str,
    typer.Argument(
        help=f"A recipe file, or the name of a shipped one: {', '.join(shipped_recipes())}.",
        show_default=False,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Overrides of recipe keys, e.g. training.learning_rate=1e-3."),
]
VisionOption = Annotated[
    str | None,
    typer.Option(help="Where the frozen vision model lies now, if not where the model says."),
]
LanguageOption = Annotated[
    str | None,
    typer.Option(help="Where the frozen language model lies now, if not where the model says."),
]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option(
        help="In what the weights are held; int8 and nf4 (8 and 4 bits) are of the language model "
        "alone, the rest is bfloat16 then; nf4 is for GPUs. As in training if not given.",
        show_default=False,
    ),
]
SentencesOption = Annotated[
    Path | None,
    typer.Option(
        "--only-tokens-of",
        help="A store (its train split) or a file, a sentence a line: the model says only tokens "
        "of these. Faster where the vocabulary is large; no other word can be said.",
        show_default=False,
    ),
]


def sentences_of(source: Path | None) -> list[str] | None:
    """What `SentencesOption` names; None where it is not given."""
    if source is None:
        return None
    if source.exists() and not source.is_dir():
        from sign2gpt.metrics import read_lines

        return read_lines(source)
    from sign2gpt.data.store import open_store

    return [row.text for row in open_store(source).rows("train")]


def new_place(text: str) -> Path:
    """Where a verb is to write; ``new/../name`` makes no folder ``new``.

    Raises UserError for nothing, which would be the current folder, and for bytes that are no text.
    """
    if not text.strip():
        raise UserError("The place to write to is empty; name a folder (. is the current one).")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"The name {text!r} is not UTF-8; name another folder.") from error
    place = Path(text)
    return place.resolve() if ".." in place.parts else place


def print_json(value: Any) -> None:
    """Indented, and readable in any language."""
    print(json.dumps(value, ensure_ascii=False, indent=2))
