"""A frozen layer and its adapter in one step of autograd, against the layers one by one."""

import pytest
import torch
import torch.nn.functional as F

from sign2gpt.model.adapted_product import AdaptedProduct
from sign2gpt.model.dropout import dropout
from sign2gpt.model.packed_linear import PackedLinear

ROWS, WIDE, OUT, RANK = (3, 37), 96, 80, 4


@pytest.fixture
def parts():
    torch.manual_seed(0)
    weight, bias = torch.randn(OUT, WIDE), torch.randn(OUT)
    inputs, down, up = torch.randn(*ROWS, WIDE), torch.randn(RANK, WIDE), torch.randn(OUT, RANK)
    return weight, bias, [one.requires_grad_() for one in (inputs, down, up)]


@pytest.mark.parametrize("p", [0.0, 0.3])
@pytest.mark.parametrize("biased", [True, False])
def test_values_and_gradients_are_those_of_layer_and_adapter(parts, p, biased):
    weight, bias, learnt = parts
    inputs, down, up = learnt
    bias = bias if biased else None
    torch.manual_seed(5)
    found = AdaptedProduct(weight, bias, rows=111)(inputs, down, up, p)
    torch.manual_seed(5)  # the same values are dropped
    narrow = F.linear(dropout(inputs.flatten(0, 1), p).view_as(inputs), down)
    wanted = F.linear(inputs, weight, bias) + F.linear(narrow, up)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    weighing = torch.randn_like(found)
    own = torch.autograd.grad((found * weighing).sum(), learnt)
    other = torch.autograd.grad((wanted * weighing).sum(), learnt)
    for one, two in zip(own, other, strict=True):
        torch.testing.assert_close(one, two, atol=1e-3, rtol=1e-4)


def test_inputs_that_learn_nothing_leave_the_adapter_its_gradients(parts):
    weight, bias, (inputs, down, up) = parts
    found = AdaptedProduct(weight, bias, rows=111)(inputs.detach(), down, up, 0.0)
    own = torch.autograd.grad(found.square().sum(), [down, up])
    wanted = F.linear(inputs.detach(), weight + up @ down, bias)
    other = torch.autograd.grad(wanted.square().sum(), [down, up])
    for one, two in zip(own, other, strict=True):
        torch.testing.assert_close(one, two, atol=0.5, rtol=1e-3)


def test_a_gradient_of_any_layout(parts):
    weight, bias, learnt = parts
    product = AdaptedProduct(weight, bias, rows=111)
    found = product(*learnt, 0.0)
    weighing = torch.randn(OUT, *ROWS).permute(1, 2, 0)
    own = torch.autograd.grad(found, learnt, weighing, retain_graph=True)
    other = torch.autograd.grad(found, learnt, weighing.contiguous())
    for one, two in zip(own, other, strict=True):
        torch.testing.assert_close(one, two)


def test_nearly_all_dropped_is_not_none_dropped(parts):
    weight, bias, (inputs, _, up) = parts
    down = torch.ones(RANK, WIDE)
    found = AdaptedProduct(weight, bias, rows=111)(torch.ones_like(inputs), down, up, 0.999)
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
        product = AdaptedProduct(weight.to(dtype), bias.to(dtype), rows=111)
        made = product(*[one.to(dtype) for one in learnt], 0.3)
        found[dtype] = torch.autograd.grad(made.float().square().sum(), learnt)
    for exact, near in zip(*found.values(), strict=True):
        assert (near - exact).norm() < 0.02 * exact.norm()


def test_the_way_back_is_not_in_autocast(parts):
    weight, bias, learnt = parts
    made = AdaptedProduct(weight, bias, rows=111)(*learnt, 0.0).sum()
    outside = torch.autograd.grad(made, learnt, retain_graph=True)
    with torch.autocast("cpu", torch.bfloat16):
        inside = torch.autograd.grad(made, learnt)
    for one, two in zip(inside, outside, strict=True):
        torch.testing.assert_close(one, two)
