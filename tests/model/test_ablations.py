"""Every switch of the ablations builds a model that runs forward and backward."""

import pytest
import torch
from transformers import ResNetConfig

from sign2gpt.errors import UserError
from sign2gpt.model import (
    Sign2GPTConfig,
    Sign2GPTForConditionalGeneration,
    Sign2GPTForPseudoGlossPretraining,
)

RESNET = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
SWITCHES = {
    "the paper's": {},
    "no spatial adapters": {"spatial_lora_layers": 0},
    "separate q, k, v adapters": {"spatial_lora_shared_qkv": False},
    "ResNet": {"vision_config": RESNET, "spatial_lora_layers": 0, "train_backbone": True},
    "whole ViT learns": {"train_backbone": True},
    "global attention": {"attention_window": None},
    "no downsampling": {"downsample_after": None},
    "downsampling first": {"downsample_after": 0},
    "no sign encoder": {"num_sign_layers": 0},
    "no position": {"sign_position": "none"},
    "learnable position, zero": {"sign_position": "learnable_zero"},
    "learnable position, random": {"sign_position": "learnable_random"},
    "clamped gate": {"gate": "clamp"},
    "free gate": {"gate": "free"},
    "frozen dropout": {"frozen_dropout": True},
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_translation_runs_and_learns(switch, tiny_config, awaken, clips):
    torch.manual_seed(0)
    settings = {**SWITCHES[switch], "num_pseudo_glosses": 4}
    model = awaken(Sign2GPTForConditionalGeneration(tiny_config(**settings))).train()
    frames, num_frames = clips(5, 8)
    labels = torch.tensor([[7, 8, 2, -100], [9, 10, 11, 2]])
    loss = model(pixel_values=frames, num_frames=num_frames, labels=labels).loss
    loss.backward()
    assert bool(loss.isfinite())
    for name, weight in model.named_parameters():
        learns = weight.requires_grad and "mask_token" not in name
        assert (weight.grad is not None and bool(weight.grad.isfinite().all())) is learns, name
    ids = model.eval().generate(pixel_values=frames, num_frames=num_frames, max_length=6)
    assert len(ids) == 2


@pytest.mark.parametrize("switch", list(SWITCHES)[:9])
def test_pretraining_runs_and_learns(switch, tiny_config, awaken, clips):
    config = tiny_config(None, num_pseudo_glosses=4, **SWITCHES[switch])
    model = awaken(Sign2GPTForPseudoGlossPretraining(config)).train()
    frames, num_frames = clips(5, 8)
    labels = torch.eye(4)[:2]
    model(pixel_values=frames, num_frames=num_frames, pseudo_gloss_labels=labels).loss.backward()
    for name, weight in model.named_parameters():
        learns = weight.requires_grad and "mask_token" not in name
        assert (weight.grad is not None) is learns, name


def test_no_sign_encoder_passes_frames_through(tiny_config, clips):
    model = Sign2GPTForConditionalGeneration(tiny_config(num_sign_layers=0)).eval()
    frames, num_frames = clips(5, 8)
    features, mask = model.encode(frames, num_frames)
    assert mask.sum(1).tolist() == [5, 8]
    assert torch.equal(features[1], model.spatial_model(frames)[5:])


def test_clip_beyond_the_learnable_positions_is_refused(tiny_config, clips):
    config = tiny_config(sign_position="learnable_zero", max_sign_positions=4)
    model = Sign2GPTForConditionalGeneration(config)
    with pytest.raises(UserError, match="max_sign_positions"):
        model(pixel_values=clips(9)[0], decoder_input_ids=torch.tensor([[2]]))


def test_frozen_stages_do_not_move(tiny_config, awaken, clips):
    model = awaken(Sign2GPTForConditionalGeneration(tiny_config(num_pseudo_glosses=4)))
    model.freeze(spatial=True, sign_encoder=True)
    model.train()
    signs = ("spatial_model", "sign_encoder", "pseudo_gloss_head")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    optimiser = torch.optim.SGD([w for w in model.parameters() if w.requires_grad], lr=0.5)
    frames, num_frames = clips(5, 8)
    labels = torch.tensor([[7, 2], [9, 2]])
    encoded = [model.encode(frames, num_frames)[0] for _ in range(2)]
    assert torch.equal(*encoded)  # no dropout
    model(pixel_values=frames, num_frames=num_frames, labels=labels).loss.backward()
    optimiser.step()
    moved = {name for name, w in model.state_dict().items() if not torch.equal(w, before[name])}
    assert moved and not any(name.startswith(signs) for name in moved)
    model.freeze()
    assert model.sign_encoder.training and not model.pseudo_gloss_head.training
    assert all(weight.requires_grad for weight in model.sign_encoder.parameters())


@pytest.mark.parametrize("family", ["xglm", "llama"])
def test_gradient_checkpointing_gives_the_same_gradients(family, tiny_config, awaken, clips):
    still = {"decoder_lora_dropout": 0.0, "spatial_lora_dropout": 0.0}
    still |= {"sign_dropout": 0.0, "sign_drop_path": 0.0}
    model = awaken(Sign2GPTForConditionalGeneration(tiny_config(family, **still))).train()
    frames, num_frames = clips(5, 8)
    labels = torch.tensor([[7, 2], [9, 2]])
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            model.gradient_checkpointing_enable()
        model.zero_grad()
        model(pixel_values=frames, num_frames=num_frames, labels=labels).loss.backward()
        gradients.append({n: w.grad for n, w in model.named_parameters() if w.requires_grad})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-5, rtol=1e-5)


