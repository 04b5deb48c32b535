"""Spatial model against transformers' own vision model, and its shortcuts against the long way."""

import pytest
import torch
from transformers import Dinov2Config, ResNetConfig

from sign2gpt.errors import UserError
from sign2gpt.model.spatial import SpatialModel


@pytest.mark.parametrize("layers", [0, 1, 2, 3])
@pytest.mark.parametrize("pixels", [28, 42])  # the table's own size, and one to interpolate
def test_class_token_is_that_of_the_whole_model(layers, pixels, tiny_config):
    spatial = SpatialModel(tiny_config(None, spatial_lora_layers=layers)).eval()
    frames = torch.randn(5, 3, pixels, pixels)
    seen = []
    spatial.projection.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    spatial(frames)  # adapters are at rest, so this is the frozen model
    expected = spatial.backbone(pixel_values=frames).last_hidden_state[:, 0]
    torch.testing.assert_close(seen[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layers", [0, 2, 3])
def test_stored_tokens_give_what_pixels_give(layers, tiny_config, awaken, clips):
    spatial = awaken(SpatialModel(tiny_config(None, spatial_lora_layers=layers))).eval()
    frames, _ = clips(6)
    tokens = spatial.frozen_tokens(frames)
    assert not tokens.requires_grad
    assert tokens.shape == (6, 1 if layers == 0 else 5, 32)
    torch.testing.assert_close(spatial(frame_tokens=tokens), spatial(frames), atol=1e-5, rtol=1e-5)


def test_groups_of_frames_without_gradients_change_nothing(tiny_config, awaken, clips, monkeypatch):
    monkeypatch.setattr("sign2gpt.model.spatial.PIXELS_AT_ONCE", 40 * 3 * 28 * 28)
    spatial = awaken(SpatialModel(tiny_config(None))).eval()
    frames, _ = clips(150)
    with torch.no_grad():
        grouped = spatial(frames)
    torch.testing.assert_close(grouped, spatial(frames), atol=1e-5, rtol=1e-5)


def test_bytes_are_normalised_on_the_way_in(tiny_config):
    spatial = SpatialModel(tiny_config(None)).eval()
    frames = torch.randint(0, 256, (4, 3, 28, 28), dtype=torch.uint8)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    torch.testing.assert_close(spatial(frames), spatial((frames / 255 - mean) / std))


def test_interpolated_positions_follow_new_weights(tiny_config):
    spatial = SpatialModel(tiny_config(None, spatial_lora_layers=0)).eval()
    frames = torch.randn(2, 3, 42, 42)
    before = spatial(frames)
    with torch.no_grad():
        spatial.backbone.embeddings.position_embeddings.normal_()
    expected = spatial.backbone(pixel_values=frames).last_hidden_state[:, 0]
    after = spatial(frames)
    assert not torch.allclose(before, after, atol=1e-2)
    torch.testing.assert_close(after, spatial.norm(spatial.projection(expected)))


def test_adapters_learn_and_the_backbone_does_not(tiny_config, awaken, clips):
    spatial = awaken(SpatialModel(tiny_config(None))).train()
    for weight in spatial.frozen_parameters():
        weight.requires_grad_(False)
    spatial(clips(6)[0]).square().sum().backward()
    for name, weight in spatial.named_parameters():
        learns = "lora" in name or not name.startswith("backbone")
        assert (weight.grad is not None) is learns, name
    downs = [name for name, _ in spatial.named_parameters() if name.endswith("lora_a")]
    assert len(downs) == 2 * 4  # a block: q with k and v, out, fc1, fc2


def test_swiglu_blocks_are_adapted_whole(tiny_config):
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = Dinov2Config(**sizes, image_size=28, patch_size=14, use_swiglu_ffn=True)
    spatial = SpatialModel(tiny_config(None, vision_config=vision, spatial_lora_layers=1))
    ups = [name for name, _ in spatial.named_parameters() if name.endswith("lora_b")]
    assert len(ups) == 7


def test_a_single_frame_can_be_trained_on(tiny_config):
    spatial = SpatialModel(tiny_config(None)).train()
    out = spatial(torch.randn(1, 3, 28, 28))
    out.sum().backward()
    assert bool(out.isfinite().all())


def test_frozen_resnet_keeps_its_statistics_and_a_learning_one_moves_them(tiny_config):
    vision = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    frames = torch.randn(4, 3, 32, 32)
    for learns in (False, True):
        settings = {"vision_config": vision, "spatial_lora_layers": 0, "train_backbone": learns}
        spatial = SpatialModel(tiny_config(None, **settings)).train()
        statistics = spatial.backbone.embedder.embedder.normalization.running_mean
        before = statistics.clone()
        spatial(frames)
        assert torch.equal(before, statistics) is not learns
        if learns:
            with pytest.raises(UserError, match="train_backbone"):
                spatial.frozen_tokens(frames)
        else:
            spatial.eval()
            tokens = spatial.frozen_tokens(frames)
            torch.testing.assert_close(spatial(frame_tokens=tokens), spatial(frames))


def test_neither_or_both_inputs_are_refused(tiny_config, clips):
    spatial = SpatialModel(tiny_config(None))
    with pytest.raises(UserError, match="either pixel_values or frame_tokens"):
        spatial()
