"""What a run needs that is not on this machine: found before any work, and all of it at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sign2gpt.data.store import is_store
from sign2gpt.errors import UserError
from sign2gpt.model.hub import is_name, weight_files
from sign2gpt.model.provenance import locate_source
from sign2gpt.text.taggers import load_tagger
from sign2gpt.train.recipe import Recipe, Stage

FASTTEXT = "https://dl.fbaipublicfiles.com/fasttext/vectors-crawl"


def missing(recipe: Recipe) -> list[str]:
    """A sentence for each thing that the recipe names and that is not there, and how to get it.

    Frozen models that the Hub has are fetched by the run itself, where there is a network.
    """
    return [*_files(recipe), *_frozen_models(recipe)]


def require_files(recipe: Recipe) -> None:
    """Raise `UserError` unless store, start, word vectors and tagger are there."""
    lacking = list(_files(recipe))
    if lacking:
        raise UserError(" ".join(lacking))


def _files(recipe: Recipe) -> Iterator[str]:
    if not is_store(recipe.store):
        yield (
            f"The store folder {recipe.store} does not exist; make it with `sign2gpt prepare`, or "
            "name another with store=FOLDER."
        )
    start = recipe.start_from
    if start and not (Path(start) / "config.json").is_file():
        yield (
            f"There is no trained model in {start} to start from; train it first, or correct the "
            "recipe's key `start_from`."
        )
    if recipe.stage is not Stage.pretrain:
        return
    vectors = recipe.pseudo_glosses.vectors
    if vectors != "corpus" and not Path(vectors).is_file():
        yield (
            f"The word vectors {vectors} are not there; download them ({_vectors_address(vectors)})"
            " and unpack them, or train some on the sentences with pseudo_glosses.vectors=corpus."
        )
    try:
        load_tagger(recipe.pseudo_glosses.tagger)
    except UserError as error:
        yield str(error)


def _frozen_models(recipe: Recipe) -> Iterator[str]:
    names = [recipe.vision] if recipe.stage is Stage.pretrain else [recipe.vision, recipe.language]
    for name in names:
        if name is None:
            continue
        try:
            place = locate_source(name)
        except UserError as error:  # its package is not installed
            yield str(error)
            continue
        if place is None and is_name(name):
            yield (
                f"The model {name} is not here; the run fetches it, or `sign2gpt models --fetch "
                f"{name}` does."
            )
        elif place is None or not weight_files(place):
            yield f"The model {name} is not here, or not whole; correct its path."


def _vectors_address(vectors: str) -> str:
    name = Path(vectors).name
    return f"{FASTTEXT}/{name}.gz" if name.startswith("cc.") else "https://fasttext.cc"
