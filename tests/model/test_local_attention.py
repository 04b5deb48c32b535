"""Windowed attention in blocks against the same attention with a dense mask."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.checkpoint import checkpoint

from sign2gpt.model.local_attention import local_attention


def dense(query, key, value, mask, window):
    positions = torch.arange(query.shape[2])
    near = (positions[:, None] - positions[None]).abs() <= window // 2
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    scores = scores.masked_fill(~(near & mask[:, None, None, :]), float("-inf"))
    return torch.nan_to_num(scores.softmax(-1)) @ value


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 150), min_size=1, max_size=3),
    window=st.sampled_from([1, 3, 7, 31, 65]),
    seed=st.integers(0, 99),
)
def test_equals_dense_attention_with_gradients(lengths, window, seed):
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    q, k, v = (
        torch.randn(len(lengths), 2, longest, 4, generator=generator).requires_grad_()
        for _ in range(3)
    )
    mask = torch.arange(longest)[None] < torch.tensor(lengths)[:, None]
    real = mask[:, None, :, None]
    gradients, results = [], []
    for attention in (local_attention, dense):
        result = attention(q, k, v, mask, window) * real
        gradients.append(torch.autograd.grad((result**2).sum(), (q, k, v)))
        results.append(result.detach())
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-5)
    for ours, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, reference, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("length", [24, 300])  # dense and in blocks
@pytest.mark.parametrize("reentrant", [True, False])
def test_recomputation_drops_the_same_weights(length, reentrant):
    generator = torch.Generator().manual_seed(0)
    heads = torch.randn(1, 2, length, 4, generator=generator).requires_grad_()
    mask = torch.ones(1, length, dtype=torch.bool)

    def run(query):
        return local_attention(query, query, query, mask, 7, 0.5)

    found = []
    for again in (False, True):
        torch.manual_seed(1)
        made = checkpoint(run, heads, use_reentrant=reentrant) if again else run(heads)
        heads.grad = None
        made.square().sum().backward()
        found.append((made.detach(), heads.grad))
    torch.testing.assert_close(*found)


def test_padding_rows_are_finite_and_get_finite_gradients():
    for length in (20, 300):
        q = torch.randn(1, 2, length, 4, requires_grad=True)
        mask = torch.arange(length)[None] < 5
        out = local_attention(q, q, q, mask, 7)
        out.sum().backward()
        assert bool(out.isfinite().all()) and bool(q.grad.isfinite().all())


def test_global_attention_sees_every_real_token():
    q = torch.randn(1, 1, 100, 4)
    mask = torch.arange(100)[None] < 90
    expected = (q[:, :, :, :] @ q[:, :, :90].transpose(-1, -2) / 2).softmax(-1) @ q[:, :, :90]
    torch.testing.assert_close(local_attention(q, q, q, mask, None), expected)
