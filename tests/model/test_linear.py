"""Linear layers through oneDNN against torch's own."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from sign2gpt.model import linear
from sign2gpt.model.linear import Linear, affine


def values_and_gradients(product, inputs, weight, bias):
    """Of a sum whose gradient differs from place to place; None where none is asked for."""
    given = [one for one in (inputs, weight, bias) if one is not None]
    out = product(*given)
    if out.requires_grad:
        (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum().backward()
    return out.detach(), *(one.grad for one in given)


@pytest.fixture
def every_size(monkeypatch):
    monkeypatch.setattr(linear, "_LARGE", 0)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    widths=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    biased=st.booleans(),
    learning=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    turned=st.booleans(),
)
def test_values_and_gradients_are_linears(rows, widths, biased, learning, turned):
    generator = torch.Generator().manual_seed(0)
    shapes = (*rows, widths[0]), (widths[1], widths[0]), (widths[1],)
    inputs, weight, bias = (torch.randn(shape, generator=generator) for shape in shapes)
    if turned:  # a view whose last dimension is not the innermost
        inputs = inputs.transpose(0, -1).contiguous().transpose(0, -1)
    given = [
        one.requires_grad_(asked)
        for one, asked in zip((inputs, weight, bias), learning, strict=True)
    ]
    given = given if biased else [*given[:2], None]
    wide = [
        None if one is None else one.detach().double().requires_grad_(one.requires_grad)
        for one in given
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear, "_LARGE", 0)
        found = values_and_gradients(affine, *given)
    for one, wanted in zip(found, values_and_gradients(F.linear, *wide), strict=True):
        assert (one is None) == (wanted is None)
        if one is not None:
            torch.testing.assert_close(one, wanted.float(), atol=1e-4, rtol=1e-4)


def test_a_large_product_goes_another_way_to_the_same_values():
    torch.manual_seed(0)
    layer = Linear(512, 1024)
    inputs = torch.randn(2, 150, 512, requires_grad=True)
    large = layer(inputs)
    assert "Product" in large.grad_fn.name()
    assert "Product" not in layer(inputs[:, :20]).grad_fn.name()
    torch.testing.assert_close(large, F.linear(inputs, layer.weight, layer.bias))
    double = [one.detach().double() for one in (inputs, layer.weight, layer.bias)]
    torch.testing.assert_close(large, F.linear(*double).float(), atol=1e-5, rtol=1e-5)


def test_autocast_and_other_types_are_torchs(every_size):
    layer = Linear(16, 24)
    inputs = torch.randn(5, 16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(inputs)
    assert found.dtype == torch.bfloat16 and "Product" not in found.grad_fn.name()
    assert "Product" not in layer.double()(inputs.double()).grad_fn.name()
    assert layer.to("meta")(inputs.to("meta")).shape == (5, 24)
