"""A clip's results do not depend on the clips beside it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sign2gpt.model import Sign2GPTForConditionalGeneration, SignEncoderOutput
from sign2gpt.model.gated_attention import attend

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(scope="module")
def model(tiny_config, awaken):
    torch.manual_seed(3)
    return awaken(Sign2GPTForConditionalGeneration(tiny_config(num_pseudo_glosses=5))).eval()


@settings(max_examples=12, deadline=None)
@given(lengths=st.lists(st.integers(1, 80), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_alone_equals_in_a_batch(lengths, seed, model, clips):
    frames, num_frames = clips(*lengths, seed=seed)
    ids = torch.randint(3, 50, (len(lengths), 6), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        features, mask = model.encode(frames, num_frames)
        found = model.localise(frames, num_frames)
        logits = model(pixel_values=frames, num_frames=num_frames, decoder_input_ids=ids).logits
        start = 0
        for clip, length in enumerate(lengths):
            alone = frames[start : start + length]
            start += length
            own = model.localise(alone)
            tokens = own.sign_features.shape[1]
            assert tokens == int(mask[clip].sum()) == (length + 1) // 2
            torch.testing.assert_close(own.sign_features[0], features[clip, :tokens], **CLOSE)
            torch.testing.assert_close(own.presence[0], found.presence[clip], **CLOSE)
            torch.testing.assert_close(
                own.localisation[0], found.localisation[clip, :tokens], **CLOSE
            )
            given_ids = ids[clip : clip + 1]
            own_logits = model(pixel_values=alone, decoder_input_ids=given_ids).logits
            torch.testing.assert_close(own_logits[0], logits[clip], **CLOSE)


@pytest.mark.parametrize("lengths", [(8, 31), (9, 30), (1, 75)])
def test_beams_alone_equal_beams_in_a_batch(lengths, model, clips):
    frames, num_frames = clips(*lengths)
    together = model.generate(pixel_values=frames, num_frames=num_frames, max_length=10)
    short = model.generate(pixel_values=frames[: lengths[0]], max_length=10)
    row = together[0, : short.shape[1]]
    assert torch.equal(row, short[0])


def test_more_padding_changes_nothing(model):
    features, ids = torch.randn(1, 6, 32), torch.tensor([[2, 5, 6]])
    mask = torch.ones(1, 6, dtype=torch.bool)
    padded = torch.cat((features, torch.full((1, 9, 32), 7.0)), dim=1)
    more = torch.cat((mask, torch.zeros(1, 9, dtype=torch.bool)), dim=1)
    plain = model(encoder_outputs=(features, mask), decoder_input_ids=ids).logits
    outputs = SignEncoderOutput(padded, more)
    torch.testing.assert_close(
        model(encoder_outputs=outputs, decoder_input_ids=ids).logits, plain, **CLOSE
    )


def test_attention_in_training_is_that_of_the_fused_kernel():
    """Also of a clip of which nothing may be seen: it gets nothing, not NaN."""
    torch.manual_seed(0)
    query = torch.randn(2, 5, 4, 8, requires_grad=True)
    keys, values = torch.randn(2, 4, 7, 8), torch.randn(2, 4, 7, 8)
    mask = torch.tensor([[True, True, False, True, False, False, True], [False] * 7])
    mask = mask[:, None, None, :]
    found = attend(query, keys, values, mask)
    with torch.no_grad():
        wanted = attend(query, keys, values, mask)
    torch.testing.assert_close(found, wanted)
    assert not found[1].any()
    (gradient,) = torch.autograd.grad(found.square().sum(), query)
    assert bool(gradient.isfinite().all()) and not gradient[1].any()
