"""Every shipped recipe stands a dry run: values checked, model built on the meta device."""

from pathlib import Path

import pytest

from sign2gpt.errors import UserError
from sign2gpt.synth.corpus import make_corpus
from sign2gpt.train.recipe import RECIPES, load_recipe
from sign2gpt.train.sizes import plan

SHIPPED = sorted(str(path.relative_to(RECIPES).with_suffix("")) for path in RECIPES.rglob("*.yaml"))
PAPER = [name for name in SHIPPED if not name.startswith("demo")]


@pytest.mark.parametrize("name", PAPER)
def test_recipes_at_the_papers_size(name: str, tmp_path: Path) -> None:
    planned = plan(load_recipe(name, [f"output={tmp_path / 'out'}", f"store={tmp_path / 'none'}"]))
    assert planned.parameters["spatial"] == (22_328_448, 271_872)
    if not name.endswith("pretrain"):
        assert planned.parameters["total"] == (1_771_652_608, 16_689_024)
        assert planned.weights_gb == pytest.approx(7.0866, abs=1e-3)
    assert planned.clips == {} and planned.steps == 0
    assert not (tmp_path / "out").exists()


def test_steps_follow_from_the_store(tmp_path: Path) -> None:
    store = make_corpus(tmp_path / "corpus", clips=13, workers=1)
    settings = [f"store={store}", f"output={tmp_path / 'out'}", "training.num_train_epochs=3"]
    planned = plan(
        load_recipe("demo/pretrain", [*settings, "training.per_device_train_batch_size=4"])
    )
    train = planned.clips["train"]
    assert planned.steps == 3 * -(-train // 4)
    with pytest.raises(UserError, match="processor"):
        plan(load_recipe("demo/pretrain", [*settings, "processor.image_size=1"]))
