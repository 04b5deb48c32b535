"""A frozen layer and its adapter in one step of autograd, against the layers one by one."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sign2gpt.model.adapted_product import AdaptedProduct
from sign2gpt.model.dropout import dropout
from sign2gpt.model.lora import AdaptedLinear, LowRankAdapter
from sign2gpt.model.packed_linear import PackedLinear

ROWS, WIDE, OUT, RANK = (3, 37), 96, 80, 4


@pytest.fixture
def parts():
    torch.manual_seed(0)
    weight, bias = torch.randn(OUT, WIDE), torch.randn(OUT)
    inputs, down, up = torch.randn(*ROWS, WIDE), torch.randn(RANK, WIDE), torch.randn(OUT, RANK)
    return weight, bias, [one.requires_grad_() for one in (inputs, down, up)]


KINDS = {"packed": partial(AdaptedProduct.packed, rows=111), "plain": AdaptedProduct.plain}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", [0.0, 0.3])
@pytest.mark.parametrize("biased", [True, False])
def test_values_and_gradients_are_those_of_layer_and_adapter(parts, p, biased, kind):
    weight, bias, learnt = parts
    inputs, down, up = learnt
    bias = bias if biased else None
    torch.manual_seed(5)
    found = KINDS[kind](weight, bias)(inputs, down, up, p)
    torch.manual_seed(5)  # the same values are dropped
    narrow = F.linear(dropout(inputs.flatten(0, 1), p).view_as(inputs), down)
    wanted = F.linear(inputs, weight, bias) + F.linear(narrow, up)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    weighing = torch.randn_like(found)
    own = torch.autograd.grad((found * weighing).sum(), learnt)
    other = torch.autograd.grad((wanted * weighing).sum(), learnt)
    for one, two in zip(own, other, strict=True):
        torch.testing.assert_close(one, two, atol=1e-3, rtol=1e-4)


@pytest.fixture
def adapted():
    """Two adapters of one layer, which forms one step with each."""
    torch.manual_seed(0)
    layer = nn.Linear(WIDE, OUT).requires_grad_(False)
    adapters = [LowRankAdapter(WIDE, OUT, RANK, 8.0, dropout=0.3) for _ in range(2)]
    for adapter in adapters:
        nn.init.normal_(adapter.lora_b)
    return AdaptedLinear(layer, adapters[0]), adapters[1]


@pytest.mark.parametrize("held", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
def test_an_adapter_in_training_gives_what_its_two_products_do(adapted, bias, held):
    layer, other = adapted
    layer.weight.data = layer.weight.data.to(held)
    learnt = [torch.randn(*ROWS, WIDE, requires_grad=True), *other.parameters()]

    def by_hand(inputs):
        narrow = F.linear(dropout(inputs, other.dropout), other.lora_a) * other.scale
        frozen = F.linear(inputs, layer.weight, layer.bias if bias else None)
        return frozen + F.linear(narrow, other.lora_b)

    found = {}
    with torch.autocast("cpu", torch.bfloat16, enabled=held is torch.bfloat16):
        for name, run in ("own", partial(other.apply_to, layer, bias=bias)), ("hand", by_hand):
            torch.manual_seed(5)
            made = run(learnt[0])
            found[name] = made, *torch.autograd.grad(made.float().square().sum(), learnt)
    for own, wanted in zip(*found.values(), strict=True):
        assert own.dtype == wanted.dtype and own.shape == wanted.shape
        near = 1e-5 if held is torch.float32 else 0.02
        assert (own - wanted).norm() < near * wanted.norm()


@pytest.mark.parametrize("p", [0.3, 0.9999])
def test_a_single_row_without_leading_dimensions(adapted, p):
    layer, other = adapted
    other.dropout = p
    inputs, found = torch.randn(WIDE), []
    for given in (inputs, inputs[None]):
        torch.manual_seed(5)
        found.append(other.apply_to(layer, given))
    assert found[0].shape == (OUT,)
    torch.testing.assert_close(found[0], found[1][0])
    with torch.no_grad():
        torch.manual_seed(5)
        torch.testing.assert_close(other.apply_to(layer, inputs), found[0])


def test_a_layer_that_learns_gets_its_gradient(adapted):
    layer, _ = adapted
    layer.weight.requires_grad_()
    inputs = torch.randn(*ROWS, WIDE)
    torch.manual_seed(5)
    layer(inputs).sum().backward()
    wanted = inputs.flatten(0, 1).sum(0).expand(OUT, -1)
    torch.testing.assert_close(layer.weight.grad, wanted)


def test_inputs_that_learn_nothing_leave_the_adapter_its_gradients(parts):
    weight, bias, (inputs, down, up) = parts
    found = AdaptedProduct.packed(weight, bias, rows=111)(inputs.detach(), down, up, 0.0)
    own = torch.autograd.grad(found.square().sum(), [down, up])
    wanted = F.linear(inputs.detach(), weight + up @ down, bias)
    other = torch.autograd.grad(wanted.square().sum(), [down, up])
    for one, two in zip(own, other, strict=True):
        torch.testing.assert_close(one, two, atol=0.5, rtol=1e-3)


def test_a_gradient_of_any_layout(parts):
    weight, bias, learnt = parts
    product = AdaptedProduct.packed(weight, bias, rows=111)
    found = product(*learnt, 0.0)
    weighing = torch.randn(OUT, *ROWS).permute(1, 2, 0)
    own = torch.autograd.grad(found, learnt, weighing, retain_graph=True)
    other = torch.autograd.grad(found, learnt, weighing.contiguous())
    for one, two in zip(own, other, strict=True):
        torch.testing.assert_close(one, two)


def test_nearly_all_dropped_is_not_none_dropped(parts):
    weight, bias, (inputs, _, up) = parts
    down = torch.ones(RANK, WIDE)
    found = AdaptedProduct.packed(weight, bias, rows=111)(torch.ones_like(inputs), down, up, 0.999)
    whole = F.linear(torch.ones_like(inputs), weight + up @ down, bias)
    assert not torch.isclose(found, whole, rtol=1e-2, atol=1e-2).all(-1).any()


@pytest.mark.skipif(
    not PackedLinear.possible(torch.zeros(1).bfloat16()), reason="no bfloat16 products here"
)
def test_gradients_in_bfloat16_are_near_those_in_float32(parts):
    weight, bias, learnt = parts
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(5)
        product = AdaptedProduct.packed(weight.to(dtype), bias.to(dtype), rows=111)
        made = product(*[one.to(dtype) for one in learnt], 0.3)
        found[dtype] = torch.autograd.grad(made.float().square().sum(), learnt)
    for exact, near in zip(*found.values(), strict=True):
        assert (near - exact).norm() < 0.02 * exact.norm()


def test_the_way_back_is_not_in_autocast(parts):
    weight, bias, learnt = parts
    made = AdaptedProduct.packed(weight, bias, rows=111)(*learnt, 0.0).sum()
    outside = torch.autograd.grad(made, learnt, retain_graph=True)
    with torch.autocast("cpu", torch.bfloat16):
        inside = torch.autograd.grad(made, learnt)
    for one, two in zip(inside, outside, strict=True):
        torch.testing.assert_close(one, two)
