"""Every shipped recipe stands a dry run: values checked, model built on the meta device."""

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as functional
from torch.profiler import ProfilerActivity, profile
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from sign2gpt.data.collator import ClipCollator
from sign2gpt.errors import UserError
from sign2gpt.model.head_loss import TARGETS_AT_ONCE
from sign2gpt.model.modeling import (
    Sign2GPTForConditionalGeneration,
    Sign2GPTForPseudoGlossPretraining,
)
from sign2gpt.synth.corpus import make_corpus
from sign2gpt.train.build import model_config
from sign2gpt.train.live import Live
from sign2gpt.train.recipe import Recipe
from sign2gpt.train.recipe_file import RECIPES, load_recipe
from sign2gpt.train.sizes import (
    PSEUDO_GLOSSES,
    TEXT_TOKENS,
    Step,
    _image_size,
    count_step,
    count_translation,
    on_meta,
    plan,
)

COUNTED: dict[str, Step] = {}
TRANSLATED: dict[str, tuple[float, int]] = {}
CLIPS, FRAMES = 4, 40  # of a real step
SHIPPED = sorted(str(path.relative_to(RECIPES).with_suffix("")) for path in RECIPES.rglob("*.yaml"))
PAPER = [name for name in SHIPPED if not name.startswith("demo")]


@pytest.fixture(autouse=True)
def count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many recipes' steps are of one size: it is counted once."""

    def translated(recipe: Recipe, model: Any, frames: int) -> tuple[float, int]:
        what = (recipe.stage, recipe.language, recipe.language_precision, _image_size(recipe))
        key = f"{what} {frames}"
        if key not in TRANSLATED:
            TRANSLATED[key] = count_translation(recipe, model, frames)
        return TRANSLATED[key]

    def counted(recipe: Recipe, model: Any, *sizes: int) -> Step:
        how = [recipe.training.get(name) for name in ("activation_checkpointing", "bf16")]
        what = (recipe.stage, recipe.train_on, recipe.language_precision, _image_size(recipe), how)
        weights = [(n, tuple(w.shape), w.requires_grad) for n, w in model.named_parameters()]
        key = f"{what} {sizes} {weights}"
        if key not in COUNTED:
            COUNTED[key] = count_step(recipe, model, *sizes)
        return COUNTED[key]

    monkeypatch.setattr("sign2gpt.train.sizes.count_step", counted)
    monkeypatch.setattr("sign2gpt.train.sizes.count_translation", translated)


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


def test_a_store_that_is_not_there_yet_is_what_a_run_lacks(tmp_path: Path) -> None:
    """Missing, or a folder in which a preparation has begun."""
    found = {}
    for store, state in ((tmp_path / "none", "does not exist"), (tmp_path, "has no manifest")):
        found[state] = plan(load_recipe("demo/pretrain", [f"store={store}"]))
        assert [line for line in found[state].missing if state in line and "sign2gpt demo" in line]
    one, other = found.values()
    assert one.clips == other.clips == {} and one.batches == other.batches


def test_shapes_and_memory_of_a_step(tmp_path: Path) -> None:
    settings = [f"store={tmp_path / 'none'}", f"output={tmp_path / 'out'}"]
    planned = plan(load_recipe("phoenix14t/translate", settings))
    assert list(planned.shapes.values()) == [
        (8 * 64, 3, 224, 224), (8, 32, 512), (8, 32, 2048), (8 * 24, 2048)
    ]  # fmt: skip
    twice = [*settings, "training.per_device_train_batch_size=16"]
    grown = plan(load_recipe("phoenix14t/translate", twice))
    copies = 2 * (1.208 + 24 * 4 * 2048**2 / 1e9)  # in bfloat16, of matrices held in float32
    fixed = 2 * planned.activations_gb - grown.activations_gb  # of no clip
    assert copies < fixed < 1.02 * copies
    assert grown.training_gb == planned.training_gb
    assert grown.batches == planned.batches and list(planned.batches) == [8, 12, 24, 80]
    assert planned.batches[8] == 0 < planned.batches[24] < planned.batches[80]  # 7.1 GB of weights
    filled = f"training.per_device_train_batch_size={planned.batches[24]}"
    full = plan(load_recipe("phoenix14t/translate", [*settings, filled]))
    assert 0.9 * 24 - 1 < full.whole_gb <= 0.9 * 24  # a clip more takes 0.6
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


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("stage", ["pretrain", "translate"])
def test_a_step_takes_what_a_real_step_takes(
    stage: str, bf16: bool, recompute: bool, tmp_path: Path
) -> None:
    check_against_a_real_step(stage, "video", CLIPS, bf16, recompute, tmp_path)


