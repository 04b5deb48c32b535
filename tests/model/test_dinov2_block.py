"""Blocks made ready once against transformers' own, with adapters as they are written down."""

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import ResNetConfig

from sign2gpt.model import spatial as spatial_module
from sign2gpt.model.dinov2_block import attend
from sign2gpt.model.lora import AdaptedLinear, LowRankAdapter
from sign2gpt.model.packed_linear import PackedLinear
from sign2gpt.model.spatial import SpatialModel


def features(spatial, frames):
    """Class tokens as transformers' own model makes them."""
    return spatial.backbone(pixel_values=frames).last_hidden_state[:, 0]


@pytest.fixture
def plain_adapters(monkeypatch):
    """Each adapter as three products of its own."""

    def three(self, linear: AdaptedLinear, inputs, bias=True):
        narrow = F.linear(inputs, self.down)
        return linear.product(inputs, bias) + F.linear(narrow, self.lora_b) * self.scale

    monkeypatch.setattr(LowRankAdapter, "apply_to", three)


def frozen(spatial):
    for weight in spatial.frozen_parameters():
        weight.requires_grad_(False)
    return spatial


def lively(module: nn.Module) -> nn.Module:
    """LayerScale that acts differently on each channel."""
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if "lambda1" in name:
                weight.uniform_(0.5, 1.5)
    return module


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_values_and_gradients(
    dtype, tolerance, shared, dropout, tiny_config, awaken, clips, plain_adapters, monkeypatch
):
    config = tiny_config(None, spatial_lora_shared_qkv=shared, spatial_lora_dropout=dropout)
    spatial = frozen(lively(awaken(SpatialModel(config)))).train().to(dtype)
    spatial.norm.eval()  # over so few frames it would enlarge rounding
    monkeypatch.setattr("sign2gpt.model.dinov2_block.dropout", lambda values, *_: values)
    monkeypatch.setattr("sign2gpt.model.adapted_product.dropped_levels", lambda p: None)
    frames = clips(11)[0].to(dtype)
    plain = copy.deepcopy(spatial)
    wanted = plain.norm(plain.projection(features(plain, frames)))
    found = spatial(frames)
    assert (found - wanted).norm() < tolerance * wanted.norm()
    weighing = torch.randn_like(found)
    (found * weighing).sum().backward()
    (wanted * weighing).sum().backward()
    for (name, own), (_, other) in zip(
        spatial.named_parameters(), plain.named_parameters(), strict=True
    ):
        assert (own.grad is None) == (other.grad is None), name
        if own.grad is not None:
            assert (own.grad - other.grad).norm() <= 2 * tolerance * other.grad.norm(), name


@pytest.mark.parametrize("grad", [True, False])
def test_bfloat16_is_no_further_off_than_autocast(grad, tiny_config, awaken, clips, plain_adapters):
    spatial = frozen(lively(awaken(SpatialModel(tiny_config(None))))).eval()
    frames, _ = clips(20)
    with torch.set_grad_enabled(grad):
        exact = spatial(frames)
        with torch.autocast("cpu", torch.bfloat16):
            found = spatial(frames).float()
            usual = spatial.norm(spatial.projection(features(spatial, frames))).float()
    off = (found - exact).norm() / exact.norm()
    assert 0 < off < 1.5 * (usual - exact).norm() / exact.norm() + 1e-3


def test_changed_weights_are_read(tiny_config, awaken, clips):
    """After a step, a load, a move and a merge, nothing made ready before is read again."""
    spatial = awaken(SpatialModel(tiny_config(None))).eval().requires_grad_(False)
    frames, _ = clips(4)
    layer = spatial.backbone.encoder.layer
    changes = [
        layer[0].mlp.fc1.weight,
        layer[1].attention.q_proj.adapter.lora_b,
        layer[2].layer_scale2.lambda1,
        layer[2].attention.v_proj.weight,
    ]
    with torch.no_grad():
        for weight in changes:
            before = spatial(frames)
            weight.normal_()
            after = spatial(frames)
            assert not torch.allclose(before, after, atol=1e-5)
            torch.testing.assert_close(
                after,
                spatial.norm(spatial.projection(features(spatial, frames))),
                atol=1e-4,
                rtol=1e-4,
            )
        moved = spatial.bfloat16()(frames)
        assert moved.dtype == torch.bfloat16


