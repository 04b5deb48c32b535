"""Any vision model of transformers as the frozen backbone: read right, frozen, adapted, saved."""

import pytest
import torch
from transformers import (
    AutoModel,
    BeitConfig,
    CLIPConfig,
    CLIPVisionConfig,
    ConvNextConfig,
    Dinov2Config,
    Dinov2WithRegistersConfig,
    DINOv3ViTConfig,
    ResNetConfig,
    SiglipConfig,
    SiglipVisionConfig,
    SwinConfig,
    ViTConfig,
    ViTMAEConfig,
)

from sign2gpt.errors import UserError
from sign2gpt.model import Sign2GPTConfig, Sign2GPTForPseudoGlossPretraining, count_parameters
from sign2gpt.model.spatial import SpatialModel

VIT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip
DINO = {key: value for key, value in VIT.items() if key != "intermediate_size"} | {"mlp_ratio": 2}
CONV = {"hidden_sizes": [8, 16], "depths": [1, 1], "image_size": 28}

# Each with its adapted blocks, and the adapters of one: linear layers, and A matrices among them
# when q, k and v share one.
BACKBONES = {
    "dinov2_with_registers": (Dinov2WithRegistersConfig(**DINO), 2, 6, 4),
    "dinov3_vit": (DINOv3ViTConfig(**VIT, num_register_tokens=2), 2, 6, 4),
    "dinov3_vit, gated": (DINOv3ViTConfig(**VIT, use_gated_mlp=True), 1, 7, 5),
    "siglip_vision_model": (SiglipVisionConfig(**VIT), 2, 6, 4),
    "clip_vision_model": (CLIPVisionConfig(**VIT), 2, 6, 4),
    "vit": (ViTConfig(**VIT), 2, 6, 4),
    "beit": (BeitConfig(**VIT), 3, 6, 4),
    "swin": (SwinConfig(image_size=28, patch_size=7, embed_dim=8, depths=[1, 1], num_heads=[1, 2],
                        window_size=2), 1, 6, 4),
    "convnext": (ConvNextConfig(**CONV, num_stages=2), 0, 0, 0),
    "convnext, adapted": (ConvNextConfig(**CONV, num_stages=2), 1, 2, 2),
    "resnet": (ResNetConfig(**CONV, embedding_size=8, layer_type="basic"), 0, 0, 0),
    "vit, as it is": (ViTConfig(**VIT), 0, 0, 0),
}  # fmt: skip


@pytest.fixture(params=BACKBONES)
def backbone(request, tiny_config):
    """The configuration of a model around each of them, its adapters, and A matrices, in all."""
    vision, layers, adapters, downs = BACKBONES[request.param]
    settings = {"vision_config": vision, "spatial_lora_layers": layers, "num_pseudo_glosses": 4}
    return tiny_config(None, **settings), layers * adapters, layers * downs


def test_feature_is_the_models_own(backbone, clips):
    config, _, _ = backbone
    spatial = SpatialModel(config).eval()
    frames, _ = clips(5)
    seen = []
    spatial.projection.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        spatial(frames)
    output = spatial.backbone(pixel_values=frames)  # adapters are at rest
    own = output.pooler_output
    expected = output.last_hidden_state[:, 0] if own is None else own.flatten(1)
    torch.testing.assert_close(seen[0], expected, atol=1e-5, rtol=1e-5)
    assert seen[0].shape[1] == spatial.projection.in_features
    assert float(seen[0].std(0).max()) > 1e-4  # frames differ


def test_adapters_alone_learn_and_are_counted(backbone, awaken, clips):
    config, adapters, downs = backbone
    torch.manual_seed(0)
    model = awaken(Sign2GPTForPseudoGlossPretraining(config)).train()
    before = {
        name: value.clone() for name, value in model.spatial_model.backbone.state_dict().items()
    }
    frames, num_frames = clips(5, 4)
    labels = torch.eye(4)[:2]
    model(pixel_values=frames, num_frames=num_frames, pseudo_gloss_labels=labels).loss.backward()
    named = dict(model.spatial_model.backbone.named_parameters())
    learnt = {name for name, weight in named.items() if weight.requires_grad}
    assert {name.rsplit(".", 1)[-1] for name in learnt} <= {"lora_a", "lora_b"}
    assert sum(name.endswith("lora_b") for name in learnt) == adapters
    assert sum(name.endswith("lora_a") for name in learnt) == downs
    for name, weight in named.items():
        acts = weight.grad is not None and bool((weight.grad != 0).any())
        assert acts is (name in learnt), name
    after = model.spatial_model.backbone.state_dict()  # the statistics of BatchNorm, too
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_training_draws_nothing_at_random_in_a_frozen_backbone(backbone, awaken, clips):
    config, _, _ = backbone
    config.spatial_lora_dropout = 0.0
    spatial = awaken(SpatialModel(config)).train()
    frames, _ = clips(5)
    torch.testing.assert_close(spatial(frames), spatial(frames), atol=0, rtol=0)