@pytest.mark.parametrize("train_on", ["frame_tokens", "sign_features"])
def test_a_step_on_stored_features_takes_what_a_real_step_takes(
    train_on: str, tmp_path: Path
) -> None:
    clips = 3 * TARGETS_AT_ONCE // TEXT_TOKENS  # of so many targets as are counted at least
    check_against_a_real_step("translate", train_on, clips, False, False, tmp_path)


def check_against_a_real_step(
    stage: str, train_on: str, clips: int, bf16: bool, recompute: bool, tmp_path: Path
) -> None:
    """Against the real model's step with its dropout, as torch's allocator on the CPU sees it."""
    settings = [f"store={tmp_path / 'none'}", f"output={tmp_path / 'out'}", f"train_on={train_on}"]
    recipe = load_recipe(f"demo/{stage}", [*settings, f"training.bf16={bf16}"])
    if stage == "pretrain":
        model = Sign2GPTForPseudoGlossPretraining(model_config(recipe, PSEUDO_GLOSSES))
        model.pseudo_gloss_head.prototypes.normal_()
        labels = {"pseudo_gloss_labels": torch.zeros(clips, PSEUDO_GLOSSES)}
    else:
        model = Sign2GPTForConditionalGeneration(model_config(recipe))
        labels = {"labels": torch.zeros(clips, TEXT_TOKENS, dtype=torch.int64)}
    bare = type(model)(model.config).to("meta")
    for one in (model.train(), bare):
        if train_on == "sign_features":
            one.freeze(spatial=True, sign_encoder=True)
        if recompute:
            one.activation_checkpointing_enable()
    counted = count_step(recipe, bare, clips, FRAMES, kind="cpu")
    # As datasets give them: 6 x 6 patches and the class token; stored tokens are in float16.
    clip = {
        "video": {"pixel_values": torch.zeros(FRAMES, 3, 84, 84, dtype=torch.uint8)},
        "frame_tokens": {"frame_tokens": torch.zeros(FRAMES, 37, 128, dtype=torch.float16)},
        "sign_features": {"sign_features": torch.zeros(FRAMES // 2, 256)},
    }[train_on]
    batch = ClipCollator()([clip] * clips)
    held = sum(values.nbytes for values in batch.values())
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight) if weight.requires_grad else None

    def forward() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return model(**batch, **labels).loss

    loss, kept, most = bytes_of(forward)
    _, _, back = bytes_of(loss.backward)
    real = (kept, most, kept + back)
    expected = [taken + held for taken in real]
    assert [counted.kept, counted.forward, counted.backward] == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("frames, beams", [(40, 4), (4, 16)], ids=["frames", "sentences"])
def test_a_translation_takes_what_a_real_one_takes(
    frames: int, beams: int, bf16: bool, tmp_path: Path
) -> None:
    """Against the real model's beam search, as torch's allocator on the CPU sees it."""
    precision = "bfloat16" if bf16 else "float32"
    settings = [f"store={tmp_path / 'none'}", f"output={tmp_path / 'out'}"]
    recipe = load_recipe("demo/translate", [*settings, f"language_precision={precision}"])
    model = Sign2GPTForConditionalGeneration(model_config(recipe)).eval()
    model.to(recipe.language_precision.dtype)
    weights, counted = count_translation(recipe, on_meta(recipe), frames, beams, 24, "cpu")
    clip = torch.zeros(frames, 3, 84, 84, dtype=torch.uint8)
    search = {"num_beams": beams, "min_length": 24, "max_length": 24}
    _, _, most = bytes_of(lambda: model.generate(clip, **search))
    assert counted == pytest.approx(most + clip.nbytes, rel=0.03)
    assert weights == sum(weight.nbytes for weight in model.parameters())


def test_a_second_count_is_as_the_first(tmp_path: Path) -> None:
    """Nothing that the model keeps is left out of it, such as positions of another size."""
    settings = ["train_on=video", "processor.image_size=70"]
    places = [f"store={tmp_path / 'none'}", f"output={tmp_path / 'out'}"]
    recipe = load_recipe("demo/translate", [*places, *settings])
    model = on_meta(recipe)
    assert count_step(recipe, model, 1, 4) == count_step(recipe, model, 1, 4)


def test_a_gpus_dropout_keeps_a_byte_a_value_and_its_attention_no_weights() -> None:
    query = torch.empty(2, 4, 32, 16, device="meta", requires_grad=True)
    with Live("cuda", None, [query]) as live:
        dropped = functional.dropout(query, 0.1)
        assert live.now == 5 * dropped.numel()
        before = live.now
        seen = functional.scaled_dot_product_attention(dropped, dropped, dropped, dropout_p=0.1)
        assert live.now - before < 1.1 * 4 * seen.numel()


def bytes_of(call: Callable[[], Any]) -> tuple[Any, int, int]:
    """What it returns, the bytes it leaves behind, and the most that were there meanwhile."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        result = call()
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    heights = list(accumulate(e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())))
    return result, heights[-1], max(heights)