def test_an_optimisers_fused_steps_are_seen(tiny_config, awaken, clips):
    """They change weights without torch's counting it."""
    spatial = awaken(SpatialModel(tiny_config(None, train_backbone=True))).eval()
    optimiser = torch.optim.AdamW(spatial.parameters(), lr=0.1, fused=True)
    frames, _ = clips(4)
    for _ in range(3):
        with torch.no_grad():
            wanted = spatial.norm(spatial.projection(features(spatial, frames)))
            torch.testing.assert_close(spatial(frames), wanted, atol=1e-4, rtol=1e-4)
        copy.deepcopy(spatial)  # nothing kept belongs to a graph
        spatial(frames).square().sum().backward()
        optimiser.step()


def test_what_learnt_and_is_frozen_again_is_read_anew(tiny_config, awaken, clips):
    spatial = awaken(SpatialModel(tiny_config(None, train_backbone=True))).eval()
    optimiser = torch.optim.AdamW(spatial.parameters(), lr=0.1, fused=True)
    frames, _ = clips(4)
    for _ in range(2):
        spatial.requires_grad_(False)
        with torch.no_grad():
            found = spatial(frames)
            torch.testing.assert_close(found, copy.deepcopy(spatial)(frames))
        spatial.requires_grad_(True)
        spatial(frames).square().sum().backward()
        optimiser.step()


def test_a_backbone_that_learns_gets_its_gradients(tiny_config, clips):
    spatial = SpatialModel(tiny_config(None, spatial_lora_layers=0, train_backbone=True))
    spatial = spatial.train().double()
    frames = clips(4)[0].double()
    weighing = torch.randn(4, 32).double()
    (spatial(frames) * weighing).sum().backward()
    own = {n: w.grad for n, w in spatial.backbone.named_parameters()}
    spatial.zero_grad()
    wanted = spatial.norm(spatial.projection(features(spatial, frames)))
    (wanted * weighing).sum().backward()
    for name, weight in spatial.backbone.named_parameters():
        assert (own[name] is None) == (weight.grad is None), name
        if weight.grad is not None:
            torch.testing.assert_close(own[name], weight.grad, msg=name)


def test_groups_draw_the_same_dropout_again(tiny_config, awaken, clips, monkeypatch):
    """What a group drops on the way there is dropped on the way back: one group or several agree
    with finite differences of the same draws."""
    config = tiny_config(None, spatial_lora_dropout=0.5)
    spatial = frozen(awaken(SpatialModel(config))).train()
    spatial.gradient_checkpointing = True
    monkeypatch.setattr(spatial_module, "TOKENS_AT_ONCE", 3 * 5 * 32)  # 3 frames
    frames, _ = clips(8)
    weight = spatial.backbone.encoder.layer[1].mlp.fc2.adapter.lora_b

    def loss():
        torch.manual_seed(3)
        return spatial.double()(frames.double()).pow(3).sum()

    (gradient,) = torch.autograd.grad(loss(), weight)
    direction = torch.randn_like(weight)
    step = 1e-6
    sides = []
    for shift in (step, -2 * step):  # with gradients, as the draws follow the groups
        weight.data += shift * direction
        sides.append(loss().item())
    upper, lower = sides
    assert (gradient * direction).sum().item() == pytest.approx(
        (upper - lower) / (2 * step), rel=1e-4
    )


