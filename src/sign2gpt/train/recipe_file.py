"""Recipes as files: those that come with the package, overrides, and the copy beside a result."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sign2gpt.errors import UserError
from sign2gpt.train.keys import check_keys, check_values
from sign2gpt.train.recipe import Recipe

if TYPE_CHECKING:
    from yaml import YAMLError

RECIPES = Path(__file__).resolve().parent.parent / "recipes"


def find_recipe(name: str | Path) -> Path:
    """The recipe file for a path, or for a name such as ``demo/pretrain`` of the shipped ones.

    Raises:
        UserError: when neither exists.
    """
    for candidate in (Path(name), RECIPES / name, RECIPES / f"{name}.yaml"):
        if candidate.is_file():
            return candidate
    near = difflib.get_close_matches(str(name), shipped_recipes(), n=1)
    hint = f"did you mean {near[0]}?" if near else f"shipped are {', '.join(shipped_recipes())}."
    raise UserError(f"There is no recipe {name}; {hint}")


def shipped_recipes() -> list[str]:
    """The names of the recipes that come with the package, such as ``demo/pretrain``."""
    paths = (path.relative_to(RECIPES) for path in RECIPES.rglob("*.yaml"))
    return sorted(path.with_suffix("").as_posix() for path in paths)


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, apply ``key=value`` overrides and check every key.

    Args:
        path: a YAML file, or the name of a shipped recipe.
        overrides: dotted assignments, e.g. ``training.learning_rate=1e-3``.

    Raises:
        UserError: unknown key (with the nearest known one), missing key, wrong type, a number out
            of range, unreadable file.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
    from yaml import YAMLError

    path = find_recipe(path)
    layers = []
    for override in (None, *overrides):
        try:
            layer = OmegaConf.load(path) if override is None else OmegaConf.from_dotlist([override])
            unsaid = override is not None and OmegaConf.missing_keys(layer)
        except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
            what = f"The recipe {path}" if override is None else f"The override {override}"
            raise UserError(f"{what} is not readable YAML: {_place_and_reason(error)}.") from error
        if not OmegaConf.is_dict(layer):
            raise UserError(f"The recipe {path} holds no keys; compare it with recipes/demo.")
        if unsaid:
            raise UserError(f"The override {override} gives no value; write one behind the =.")
        check_keys(OmegaConf.to_container(layer, resolve=False), Recipe, path)
        layers.append(layer)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Recipe), *layers)
        recipe = OmegaConf.to_object(merged)
    except MissingMandatoryValue as error:
        raise UserError(f"The recipe {path} lacks the key {error.full_key}; add it.") from error
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "a key"
        reason = str(error).splitlines()[0]
        raise UserError(f"{key} in the recipe {path} cannot be used: {reason}.") from error
    assert isinstance(recipe, Recipe)
    for key, value in recipe.training.items():
        if key.endswith("_strategy") and value is False:
            recipe.training[key] = "no"  # which YAML reads as false
    check_values(recipe, path)
    return recipe


def _place_and_reason(error: YAMLError | Exception) -> str:
    """In one line: where in the file a reader stumbled, if it says so, and over what."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(error).splitlines()[0]
    return f"line {mark.line + 1}, {getattr(error, 'problem', None) or 'it breaks off'}"


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write the resolved recipe as YAML."""
    from omegaconf import OmegaConf

    OmegaConf.save(OmegaConf.structured(recipe), path)