WRONG = {
    "sign_hidden_size": (0, "whole number"),
    "attention_window": (6, "odd"),
    "downsample_after": (5, "num_sign_layers"),
    "sign_position": ("rotary", "sinusoidal, none"),
    "gate": ("tanh", "straight_through"),
    "spatial_lora_layers": (4, "at most 3"),
    "spatial_lora_rank": ("4", "whole number"),
    "sign_dropout": (1.0, "below 1"),
    "num_sign_heads": (3, "sign_hidden_size"),
    "tau_init": (2.0, "tau_max"),
    "tau_time_min": (0.2, "tau_init"),
    "image_mean": ((0.5,), "three numbers"),
    "train_backbone": (1, "true or false"),
    "vision_config": ({"model_type": "llama"}, "vision model for RGB"),
    "text_config": ({"hidden_size": 3}, "model_type"),
    "sign_hiden_size": (32, "did you mean sign_hidden_size"),
}


@pytest.mark.parametrize("key", WRONG)
def test_wrong_setting_is_named_with_what_is_allowed(key, tiny_config):
    value, words = WRONG[key]
    with pytest.raises(UserError, match=words) as caught:
        tiny_config(**{key: value})
    assert key in str(caught.value)


def test_configuration_survives_json(tiny_config):
    config = tiny_config("qwen3", sign_drop_path=0.0)
    again = Sign2GPTConfig.from_dict(config.to_dict())
    assert again.to_json_string() == config.to_json_string()
    assert again.is_encoder_decoder and again.decoder_start_token_id == 0
    assert type(again.text_config) is type(config.text_config)


def test_models_that_cannot_be_built_say_why(tiny_config):
    with pytest.raises(UserError, match="text_config"):
        Sign2GPTForConditionalGeneration(tiny_config(None))
    with pytest.raises(UserError, match="num_pseudo_glosses"):
        Sign2GPTForPseudoGlossPretraining(tiny_config(None))
    gpt2 = {"model_type": "gpt2", "n_layer": 1, "n_embd": 32, "n_head": 2, "vocab_size": 50}
    gpt2 |= {"bos_token_id": 0, "eos_token_id": 2}
    with pytest.raises(UserError, match=r"'gpt2'.*XGLM"):
        Sign2GPTForConditionalGeneration(tiny_config(text_config=gpt2))