@pytest.mark.parametrize("recompute", [True, False])
def test_groups_give_the_gradients_of_all_frames_at_once(
    recompute, tiny_config, awaken, clips, monkeypatch
):
    spatial = frozen(awaken(SpatialModel(tiny_config(None, spatial_lora_dropout=0.0)))).train()
    spatial.gradient_checkpointing = recompute
    frames = clips(8)[0].double()
    learnt = [weight for weight in spatial.double().parameters() if weight.requires_grad]
    found = []
    for frames_at_once in (8, 3):
        monkeypatch.setattr(spatial_module, "TOKENS_AT_ONCE", frames_at_once * 5 * 32)
        found.append(torch.autograd.grad(spatial(frames).pow(3).sum(), learnt))
    for whole, grouped in zip(*found, strict=True):
        torch.testing.assert_close(grouped, whole, atol=1e-10, rtol=1e-10)


def test_a_resnet_that_learns_sees_all_frames_of_a_batch_at_once(tiny_config, clips, monkeypatch):
    """Its BatchNorm's statistics are of the batch, whatever passes at a time elsewhere."""
    resnet = ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic")
    config = tiny_config(None, vision_config=resnet, spatial_lora_layers=0, train_backbone=True)
    torch.manual_seed(0)
    spatial = SpatialModel(config).train()
    frames, _ = clips(8)
    found = []
    for values_at_once in (10**9, 1):
        monkeypatch.setattr(spatial_module, "PIXELS_AT_ONCE", values_at_once)
        found.append(spatial(frames))
    torch.testing.assert_close(*found)


@torch.no_grad()
def test_a_model_that_has_run_can_be_copied(tiny_config, awaken, clips):
    spatial = awaken(SpatialModel(tiny_config(None))).eval()
    frames, _ = clips(3)
    with torch.autocast("cpu", torch.bfloat16):
        found = spatial(frames)
        assert torch.equal(copy.deepcopy(spatial)(frames), found)
    spatial.bfloat16().reader.keep_ready()
    found = spatial(frames)
    assert torch.equal(copy.deepcopy(spatial)(frames), found)


def test_what_is_made_ready_without_gradients_serves_training(tiny_config, awaken, clips):
    spatial = awaken(SpatialModel(tiny_config(None, spatial_lora_dropout=0.5))).train()
    frames, _ = clips(3)
    with torch.inference_mode():
        spatial(frames)
    spatial(frames).sum().backward()
    learnt = [weight.grad for name, weight in spatial.named_parameters() if "lora_b" in name]
    assert learnt and any(gradient is not None and gradient.any() for gradient in learnt)


def test_a_model_made_without_gradients_runs(tiny_config, clips):
    with torch.inference_mode():
        spatial = SpatialModel(tiny_config(None)).eval()
        assert torch.isfinite(spatial(clips(3)[0])).all()


def test_a_new_table_of_positions_is_read(tiny_config, awaken, clips):
    spatial = awaken(SpatialModel(tiny_config(None))).eval()
    frames, _ = clips(3)
    embeddings = spatial.backbone.embeddings
    with torch.no_grad():
        for _ in range(8):
            table = embeddings.position_embeddings
            embeddings.position_embeddings = torch.nn.Parameter(torch.randn_like(table))
            del table
            plain = spatial.norm(spatial.projection(features(spatial, frames)))
            torch.testing.assert_close(spatial(frames), plain, atol=1e-4, rtol=1e-4)


