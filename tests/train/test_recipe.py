"""Recipes: every shipped one loads; a wrong key or value ends in a sentence."""

from pathlib import Path

import pytest

from sign2gpt.errors import UserError
from sign2gpt.train import run
from sign2gpt.train.build import build_pretraining, build_translation
from sign2gpt.train.recipe import Recipe, Stage
from sign2gpt.train.recipe_file import RECIPES, load_recipe, save_recipe

SHIPPED = sorted(str(path.relative_to(RECIPES)) for path in RECIPES.rglob("*.yaml"))


def build(recipe: Recipe) -> object:
    translates = recipe.stage is Stage.translate
    return build_translation(recipe) if translates else build_pretraining(recipe, 3)


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
        ("variants=0", "give a whole number, 1 or more"),
        ("max_shift=-1", "0 or more"),
        ("model.vision_config=x", "set the key vision"),
        ("model.text_config=x", "set the key language"),
        ("model.num_pseudo_glosses=3", "read from the sentences"),
        ("training.output_dir=x", "set the key output"),
        ("training.metric_for_best_model=loss", "dev is scored by what the stage is for"),
        ("training.torch_compile=true", "break off torch's compiler"),
        ("training.gradient_checkpointing=true", "set training.activation_checkpointing"),
        ("training.save_only_model=true", "goes on with its optimiser"),
        ("training.per_device_train_batch_size=1e3", "give a whole number, 1 or more"),
        ("training.seed=-1", "training.seed = -1; give a whole number, 0 to 4294967295"),
        ("training.seed=5000000000", "0 to 4294967295"),
        ("training.per_device_train_batch_size=-1", "1 or more"),
        ("training.per_device_train_batch_size=0", "1 or more"),
        ("training.per_device_train_batch_size=1.5", "training.per_device_train_batch_size"),
        ("training.learning_rate=-1", "training.learning_rate = -1; give 0 or more"),
        ("training.learning_rate=.nan", "give a number"),
        ("training.learning_rate=much", "training.learning_rate"),
        ("training.num_train_epochs=-1", "training.num_train_epochs"),
        ("training.generation_num_beams=0", "training.generation_num_beams = 0; give a whole"),
        ("training.generation_num_beams=2000", "1 to 64"),
        ("training.bf16=perhaps", "training.bf16 = 'perhaps'; give true or false"),
        ("processor.fps=x", "processor.fps = 'x'; give a number"),
        ("processor.fit=x", "give one of pad, stretch, crop"),
        ("processor.image_mean=[1, x, 2]", "processor.image_mean"),
        ("augment.flip_prob=x", "augment.flip_prob = 'x'; give a number"),
        ("augment.crop_scale=1", "augment.crop_scale = 1; give two numbers"),
        ("rate_multipliers.gate=-1", "rate_multipliers.gate = -1"),
        ("training.dataloader_prefetch_factor=0", "give a whole number, 1 or more"),
        ("stage=[a", "The override stage=[a is not readable YAML"),
        ("store=???", "The override store=??? gives no value"),
        ("store=${nokey}", "The override store=${nokey} is not readable"),
        ("output=${output}", "The override output=${output} is not readable"),
        ("output=' '", "empty output; name a folder"),
        ("training.max_steps=0", "training.max_steps = 0; give 1 or more, or -1"),
        ("training.num_train_epochs=1.5", "num_train_epochs = 1.5; give a whole number"),
    ],
)
def test_wrong_keys_and_values_are_named(override: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        load_recipe("phoenix14t/pretrain", [override])
    assert hint in str(error.value)


def test_no_is_a_word_where_one_is_asked_for() -> None:
    recipe = load_recipe("phoenix14t/pretrain", ["training.eval_strategy=no"])
    assert recipe.training["eval_strategy"] == "no"


def test_a_missing_or_broken_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no recipe nowhere"):
        load_recipe("nowhere")
    with pytest.raises(UserError, match=r"demo/pretrian; did you mean demo/pretrain\?$"):
        load_recipe("demo/pretrian")
    broken = tmp_path / "broken.yaml"
    broken.write_text("stage: [pretrain\n")
    with pytest.raises(UserError, match="not readable YAML: line 2"):
        load_recipe(broken)
    broken.write_text("- a list\n")
    with pytest.raises(UserError, match="no keys"):
        load_recipe(broken)
    broken.write_text("stage: pretrain\n")
    with pytest.raises(UserError, match="lacks the key store; add it"):
        load_recipe(broken)
    broken.write_text("1: 2\n")
    with pytest.raises(UserError, match="unknown key 1"):
        load_recipe(broken)


def test_a_key_outside_its_section_is_told_where_it_belongs() -> None:
    with pytest.raises(UserError, match=r"learning_rate; did you mean training\.learning_rate\?$"):
        load_recipe("demo/pretrain", ["learning_rate=1"])
    with pytest.raises(UserError, match=r"output_dir; did you mean output\?$"):
        load_recipe("demo/pretrain", ["output_dir=here"])


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("training.lr_scheduler_type=wave", "training"),
        ("training.lr_scheduler_kwargs=x", "training.lr_scheduler_kwargs"),
        ("training.lr_scheduler_kwargs={wave: 1}", "training.lr_scheduler_kwargs"),
        ("training.adam_beta1=2", "training"),
        ("training.optim=galore_adamw", "galore"),
        ("training.report_to=wandb", "wandb"),
        ("training.log_level=bogus", "bogus"),
        ("training.eval_strategy=no", "strategy"),
        ("processor.image_size=1", "a multiple of 14"),
        ("processor.crop_size=300", "processor.crop_size"),
        ("augment.hue=3", "augment.hue"),
    ],
)
def test_wrong_values_are_found_before_any_work(override: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        run(load_recipe("demo/pretrain", [f"output={tmp_path / 'out'}", override]))
    assert hint in str(error.value)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["[]", '{"model_type": "sign2'])
def test_a_damaged_model_to_start_from_is_named(content: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text(content)
    for name in ("demo/translate", "demo/pretrain"):
        recipe = load_recipe(name, [f"start_from={source}", f"output={tmp_path / 'out'}"])
        with pytest.raises(UserError, match=r"config.json is damaged"):
            build(recipe)
