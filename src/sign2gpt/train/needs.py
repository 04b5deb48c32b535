"""What a run needs that is not on this machine: found before any work, and all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from sign2gpt.data.store import lists_clips
from sign2gpt.errors import UserError
from sign2gpt.text.taggers import load_tagger
from sign2gpt.text.word_vectors import require_vectors
from sign2gpt.train.build import start_of
from sign2gpt.train.frozen_models import look_up
from sign2gpt.train.recipe import Recipe, Stage


def missing(recipe: Recipe) -> list[str]:
    """A sentence for each thing that the recipe names and that is not there, and how to get it.

    Frozen models that the Hub has are fetched by the run itself, where there is a network.
    """
    parts = {"vision": recipe.vision}
    if recipe.stage is Stage.translate and recipe.language is not None:
        parts["language"] = recipe.language
    models = [look_up(name, part) for part, name in parts.items()]
    return [*_files(recipe), *(model.lacking() for model in models if not model.complete)]


def require_files(recipe: Recipe) -> None:
    """Raise `UserError` unless store, start, word vectors and tagger are there."""
    lacking = list(_files(recipe))
    if lacking:
        raise UserError(" ".join(lacking))


def _files(recipe: Recipe) -> Iterator[str]:
    """What the checks of all these have to say."""
    checks: list[Callable[[], object]] = [
        lambda: _require_store(recipe.store),
        lambda: start_of(recipe),
    ]
    if recipe.stage is Stage.pretrain:
        words = recipe.pseudo_glosses
        if words.vectors != "corpus":
            checks.append(lambda: require_vectors(words.vectors))
        checks.append(lambda: load_tagger(words.tagger))
    for check in checks:
        try:
            check()
        except UserError as error:
            yield str(error)


def _require_store(store: str) -> None:
    if not lists_clips(store):
        there = "has no manifest" if Path(store).is_dir() else "is no folder"
        state = there if Path(store).exists() else "does not exist"
        raise UserError(
            f"The store folder {store} {state}; make it with `sign2gpt prepare` (the demo's with "
            "`sign2gpt demo`), or name another with store=FOLDER."
        )
