"""Equations 1 to 5 and the layers' other formulas, each against a few lines of plain code."""

import math

import pytest
import torch
from torch import nn

from sign2gpt.errors import UserError
from sign2gpt.model import Sign2GPTForConditionalGeneration, Sign2GPTForPseudoGlossPretraining
from sign2gpt.model.lora import AdaptedLinear, LowRankAdapter
from sign2gpt.model.presence import presence_of
from sign2gpt.model.pseudo_gloss_head import PseudoGlossHead
from sign2gpt.model.sign_encoder import SignEncoderLayer


@pytest.mark.parametrize("family", ["xglm", "llama"])
def test_equation_1_gated_attention(family, tiny_config, awaken):
    model = awaken(Sign2GPTForConditionalGeneration(tiny_config(family))).eval()
    gated = model.decoder.gates[1]
    layer = model.decoder.language_model.base_model.layers[1]
    norm = layer.self_attn_layer_norm if family == "xglm" else layer.input_layernorm
    text, signs = torch.randn(1, 3, 32), torch.randn(1, 6, 32)
    mask = torch.tensor([[True] * 4 + [False] * 2])
    memory = model.decoder.remember(signs, mask)

    def project(adapter, linear, inputs):
        weight = linear.weight + adapter.scale * adapter.lora_b @ adapter.lora_a
        out = inputs @ weight.T
        return out if linear.bias is None else out + linear.bias

    attention = gated.attention
    q = project(gated.cross_query, attention.q_proj, text[0])
    k = project(gated.cross_key, attention.k_proj, norm(memory.states)[0, :4])
    v = project(gated.cross_value, attention.v_proj, norm(memory.states)[0, :4])
    group = 1 if family == "xglm" else 2
    heads = []
    for head in range(4):
        qs, ks = slice(8 * head, 8 * head + 8), slice(8 * (head // group), 8 * (head // group) + 8)
        weights = torch.softmax(q[:, qs] @ k[:, ks].T / math.sqrt(8), dim=-1)
        heads.append(gated.gate[head] * weights @ v[:, ks])
    out = attention.out_proj if family == "xglm" else attention.o_proj
    weight = out.weight + out.adapter.scale * out.adapter.lora_b @ out.adapter.lora_a
    expected = torch.cat(heads, dim=-1) @ weight.T
    torch.testing.assert_close(gated.cross(text, memory)[0], expected, atol=1e-5, rtol=1e-5)


def test_equations_2_to_5_pseudo_gloss_head(tiny_config, awaken):
    head = awaken(PseudoGlossHead(tiny_config(None, num_pseudo_glosses=5))).eval()
    with torch.no_grad():
        head.tau_time.fill_(0.3)
        head.tau_prototype.fill_(0.2)
    features = torch.randn(2, 7, 32)
    mask = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    localisation, presence = head(features, mask)
    for clip, length in enumerate((7, 4)):
        z = features[clip, :length] @ head.projection.weight.T + head.projection.bias
        prototypes = torch.cat((head.prototypes, torch.zeros(1, 12)))
        similarity = torch.zeros(length, 6)
        for i in range(length):
            for j in range(5):
                similarity[i, j] = z[i] @ prototypes[j] / (z[i].norm() * prototypes[j].norm())
        over_time = torch.softmax(similarity / 0.3, dim=0)
        over_prototypes = torch.softmax(similarity / 0.2, dim=1)
        expected = (over_time * over_prototypes)[:, :5]
        torch.testing.assert_close(localisation[clip, :length], expected)
        assert not localisation[clip, length:].any()
        torch.testing.assert_close(presence[clip], expected.sum(0))


@pytest.mark.parametrize("size", [5, 600])  # one chunk of prototypes, and three
def test_presence_in_training_is_that_of_the_equations_with_its_gradients(size, tiny_config):
    torch.manual_seed(0)
    head = PseudoGlossHead(tiny_config(None, num_pseudo_glosses=size, pseudo_gloss_dropout=0.0))
    head.set_prototypes(torch.randn(size, 12))
    with torch.no_grad():
        head.tau_time.fill_(0.05)
        head.tau_prototype.fill_(0.02)
    features = torch.randn(8, 512 if size > 5 else 7, 32).requires_grad_()
    lengths = torch.tensor([1, 2, 3, 4, 5, 6, 7, features.shape[1]])
    mask = torch.arange(features.shape[1]) < lengths[:, None]
    wanted = torch.randn(8, size)
    learnt = [features, *head.parameters()]
    plain, ours = head(features, mask)[1], head.presence(features, mask)
    torch.testing.assert_close(ours, plain, atol=1e-6, rtol=2e-5)
    gradients = [torch.autograd.grad((found * wanted).sum(), learnt) for found in (ours, plain)]
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
    assert not gradients[0][0][~mask].any()


def test_gradients_of_presence_are_its_derivatives():
    torch.manual_seed(0)
    features = nn.functional.normalize(torch.randn(2, 5, 4).double(), dim=-1)
    prototypes = nn.functional.normalize(torch.randn(6, 4).double(), dim=-1)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    taus = (torch.tensor(tau).double().requires_grad_() for tau in (0.3, 0.2))
    given = (features.requires_grad_(), prototypes, mask, *taus)
    assert torch.autograd.gradcheck(presence_of, given)


@pytest.mark.parametrize("tau", [0.02, 5.0, 5000.0])
def test_padding_counts_for_nothing_at_any_temperature(tau):
    torch.manual_seed(0)
    features = nn.functional.normalize(torch.randn(1, 3, 4), dim=-1)
    prototypes, taus = nn.functional.normalize(torch.randn(6, 4), dim=-1), [torch.tensor(tau)] * 2
    longer = torch.cat([features, torch.zeros(1, 9, 4)], 1)
    alone = presence_of(features, prototypes, torch.ones(1, 3, dtype=torch.bool), *taus)
    mask = torch.arange(12)[None] < 3
    torch.testing.assert_close(presence_of(longer, prototypes, mask, *taus), alone)


def test_in_training_with_labels_only_the_presence_is_made(tiny_config, awaken, clips):
    model = awaken(Sign2GPTForPseudoGlossPretraining(tiny_config(None, num_pseudo_glosses=5)))
    frames, num_frames = clips(5, 8)
    given = {"pixel_values": frames, "num_frames": num_frames}
    labels = torch.tensor([[1, 0, 0, 1, 0], [0, 1, 0, 0, 0]])
    trained = model.train()(**given, pseudo_gloss_labels=labels)
    assert trained.localisation is None and trained.presence.shape == (2, 5)
    assert model(**given).localisation is not None
    assert model.eval()(**given, pseudo_gloss_labels=labels).localisation is not None


def test_pretraining_loss_is_ten_times_the_mean_cross_entropy(tiny_config, awaken, clips):
    config = tiny_config(None, num_pseudo_glosses=5)
    model = awaken(Sign2GPTForPseudoGlossPretraining(config)).eval()
    frames, num_frames = clips(5, 8)
    labels = torch.tensor([[1, 0, 0, 1, 0], [0, 1, 0, 0, 0]])
    out = model(pixel_values=frames, num_frames=num_frames, pseudo_gloss_labels=labels)
    p = out.presence
    terms = labels * p.log() + (1 - labels) * (1 - p).log()
    torch.testing.assert_close(out.loss, -10 * terms.mean())


def test_certain_presence_gives_a_bounded_gradient(tiny_config, awaken):
    head = awaken(PseudoGlossHead(tiny_config(None, num_pseudo_glosses=2)))
    presence = torch.tensor([[1.0, 0.0]], requires_grad=True)
    head.loss(presence, torch.tensor([[0, 1]])).backward()
    assert float(presence.grad.abs().max()) < 1e8


def test_temperatures_are_put_back_where_they_have_a_gradient(tiny_config, awaken):
    config = tiny_config(None, num_pseudo_glosses=3, tau_time_min=0.07, tau_prototype_min=0.02)
    model = awaken(Sign2GPTForPseudoGlossPretraining(config))
    head = model.pseudo_gloss_head
    for given, kept in ((5.0, (1.0, 1.0)), (-1.0, (0.07, 0.02))):
        with torch.no_grad():
            head.tau_time.fill_(given)
            head.tau_prototype.fill_(given)
        model.project_parameters_()
        assert (head.tau_time.item(), head.tau_prototype.item()) == pytest.approx(kept)
    _, presence = head(torch.randn(1, 4, 32), torch.ones(1, 4, dtype=torch.bool))
    presence.sum().backward()
    assert head.tau_time.grad != 0 and head.tau_prototype.grad != 0


def test_prototypes_of_another_shape_or_none_at_all_are_refused(tiny_config, clips):
    model = Sign2GPTForPseudoGlossPretraining(tiny_config(None, num_pseudo_glosses=3))
    with pytest.raises(UserError, match=r"\(4, 12\).*\(3, 12\)"):
        model.pseudo_gloss_head.set_prototypes(torch.zeros(4, 12))
    with pytest.raises(UserError, match="not finite"):
        model.pseudo_gloss_head.set_prototypes(torch.full((3, 12), float("nan")))
    with pytest.raises(UserError, match="set_prototypes"):
        model(pixel_values=clips(4)[0], pseudo_gloss_labels=torch.zeros(1, 3))


@pytest.mark.parametrize("rows", [3, 200])  # the narrow and the merged way
def test_adapter_is_the_weight_plus_alpha_over_rank_b_a(rows):
    linear = nn.Linear(12, 20)
    adapter = LowRankAdapter(12, 20, rank=4, alpha=8.0, dropout=0.5)
    nn.init.normal_(adapter.lora_b)
    adapted = AdaptedLinear(linear, adapter).eval()
    inputs = torch.randn(rows, 12)
    expected = inputs @ (linear.weight + 2.0 * adapter.lora_b @ adapter.lora_a).T + linear.bias
    torch.testing.assert_close(adapted(inputs), expected, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(adapted(inputs), expected, atol=1e-5, rtol=1e-5)


def test_sign_encoder_layer_is_post_norm_with_layer_scale_and_rotary_positions(tiny_config):
    layer = SignEncoderLayer(tiny_config(None, sign_layer_scale=0.5), drop_path=0.1).eval()
    tokens, length, width = torch.randn(1, 9, 32), 9, 8
    angles = torch.arange(9.0)[:, None] * 10000.0 ** (-torch.arange(0, width, 2) / width)
    cos, sin = angles.cos(), angles.sin()

    def turn(x):
        first, second = x[:, : width // 2], x[:, width // 2 :]
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=1)

    band = (torch.arange(length)[:, None] - torch.arange(length)[None]).abs() <= 3
    heads = []
    for head in range(4):
        part = slice(width * head, width * head + width)
        q, k, v = (p(tokens[0])[:, part] for p in (layer.query, layer.key, layer.value))
        scores = turn(q) @ turn(k).T / math.sqrt(width)
        heads.append(scores.masked_fill(~band, float("-inf")).softmax(-1) @ v)
    hidden = layer.attention_norm(tokens[0] + 0.5 * layer.out(torch.cat(heads, dim=1)))
    fed = layer.contract(nn.functional.gelu(layer.expand(hidden)))
    expected = layer.feed_forward_norm(hidden + 0.5 * fed)
    mask = torch.ones(1, length, dtype=torch.bool)
    torch.testing.assert_close(layer(tokens, mask, (cos, sin))[0], expected, atol=1e-5, rtol=1e-5)


def test_translation_loss_counts_real_targets_only(tiny_config, awaken, clips):
    model = awaken(Sign2GPTForConditionalGeneration(tiny_config())).eval()
    frames, num_frames = clips(5, 6)
    labels = torch.tensor([[7, 8, 2, -100], [9, 2, -100, -100]])
    out = model(pixel_values=frames, num_frames=num_frames, labels=labels)
    log_p = out.logits.log_softmax(-1)
    terms = []
    for clip, position in (labels != -100).nonzero().tolist():
        of_target = log_p[clip, position, labels[clip, position]]
        terms.append(-0.9 * of_target - 0.1 * log_p[clip, position].mean())
    torch.testing.assert_close(out.loss, torch.stack(terms).mean())
    ids = torch.tensor([[2, 7, 8, 2], [2, 9, 2, 1]])
    given = model(pixel_values=frames, num_frames=num_frames, decoder_input_ids=ids)
    assert torch.equal(given.logits, out.logits)