def test_model_is_saved_and_comes_back(backbone, awaken, clips, tmp_path):
    config, _, _ = backbone
    model = awaken(Sign2GPTForPseudoGlossPretraining(config)).eval()
    model.save_pretrained(tmp_path)
    again = Sign2GPTForPseudoGlossPretraining.from_pretrained(tmp_path)
    assert type(again.config.vision_config) is type(config.vision_config)
    assert count_parameters(again) == count_parameters(model)
    state, state_again = model.state_dict(), again.state_dict()
    assert state.keys() == state_again.keys()
    assert all(torch.equal(state[name], state_again[name]) for name in state)
    frames, _ = clips(5)
    presence = [m(pixel_values=frames).presence for m in (model, again)]
    torch.testing.assert_close(*presence, atol=1e-6, rtol=1e-5)


def test_tokens_are_stored_only_without_adapters(backbone, clips):
    config, adapters, _ = backbone
    spatial = SpatialModel(config).eval()
    frames, _ = clips(5)
    if adapters:
        with pytest.raises(UserError, match="train on video"):
            spatial.frozen_tokens(frames)
        with pytest.raises(UserError, match="train on video"):
            spatial(frame_tokens=torch.zeros(5, 5, 32))
    else:
        tokens = spatial.frozen_tokens(frames)
        torch.testing.assert_close(spatial(frame_tokens=tokens), spatial(frames))


def test_whole_backbone_learns_where_asked(backbone, clips):
    config, _, _ = backbone
    config.train_backbone = True
    spatial = SpatialModel(config).train()
    spatial(clips(5)[0]).square().sum().backward()
    still = [n for n, w in spatial.backbone.named_parameters() if w.grad is None]
    assert all("mask_token" in name or "lora" in name for name in still), still


@pytest.mark.parametrize("pair", [CLIPConfig, SiglipConfig])
def test_of_a_model_of_pictures_and_texts_the_vision_half_is_taken(pair, tiny_config):
    config = tiny_config(None, vision_config=pair(vision_config=VIT), spatial_lora_layers=1)
    assert config.vision_config.model_type == f"{pair.model_type}_vision_model"
    again = Sign2GPTConfig.from_dict(config.to_dict())
    assert again.vision_config.to_dict() == config.vision_config.to_dict()
    assert isinstance(
        SpatialModel(config).backbone, type(AutoModel.from_config(again.vision_config))
    )


@pytest.mark.parametrize(
    ("vision", "size", "words"),
    [
        (Dinov2Config(**DINO), 30, "multiple of 14"),
        (DINOv3ViTConfig(**VIT), 30, "multiple of 14"),
        (SiglipVisionConfig(**VIT), 42, "28 x 28 pixels alone"),
        (CLIPVisionConfig(**VIT), 42, "28 x 28 pixels alone"),
        (ViTConfig(**VIT), 56, "28 x 28 pixels alone"),
    ],
    ids=lambda value: getattr(value, "model_type", None),
)
def test_frames_of_a_wrong_size_are_refused(vision, size, words, tiny_config):
    spatial = SpatialModel(tiny_config(None, vision_config=vision))
    for grad in (True, False):
        with torch.set_grad_enabled(grad), pytest.raises(UserError, match=words):
            spatial(torch.zeros(2, 3, size, size))


@pytest.mark.parametrize(
    ("vision", "words"),
    [
        (ViTMAEConfig(**VIT), "hides patches at random"),
        ({"model_type": "videomae", **VIT}, "cannot read single frames"),
        ({"model_type": "siglip2_vision_model", **VIT}, "cannot read single frames"),
        (SiglipVisionConfig(**VIT, vision_use_head=False), "neither a pooled output nor a class"),
        ({"model_type": "detr"}, "choose one with"),
    ],
    ids=["vit_mae", "videomae", "siglip2", "siglip without its head", "detr"],
)
def test_models_without_a_feature_of_a_frame_are_refused(vision, words, tiny_config):
    with pytest.raises(UserError, match=words):
        SpatialModel(tiny_config(None, vision_config=vision, spatial_lora_layers=0))


def test_adapters_that_match_nothing_are_refused(tiny_config):
    with pytest.raises(UserError, match="at most 0"):
        tiny_config(None, vision_config=BACKBONES["resnet"][0], spatial_lora_layers=1)
    efficient = {"model_type": "efficientnet", "image_size": 32}
    config = tiny_config(None, vision_config=efficient, spatial_lora_layers=1)
    with pytest.raises(UserError, match="set spatial_lora_layers to 0"), torch.device("meta"):
        SpatialModel(config)
