"""The first layer as one product, against transformers' own."""

import copy
from types import SimpleNamespace

import pytest
import torch
from transformers import Dinov2Config
from transformers.models.dinov2.modeling_dinov2 import Dinov2Embeddings

from sign2gpt.model.dinov2_embedding import ReadyEmbedding, normalised
from sign2gpt.model.packed_linear import PackedLinear

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COLOURS = SimpleNamespace(image_mean=MEAN, image_std=STD)
SIZES = [(28, 28), (42, 56)]  # the table's own, and one that is neither square nor the table's


@pytest.fixture
def embeddings():
    torch.manual_seed(0)
    made = Dinov2Embeddings(Dinov2Config(hidden_size=32, image_size=28, patch_size=14))
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_()
    return made.eval().requires_grad_(False)


def frames(height, width, count=3):
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8)


@torch.no_grad()
@pytest.mark.parametrize("of_bytes", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_tokens_are_those_of_transformers(embeddings, size, of_bytes):
    given = frames(*size)
    values = normalised(given, MEAN, STD, torch.float32)
    wanted = embeddings(values)
    found = ReadyEmbedding(embeddings, COLOURS)(given if of_bytes else values)
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-4)


@torch.no_grad()
@pytest.mark.skipif(
    not PackedLinear.possible(torch.zeros(1).bfloat16()), reason="no bfloat16 products here"
)
def test_bytes_lose_less_in_bfloat16_than_normalised_values(embeddings):
    given = frames(28, 28, count=64)
    values = normalised(given, MEAN, STD, torch.float32)
    exact = embeddings(values)
    ready = ReadyEmbedding(embeddings, COLOURS)
    with torch.autocast("cpu", torch.bfloat16):
        of_bytes, of_values = ready(given).float(), ready(values).float()
        usual = embeddings(values).float()
    errors = [(one - exact).norm() for one in (of_bytes, of_values, usual)]
    assert 0 < errors[0] < 1.05 * errors[1]
    assert errors[1] < 1.2 * errors[2]


@torch.no_grad()
def test_changed_weights_are_read(embeddings):
    ready = ReadyEmbedding(embeddings, COLOURS)
    given = frames(28, 28)
    for weight in embeddings.patch_embeddings.projection.parameters():
        before = ready(given)
        weight.normal_()
        after = ready(given)
        assert not torch.allclose(before, after, atol=1e-2)
        values = normalised(given, MEAN, STD, torch.float32)
        torch.testing.assert_close(after, embeddings(values), atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(copy.deepcopy(ready)(given), after)


def test_an_embedding_that_learns_gets_its_gradients(embeddings):
    embeddings.requires_grad_(True)
    given = frames(42, 56)
    ReadyEmbedding(embeddings, COLOURS)(given).square().sum().backward()
    found = {name: weight.grad for name, weight in embeddings.named_parameters()}
    embeddings.zero_grad()
    embeddings(normalised(given, MEAN, STD, torch.float32)).square().sum().backward()
    for name, weight in embeddings.named_parameters():
        assert (found[name] is None) == (weight.grad is None), name
        if weight.grad is not None:
            torch.testing.assert_close(found[name], weight.grad, atol=1e-3, rtol=1e-4)


@torch.no_grad()
def test_other_colours_act_at_once(embeddings):
    colours = SimpleNamespace(image_mean=MEAN, image_std=STD)
    ready, given = ReadyEmbedding(embeddings, colours), frames(28, 28)
    ready(given)
    colours.image_mean = (0.1, 0.2, 0.3)
    wanted = embeddings(normalised(given, colours.image_mean, STD, torch.float32))
    torch.testing.assert_close(ready(given), wanted, atol=1e-3, rtol=1e-4)
