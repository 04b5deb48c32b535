"""Recipes: every shipped one loads; a wrong key or value ends in a sentence."""

from pathlib import Path

import pytest

from sign2gpt.errors import UserError
from sign2gpt.train import run
from sign2gpt.train.recipe import RECIPES, load_recipe, save_recipe

SHIPPED = sorted(str(path.relative_to(RECIPES)) for path in RECIPES.rglob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_load_and_survive_saving(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    save_recipe(recipe, tmp_path / "copy.yaml")
    assert load_recipe(tmp_path / "copy.yaml") == recipe


def test_overrides_reach_every_level() -> None:
    recipe = load_recipe(
        "phoenix14t/translate",
        ["output=elsewhere", "training.learning_rate=1e-3", "model.spatial_lora_rank=8"],
    )
    assert recipe.output == "elsewhere"
    assert recipe.training["learning_rate"] == pytest.approx(1e-3)
    assert recipe.training["num_train_epochs"] == 100
    assert recipe.model == {"spatial_lora_rank": 8}


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("outptu=x", "did you mean output?"),
        ("training.learnin_rate=1", "did you mean training.learning_rate?"),
        ("model.sign_hidden=1", "did you mean model.sign_hidden_size?"),
        ("processor.fsp=1", "did you mean processor.fps?"),
        ("pseudo_glosses.taggr=x", "did you mean pseudo_glosses.tagger?"),
        ("stage=dream", "stage"),
        ("model=3", "give keys and values"),
        ("variants=many", "variants"),
        ("variants=0", "give 1 or more"),
        ("max_shift=-1", "give 0 or more"),
    ],
)
def test_wrong_keys_and_values_are_named(override: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        load_recipe("phoenix14t/pretrain", [override])
    assert hint in str(error.value)


def test_a_missing_or_broken_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no recipe nowhere"):
        load_recipe("nowhere")
    broken = tmp_path / "broken.yaml"
    broken.write_text("stage: [pretrain\n")
    with pytest.raises(UserError, match="not readable YAML"):
        load_recipe(broken)
    broken.write_text("- a list\n")
    with pytest.raises(UserError, match="no keys"):
        load_recipe(broken)
    broken.write_text("stage: pretrain\n")
    with pytest.raises(UserError, match="store"):
        load_recipe(broken)


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("training.learning_rate=much", "training.learning_rate"),
        ("training.lr_scheduler_type=wave", "training"),
    ],
)
def test_wrong_training_values_are_found_before_any_work(override: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        run(load_recipe("demo/pretrain", [override]))
    assert hint in str(error.value)
