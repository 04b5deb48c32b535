"""A checkpoint reloads whole, or not at all."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForPreTraining,
    AutoModelForSeq2SeqLM,
    ResNetConfig,
)
from transformers.utils import logging

from sign2gpt.errors import UserError
from sign2gpt.model import (
    Sign2GPTConfig,
    Sign2GPTForConditionalGeneration,
    Sign2GPTForPseudoGlossPretraining,
    count_parameters,
)


@pytest.fixture
def translator(tiny_config, awaken):
    return awaken(Sign2GPTForConditionalGeneration(tiny_config(num_pseudo_glosses=5))).eval()


@pytest.fixture
def saved(translator, tmp_path) -> Path:
    translator.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def change_weights(folder: Path, change) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("family", ["xglm", "llama", "qwen3"])
def test_translator_comes_back_by_its_auto_class(family, tiny_config, awaken, clips, tmp_path):
    model = awaken(Sign2GPTForConditionalGeneration(tiny_config(family))).eval()
    model.save_pretrained(tmp_path / "a")
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "a")
    assert type(again) is Sign2GPTForConditionalGeneration
    assert isinstance(AutoConfig.from_pretrained(tmp_path / "a"), Sign2GPTConfig)
    assert count_parameters(again) == count_parameters(model)
    state, state_again = model.state_dict(), again.state_dict()
    assert state.keys() == state_again.keys()
    assert all(torch.equal(state[name], state_again[name]) for name in state)
    ids = torch.tensor([[2, 5, 6]])
    frames, _ = clips(7)
    logits = [m(pixel_values=frames, decoder_input_ids=ids).logits for m in (model, again)]
    torch.testing.assert_close(*logits, atol=1e-6, rtol=1e-5)  # weights read in place: alignment
    assert again.generation_config.num_beams == 4
    again.save_pretrained(tmp_path / "b")
    for name in ("model.safetensors", "generation_config.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_pretraining_model_comes_back_with_its_prototypes(tiny_config, awaken, clips, tmp_path):
    config = tiny_config(None, num_pseudo_glosses=5)
    model = awaken(Sign2GPTForPseudoGlossPretraining(config)).eval()
    model.save_pretrained(tmp_path / "a")
    again = AutoModelForPreTraining.from_pretrained(tmp_path / "a")
    assert type(again) is Sign2GPTForPseudoGlossPretraining
    frames, _ = clips(7)
    assert torch.equal(model.pseudo_gloss_head.prototypes, again.pseudo_gloss_head.prototypes)
    presence = [m(pixel_values=frames).presence for m in (model, again)]
    torch.testing.assert_close(*presence, atol=1e-6, rtol=1e-5)
    again.save_pretrained(tmp_path / "b")
    first, second = (tmp_path / side / "model.safetensors" for side in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_same_seed_same_weights(tiny_config):
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(Sign2GPTForConditionalGeneration(tiny_config()).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(
    "name",
    [
        "sign_encoder.layers.0.query.weight",
        "decoder.language_model.model.layers.1.fc1.weight",
        "decoder.language_model.model.layers.0.self_attn.gate",
        "spatial_model.norm.running_var",
        "pseudo_gloss_head.prototypes",
        "decoder.language_model.model.embed_tokens.weight",
    ],
)
def test_missing_weight_is_an_error(name, saved):
    change_weights(saved, lambda weights: weights.pop(name))
    with pytest.raises(UserError, match="lacks"):
        Sign2GPTForConditionalGeneration.from_pretrained(saved)


def test_left_over_weight_is_an_error(saved):
    change_weights(saved, lambda weights: weights.update(stray=torch.zeros(2)))
    with pytest.raises(UserError, match="left-over stray"):
        AutoModelForSeq2SeqLM.from_pretrained(saved)


def test_weight_of_another_shape_is_an_error(saved):
    name = "sign_encoder.layers.0.query.weight"
    change_weights(saved, lambda weights: weights.update({name: torch.zeros(3, 3)}))
    for lenient in ({}, {"ignore_mismatched_sizes": True}):
        with pytest.raises(UserError, match=f"has another shape of {name}"):
            Sign2GPTForConditionalGeneration.from_pretrained(saved, **lenient)


@pytest.mark.parametrize("part", ["sign_encoder", "pseudo_gloss_head", "gate", "lora_a"])
def test_a_weight_that_is_no_number_is_an_error(part, tiny_config, tmp_path):
    model = Sign2GPTForConditionalGeneration(tiny_config(num_pseudo_glosses=5))
    model.save_pretrained(tmp_path)
    name = next(name for name in model.state_dict() if part in name and "norm" not in name)

    def damage(weights):
        weights[name].view(-1)[-1] = torch.nan

    change_weights(tmp_path, damage)
    with pytest.raises(UserError, match=f"The weight {name} .* is no number"):
        Sign2GPTForConditionalGeneration.from_pretrained(tmp_path)


def test_a_learnt_backbone_that_is_no_number_is_an_error(tiny_config, tmp_path):
    vision = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    config = tiny_config(vision_config=vision, train_backbone=True, spatial_lora_layers=0)
    Sign2GPTForConditionalGeneration(config).save_pretrained(tmp_path)
    name = "spatial_model.backbone.embedder.embedder.convolution.weight"
    change_weights(tmp_path, lambda weights: weights[name].view(-1)[:1].fill_(torch.inf))
    with pytest.raises(UserError, match=f"The weight {name} .* is no number"):
        Sign2GPTForConditionalGeneration.from_pretrained(tmp_path)


def test_a_checkpoint_that_does_not_fit_is_one_sentence_and_nothing_more(saved, capfd):
    name = "sign_encoder.layers.0.query.weight"
    for change in (
        lambda weights: weights.update({name: torch.zeros(3, 3)}),
        lambda weights: weights.pop(name),
        lambda weights: weights.update(stray=torch.zeros(2)),
    ):
        change_weights(saved, change)
        logging.disable_progress_bar()
        capfd.readouterr()
        with pytest.raises(UserError):
            Sign2GPTForConditionalGeneration.from_pretrained(saved)
        assert capfd.readouterr() == ("", "")
    assert logging.get_verbosity() == logging.WARNING


def test_saved_weights_may_be_read_by_whoever_may_read_the_rest(saved):
    modes = {path.suffix: path.stat().st_mode & 0o777 for path in saved.iterdir()}
    assert modes[".safetensors"] == modes[".json"]


@pytest.mark.parametrize("dtype", [["a"], 3, "floaty", "load", "int8"])
def test_a_wrong_dtype_is_named(dtype, saved):
    settings = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**settings, "dtype": dtype}))
    with pytest.raises(
        UserError, match=r"setting dtype is .* but must be null, or float32"
    ) as error:
        Sign2GPTForConditionalGeneration.from_pretrained(saved)
    assert str(saved) in str(error.value)


def test_damaged_or_absent_files_are_errors(saved):
    weights = saved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match="cannot be loaded"):
        Sign2GPTForConditionalGeneration.from_pretrained(saved)
    weights.unlink()
    with pytest.raises(UserError, match="no weights"):
        AutoModelForSeq2SeqLM.from_pretrained(saved)
    with pytest.raises(UserError, match="cannot be loaded"):
        Sign2GPTForConditionalGeneration.from_pretrained(saved / "nowhere")


def test_another_kind_of_model_is_an_error(saved, tiny_config, tmp_path):
    with pytest.raises(UserError, match="left-over decoder"):
        Sign2GPTForPseudoGlossPretraining.from_pretrained(saved)
    plain = AutoModelForCausalLM.from_config(tiny_config().text_config)
    plain.save_pretrained(tmp_path / "plain")
    with pytest.raises(UserError, match="'xglm'"):
        Sign2GPTForConditionalGeneration.from_pretrained(tmp_path / "plain")
    settings = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**settings, "sign_window": 7}))
    with pytest.raises(UserError, match="sign_window"):
        Sign2GPTForConditionalGeneration.from_pretrained(saved)


def test_parts_fill_every_frozen_weight(tiny_config, tmp_path):
    config = tiny_config("llama")
    vision = AutoModel.from_config(config.vision_config)
    language = AutoModelForCausalLM.from_config(config.text_config)
    vision.save_pretrained(tmp_path / "vision")
    language.save_pretrained(tmp_path / "language")
    model = Sign2GPTForConditionalGeneration.from_pretrained_parts(
        config, vision=tmp_path / "vision", language=tmp_path / "language"
    )
    for frozen, part in (
        (model.spatial_model.frozen_parameters(), vision),
        (model.decoder.frozen_parameters(), language),
    ):
        given = list(part.parameters())
        assert len(frozen) == len(given)
        for weight in frozen:
            assert any(torch.equal(weight, other) for other in given if weight.shape == other.shape)


def test_parts_of_another_size_or_kind_are_errors(tiny_config, tmp_path):
    config = tiny_config()
    AutoModel.from_config(config.vision_config).save_pretrained(tmp_path / "vision")
    AutoModelForCausalLM.from_config(config.text_config).save_pretrained(tmp_path / "language")
    build = Sign2GPTForConditionalGeneration.from_pretrained_parts
    with pytest.raises(UserError, match="another shape"):
        build(tiny_config(**{"vision_config": wider(config)}), vision=tmp_path / "vision")
    with pytest.raises(UserError, match=r"lacks|left-over"):
        build(tiny_config("llama"), language=tmp_path / "language")
    with pytest.raises(UserError, match="nowhere is not here"):
        build(config, vision=tmp_path / "nowhere")


def wider(config: Sign2GPTConfig):
    sizes = config.vision_config.to_dict()
    return {**sizes, "hidden_size": 64}


@pytest.mark.parametrize("content", [None, "{}", '{"num_beams": 4, "max_le', '{"max_length": "x"}'])
def test_a_generation_config_that_is_not_whole_is_an_error(content, saved):
    file = saved / "generation_config.json"
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(UserError, match=r"generation_config\.json in"):
        Sign2GPTForConditionalGeneration.from_pretrained(saved)