def test_weights_written_unseen_are_read_after_forgetting(tiny_config, awaken, clips):
    spatial = awaken(SpatialModel(tiny_config(None))).eval()
    frames, _ = clips(3)
    with torch.no_grad():
        spatial(frames)
        spatial.backbone.encoder.layer[0].mlp.fc1.weight.data.normal_()
        spatial.reader.blocks.forget()
        plain = spatial.norm(spatial.projection(features(spatial, frames)))
        torch.testing.assert_close(spatial(frames), plain, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_ready_blocks_alone_give_the_same_and_hold_no_weight_twice(tiny_config, awaken, clips):
    spatial = lively(awaken(SpatialModel(tiny_config(None)))).eval()
    frames = clips(11)[0]
    wanted = spatial.requires_grad_(False)(frames)
    spatial.reader.keep_ready()
    assert torch.equal(spatial(frames), wanted)
    blocks = spatial.backbone.encoder.layer
    linears = [part for part in blocks.modules() if isinstance(part, nn.Linear)]
    assert linears and all(part.weight is None for part in linears)


@pytest.mark.parametrize(
    "name", ["hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_frozen_models_dropout_acts_in_training_where_it_is_asked_for(
    name, dtype, tiny_config, awaken, clips
):
    frames, _ = clips(4)
    vision = tiny_config(None).vision_config
    setattr(vision, name, 0.5)
    for asked in (False, True):
        config = tiny_config(
            None, vision_config=vision, frozen_dropout=asked, spatial_lora_dropout=0.0
        )
        spatial = frozen(awaken(SpatialModel(config))).to(dtype)
        for train in (True, False):
            spatial.train(train)
            first, second = (spatial(frames.to(dtype)) for _ in range(2))
            assert torch.isfinite(first).all()
            assert torch.equal(first, second) is not (asked and train)


def test_what_runs_again_drops_what_it_dropped(tiny_config, awaken, clips, monkeypatch):
    """In one step of autograd for a layer and its adapter, a few frames at a time."""
    monkeypatch.setattr(spatial_module, "TOKENS_AT_ONCE", 3 * 5 * 32)
    spatial = frozen(awaken(SpatialModel(tiny_config(None, spatial_lora_dropout=0.5)))).train()
    frames, _ = clips(8)
    learnt = [weight for weight in spatial.parameters() if weight.requires_grad]
    found = []
    for again in (False, True):
        spatial.gradient_checkpointing = again
        torch.manual_seed(3)
        found.append(torch.autograd.grad(spatial(frames).pow(3).sum(), learnt))
    for kept, recomputed in zip(*found, strict=True):
        torch.testing.assert_close(recomputed, kept)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_model_of_any_dtype_runs_under_autocast(dtype, tiny_config, awaken, clips):
    spatial = awaken(SpatialModel(tiny_config(None))).eval().requires_grad_(False)
    frames = torch.randint(0, 256, (4, 3, 28, 28), dtype=torch.uint8)
    wanted = spatial(frames)
    with torch.autocast("cpu", torch.bfloat16):
        found = spatial.to(dtype)(frames)
    assert (found.float() - wanted).norm() < 0.1 * wanted.norm()


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("layers", [0, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_stored_tokens_of_16_bits_train_a_model_of_any_dtype(
    dtype, layers, packs, tiny_config, awaken, clips, monkeypatch
):
    if not packs:
        monkeypatch.setattr(PackedLinear, "possible", lambda weight: False)
    spatial = awaken(SpatialModel(tiny_config(None, spatial_lora_layers=layers)))
    spatial = frozen(spatial).eval()
    frames, _ = clips(4)
    tokens = spatial.frozen_tokens(frames).bfloat16()
    weighing, found = torch.randn(4, 32), []
    for kind, autocast in ((torch.float32, False), (dtype, True)):
        spatial.to(kind).zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            made = spatial(frame_tokens=tokens)
        (made.float() * weighing).sum().backward()
        gradient = spatial.projection.weight.grad.float()
        found.append((made.detach().float(), gradient))
    for exact, near in zip(*found, strict=True):
        assert (near - exact).norm() < 0.1 * exact.norm()


def test_no_frames_give_no_features_with_gradients(tiny_config):
    spatial = frozen(SpatialModel(tiny_config(None))).eval()
    made = spatial(torch.zeros(0, 3, 28, 28, dtype=torch.uint8))
    assert made.shape == (0, 32) and made.requires_grad


@pytest.mark.parametrize("reentrant", [True, False])
def test_recomputation_drops_the_same_attention(reentrant):
    heads, found = torch.randn(2, 2, 5, 8).bfloat16().requires_grad_(), []
    for again in (False, True):
        torch.manual_seed(1)
        run = partial(attend, drop=0.5)
        given = (heads, heads, heads)
        made = checkpoint(run, *given, use_reentrant=reentrant) if again else run(*given)
        heads.grad = None
        made.float().square().sum().backward()
        found.append((made.detach(), heads.grad))
    torch.testing.assert_close(*found)
