"""Dropout with few random bits: its statistics, its gradient, its seed."""

import pytest
import torch

from sign2gpt.model.dropout import dropout
from sign2gpt.model.local_attention import local_attention
from sign2gpt.model.precision import meta_as

SIZE = (3, 150_001)  # several chunks, no multiple of four


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_zero_with_probability_p_and_the_mean_stays(p, dtype, inplace):
    torch.manual_seed(0)
    values = torch.ones(SIZE, dtype=dtype)
    kept = dropout(values, p, inplace=inplace)
    spread = (p * (1 - p) / kept.numel()) ** 0.5
    assert float((kept == 0).float().mean()) == pytest.approx(p, abs=5 * spread)
    assert float(kept.float().mean()) == pytest.approx(1.0, abs=5 * spread / (1 - p) + 4e-3 * p)
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)], rel=4e-3)
    neighbours = (kept[:, 1:] == 0) & (kept[:, :-1] == 0)
    assert float(neighbours.float().mean()) == pytest.approx(p * p, rel=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("value", [3e38, float("inf"), float("nan")])
def test_what_is_dropped_is_zero_whatever_it_was(value, dtype):
    kept = dropout(torch.full(SIZE, value, dtype=dtype), 0.5)
    dropped = kept == 0
    assert float(dropped.float().mean()) == pytest.approx(0.5, abs=0.01)
    assert not torch.isfinite(kept[~dropped]).any()


def test_gradient_passes_where_values_did():
    values = torch.randn(SIZE, requires_grad=True)
    for inplace in (False, True):
        kept = dropout(values * 1.0, 0.3, inplace=inplace)
        (gradient,) = torch.autograd.grad(kept.sum(), values)
        torch.testing.assert_close(gradient * values, kept)


def test_seed_of_torch_sets_the_draw_and_evaluation_draws_nothing():
    values = torch.randn(SIZE)
    torch.manual_seed(3)
    first, second = dropout(values, 0.1), dropout(values, 0.1)
    torch.manual_seed(3)
    assert torch.equal(dropout(values, 0.1), first) and not torch.equal(first, second)
    assert dropout(values, 0.1, training=False) is values
    assert torch.equal(dropout(values, 0.0), values)
    assert not dropout(values, 1.0).any()


@pytest.mark.parametrize("length", [24, 300])  # dense and in blocks
def test_attention_weights_drop_out_with_probability_p(length):
    torch.manual_seed(0)
    zeros = torch.zeros(2, 4, length, 8)  # every weight is 1 / 7
    values = torch.eye(8).repeat(length // 8 + 1, 1)[:length].expand(2, 4, -1, -1)
    mask = torch.ones(2, length, dtype=torch.bool)
    weights = local_attention(zeros, zeros, values, mask, 7, 0.25)[:, :, 3:-3]
    seen = local_attention(zeros, zeros, values, mask, 7, 0.0)[:, :, 3:-3] > 0
    kept = weights[seen]
    assert float((kept == 0).float().mean()) == pytest.approx(
        0.25, abs=0.03 if length < 99 else 0.01
    )
    assert float(kept.mean()) == pytest.approx(1 / 7, rel=0.04 if length < 99 else 0.01)


def test_sizes_are_counted_without_values():
    values = torch.empty(SIZE, device="meta", requires_grad=True)
    before = torch.get_rng_state()
    with meta_as("cpu", None):
        kept = dropout(values, 0.1)
        (gradient,) = torch.autograd.grad(kept.sum(), values)
    assert kept.shape == gradient.shape == values.shape and gradient.is_meta
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("p", [0.1, 0.002])
def test_each_value_has_the_same_chance(p):
    """Whatever its place among those that share a draw of thresholds: in bytes alone a p of 0.002
    would be 0 at half of the places, and twice as much at the others."""
    torch.manual_seed(0)
    values, times = torch.ones(256), 20_000
    share = sum((dropout(values, p) == 0).double() for _ in range(times)) / times
    spread = (p * (1 - p) / times) ** 0.5
    assert float((share - p).abs().max()) < 5 * spread
    assert float(share.mean()) == pytest.approx(p, abs=5 * spread / 16)
