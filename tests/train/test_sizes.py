"""Every shipped recipe stands a dry run: values checked, model built on the meta device."""

from pathlib import Path

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from sign2gpt.errors import UserError
from sign2gpt.synth.corpus import make_corpus
from sign2gpt.train.recipe_file import RECIPES, load_recipe
from sign2gpt.train.sizes import plan

SHIPPED = sorted(str(path.relative_to(RECIPES).with_suffix("")) for path in RECIPES.rglob("*.yaml"))
PAPER = [name for name in SHIPPED if not name.startswith("demo")]


@pytest.mark.parametrize("name", PAPER)
def test_recipes_at_the_papers_size(name: str, tmp_path: Path) -> None:
    planned = plan(load_recipe(name, [f"output={tmp_path / 'out'}", f"store={tmp_path / 'none'}"]))
    frozen = name.endswith("frozen-z")  # the decoder alone trains
    assert planned.parameters["spatial"] == (22_328_448, 0 if frozen else 271_872)
    if not name.endswith("pretrain"):
        total = 1_771_652_608, 3_803_520 if frozen else 16_689_024
        if name.endswith("564m"):
            total = 601_307_648, 14_787_456
        assert planned.parameters["total"] == total
        assert planned.weights_gb == pytest.approx(4 * total[0] / 1e9)
    assert planned.clips == {} and planned.steps == 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_a_language_model_of_another_family(family: str, tmp_path: Path) -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 50}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    ids = {"bos_token_id": 1, "eos_token_id": 2}
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[family](**sizes, **heads, **ids))
    model.save_pretrained(tmp_path / "language")
    settings = [f"store={tmp_path / 'none'}", f"output={tmp_path / 'out'}"]
    planned = plan(
        load_recipe("phoenix14t/translate", [*settings, f"language={tmp_path / 'language'}"])
    )
    assert list(planned.shapes.values())[2:] == [(8, 32, 32), (8 * 24, 32)]


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


def test_shapes_and_memory_of_a_step(tmp_path: Path) -> None:
    settings = [f"store={tmp_path / 'none'}", f"output={tmp_path / 'out'}"]
    planned = plan(load_recipe("phoenix14t/translate", settings))
    assert list(planned.shapes.values()) == [
        (8 * 64, 3, 224, 224), (8, 32, 512), (8, 32, 2048), (8 * 24, 2048)
    ]  # fmt: skip
    twice = [*settings, "training.per_device_train_batch_size=16"]
    grown = plan(load_recipe("phoenix14t/translate", twice))
    copies = 2 * (1.208 + 24 * 4 * 2048**2 / 1e9)  # in bfloat16, of matrices held in float32
    kept = planned.activations_gb - copies
    assert grown.activations_gb - copies == pytest.approx(2 * kept, rel=0.05)
    assert grown.training_gb == planned.training_gb
    assert grown.batches == planned.batches and list(planned.batches) == [8, 12, 24, 80]
    assert planned.batches[8] == 0 < planned.batches[24] < planned.batches[80]  # 7.1 GB of weights
    filled = f"training.per_device_train_batch_size={planned.batches[24]}"
    full = plan(load_recipe("phoenix14t/translate", [*settings, filled]))
    assert 0.97 * 0.9 * 24 < full.whole_gb <= 0.9 * 24
    few = plan(load_recipe("phoenix14t/translate", [*settings, "language_precision=nf4"]))
    # Of 1.73 billion weights 1.21 are in linear layers; embeddings and head stay in 16 bits.
    assert few.weights_gb == pytest.approx(0.157 + 1.208 * 0.5625 + 0.524 * 2, rel=0.01)
    assert few.batches[8] > planned.batches[8]
    again = [*settings, "language_precision=nf4", "training.activation_checkpointing=true"]
    least = plan(load_recipe("phoenix14t/translate", again))
    assert least.activations_gb + least.passing_gb < few.activations_gb / 3
    assert least.batches[12] > 2 * few.batches[12]
    first = plan(load_recipe("phoenix14t/pretrain", settings))
    assert first.shapes["presence Ê (B, V), V assumed"] == (8, 2_533)
    assert 0 < first.activations_gb < planned.activations_gb


def test_activations_are_what_a_real_step_keeps(tmp_path: Path) -> None:
    """Against the real model's step: peak minus what was there before, as the allocator sees it."""
    from torch.profiler import ProfilerActivity, profile

    from sign2gpt.model.modeling import Sign2GPTForPseudoGlossPretraining
    from sign2gpt.train.build import model_config

    store = make_corpus(tmp_path / "corpus", clips=13, workers=1)
    recipe = load_recipe(
        "demo/pretrain",
        [f"store={store}", f"output={tmp_path / 'out'}", "train_on=video"],
    )
    planned = plan(recipe)
    size = planned.shapes["frames (N, 3, h, h) uint8"]
    batch = planned.shapes["sign features Z (B, T, D)"][0]
    model = Sign2GPTForPseudoGlossPretraining(model_config(recipe, 2_533)).train()
    model.pseudo_gloss_head.prototypes.normal_()
    frames = torch.zeros(size, dtype=torch.uint8)
    lengths = torch.full((batch,), planned.frames)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        output = model(frames, lengths, pseudo_gloss_labels=torch.zeros(batch, 2_533))
    kept = sum(event.self_cpu_memory_usage for event in seen.events())
    assert output.loss is not None
    assert planned.activations_gb * 1e9 == pytest.approx(kept, rel=0.25)
