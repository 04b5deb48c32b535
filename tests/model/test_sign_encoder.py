"""Lengths, precision and packing of the sign encoder."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sign2gpt.errors import UserError
from sign2gpt.model.positions import add_sinusoidal_positions
from sign2gpt.model.sign_encoder import SignEncoder


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 90), min_size=1, max_size=4))
def test_clip_has_half_its_frames_rounded_up(lengths, tiny_config):
    encoder = SignEncoder(tiny_config(None)).eval()
    with torch.no_grad():
        features, mask = encoder(torch.randn(sum(lengths), 32), torch.tensor(lengths))
    assert mask.sum(1).tolist() == [(length + 1) // 2 for length in lengths]
    assert features.shape[:2] == mask.shape == (len(lengths), (max(lengths) + 1) // 2)
    assert not features[~mask].any()


def test_pooling_is_that_of_avg_pool_1d(tiny_config):
    encoder = SignEncoder(tiny_config(None, downsample_after=4))
    without = SignEncoder(tiny_config(None, downsample_after=None))
    without.load_state_dict(encoder.state_dict())
    encoder.eval()
    without.eval()
    for length in (7, 8):
        frames, counts = torch.randn(length, 32), torch.tensor([length])
        pool = nn.AvgPool1d(3, stride=2, padding=1)
        expected = pool(without(frames, counts)[0].transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(encoder(frames, counts)[0], expected)


def test_padded_input_equals_packed_input(tiny_config):
    encoder = SignEncoder(tiny_config(None)).eval()
    packed, counts = torch.randn(12, 32), torch.tensor([5, 7])
    padded = torch.full((2, 7, 32), 9.0)
    padded[0, :5], padded[1] = packed[:5], packed[5:]
    for ours, reference in zip(encoder(padded, counts), encoder(packed, counts), strict=True):
        assert torch.equal(ours, reference)


@pytest.mark.parametrize("counts", [[5, 6], [12, 0], []])
def test_numbers_of_frames_that_do_not_fit_are_refused(counts, tiny_config):
    with pytest.raises(UserError, match="num_frames"):
        SignEncoder(tiny_config(None))(torch.randn(12, 32), torch.tensor(counts))


@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_stays_close_to_float32_at_position_2000(autocast, tiny_config):
    torch.manual_seed(0)
    config = tiny_config(None, num_sign_layers=1, downsample_after=None, attention_window=7)
    encoder = SignEncoder(config).eval()
    frames, counts = torch.randn(2048, 32), torch.tensor([2048])
    with torch.no_grad():
        exact = encoder(frames, counts)[0][0, 1980:2020]
        if autocast:
            with torch.autocast("cpu", torch.bfloat16):
                rough = encoder(frames, counts)[0]
        else:
            rough = encoder.bfloat16()(frames.bfloat16(), counts)[0]
    assert float((rough[0, 1980:2020].float() - exact).abs().max()) < 0.1


def test_positions_are_exact_in_bfloat16():
    table = add_sinusoidal_positions(torch.zeros(1, 4096, 8))
    angle = 4001.0 * 10000.0 ** (-2 / 8)
    expected = torch.tensor([angle]).double().sin()
    torch.testing.assert_close(table[0, 4001, 2:3].double(), expected, atol=2e-4, rtol=0)
    rough = add_sinusoidal_positions(torch.zeros(1, 4096, 8, dtype=torch.bfloat16))
    torch.testing.assert_close(rough.float(), table, atol=4e-3, rtol=0)
