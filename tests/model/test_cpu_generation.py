"""A decoder laid out for generation on a CPU says the same; in fewer bits, nearly the same."""

import copy
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from transformers import Gemma2Config

from sign2gpt.errors import UserError
from sign2gpt.model import Sign2GPTForConditionalGeneration
from sign2gpt.model.beam_cache import BeamCache
from sign2gpt.model.cpu_generation import lay_out, wide_dtype
from sign2gpt.model.cpu_products import FewRowsLinear, HalfEmbedding, HalfLinear, Int8Linear
from sign2gpt.model.packed_linear import PackedLinear
from sign2gpt.model.precision import Precision
from sign2gpt.translate import make_ready

TOKENS = torch.tensor([[2, 5, 6, 7], [2, 9, 8, 4]])
# Standard deviation of the logits' error over theirs, against float32, of tiny random models.
ERROR = {Precision.float32: 1e-6, Precision.bfloat16: 0.02, Precision.int8: 0.03}
needs_bf16 = pytest.mark.skipif(
    not PackedLinear.possible(torch.zeros(1, 1).bfloat16()),
    reason="this CPU does not multiply in bfloat16",
)


@pytest.fixture(params=["xglm", "llama", "qwen2", "qwen3"])
def model(request, tiny_config, awaken) -> Sign2GPTForConditionalGeneration:
    torch.manual_seed(5)
    return awaken(Sign2GPTForConditionalGeneration(tiny_config(request.param))).eval()


def laid_out(model, precision=Precision.float32, kept=None):
    other = copy.deepcopy(model).to(wide_dtype(precision))
    lay_out(other.decoder, precision, kept)
    return other


def signs(dtype=torch.float32):
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(2, 6, 32, generator=generator).to(dtype)
    return {"sign_features": features, "sign_mask": torch.arange(6) < torch.tensor([[6], [4]])}


@pytest.mark.parametrize("precision", list(ERROR), ids=lambda kind: kind.value)
def test_logits_stay_near(model, precision):
    with torch.no_grad():
        wanted = model(**signs(), decoder_input_ids=TOKENS).logits
        given = laid_out(model, precision)
        logits = given(**signs(wide_dtype(precision)), decoder_input_ids=TOKENS).logits.float()
    error = (logits - wanted).std() / wanted.std()
    assert error < ERROR[precision]


def test_weights_published_in_16_bits_are_held_in_16_and_lose_nothing(model):
    rounded = copy.deepcopy(model)
    for weight in rounded.parameters():
        weight.data = weight.data.half().float()
    given = laid_out(rounded)
    halves = sum(isinstance(part, HalfLinear) for part in given.modules())
    assert halves > 0 or "fbgemm" not in torch.backends.quantized.supported_engines
    kinds = (HalfLinear, HalfEmbedding)
    assert not any(isinstance(part, kinds) for part in laid_out(model).modules())
    assert halves == 0 or isinstance(given.get_input_embeddings(), HalfEmbedding)
    with torch.no_grad():
        wanted = rounded(**signs(), decoder_input_ids=TOKENS).logits
        logits = given(**signs(), decoder_input_ids=TOKENS).logits
    torch.testing.assert_close(logits, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rows", [(1,), (4,), (2, 3), (2, 3, 4), (40,)])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("kind", [FewRowsLinear, HalfLinear, partial(PackedLinear, rows=4)])
def test_products_of_any_rows(kind, biased, rows):
    torch.manual_seed(0)
    weight = torch.randn(24, 16).half().float()
    if kind is HalfLinear and not HalfLinear.possible(weight):
        pytest.skip("this torch has no such product")
    bias, inputs = torch.randn(24) if biased else None, torch.randn(*rows, 16)
    wanted = torch.nn.functional.linear(inputs, weight, bias)
    torch.testing.assert_close(kind(weight, bias)(inputs), wanted, atol=1e-5, rtol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        found = kind(weight, bias)(inputs.bfloat16())
    torch.testing.assert_close(found.float(), wanted, atol=0.2, rtol=0.02)


@pytest.fixture
def no_bfloat16(monkeypatch):
    """A CPU that does not multiply in bfloat16."""
    monkeypatch.setattr("sign2gpt.model.cpu_generation.fast_bf16", lambda device: False)


@pytest.mark.skipif(not HalfLinear.possible(torch.ones(1)), reason="no such product here")
def test_what_float16_cannot_hold_stays_in_float32(model, no_bfloat16):
    layer = model.decoder.language_model.base_model.layers[0]
    wide = next(part for part in layer.modules() if type(part) is torch.nn.Linear)
    with torch.no_grad():
        wide.weight[3, 4] = 1e6
        wanted = model(**signs(), decoder_input_ids=TOKENS).logits
        given = laid_out(model, Precision.bfloat16)
        logits = given(**signs(), decoder_input_ids=TOKENS).logits
    assert sum(isinstance(part, PackedLinear) for part in given.modules()) == 1
    assert (logits - wanted).std() < ERROR[Precision.bfloat16] * wanted.std()


@pytest.mark.parametrize("fbgemm", [True, False])
def test_16_bits_take_16_bits(model, fbgemm, no_bfloat16, monkeypatch):
    """Also of a model saved in them, and where the library for them is missing."""
    if fbgemm and not HalfLinear.possible(torch.ones(1)):
        pytest.skip("this torch has no such product")
    monkeypatch.setattr("sign2gpt.model.cpu_products._fbgemm", lambda: fbgemm)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for saved, precision in ((torch.float32, Precision.bfloat16), (torch.bfloat16, None)):
        given = copy.deepcopy(model).to(saved)
        make_ready(given, precision, None)
        blocks = given.decoder.language_model.base_model.layers
        if fbgemm:
            assert any(isinstance(part, HalfLinear) for part in blocks.modules())
        large = [weight for weight in blocks.parameters() if weight.dim() > 1]
        assert all(weight.dtype == torch.bfloat16 for weight in large)


@pytest.mark.parametrize("precision", list(ERROR), ids=lambda kind: kind.value)
def test_threads_do_not_meet(model, precision):
    given = laid_out(model, precision)

    def search(seed):
        generator = torch.Generator().manual_seed(seed)
        features = torch.randn(1, 6, 32, generator=generator).to(wide_dtype(precision))
        mask = torch.ones(1, 6, dtype=torch.bool)
        with torch.inference_mode():
            signs = {"sign_features": features, "sign_mask": mask}
            return given.generate(**signs, num_beams=3, max_new_tokens=8).tolist()

    wanted = [search(seed) for seed in range(16)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(search, range(16))) == wanted


def test_a_model_made_ready_cannot_be_trained(model, clips):
    make_ready(model, None, None)
    frames, num_frames = clips(5, 3)
    output = model(pixel_values=frames, num_frames=num_frames, labels=TOKENS)
    with pytest.raises(RuntimeError, match="does not require grad"):
        output.loss.backward()


@needs_bf16
@pytest.mark.parametrize("rows", [(1,), (4,), (2, 3)])
def test_packed_products_are_bfloat16s(rows):
    torch.manual_seed(0)
    weight, bias = torch.randn(24, 16).bfloat16(), torch.randn(24).bfloat16()
    inputs = torch.randn(*rows, 16).bfloat16()
    wanted = torch.nn.functional.linear(inputs, weight, bias)
    torch.testing.assert_close(PackedLinear(weight, bias, rows=4)(inputs), wanted)


@needs_bf16
def test_gradients_of_packed_products_are_an_error_not_wrong():
    packed = PackedLinear(torch.randn(24, 16).bfloat16(), None, rows=4)
    with pytest.raises(UserError, match="gives no gradients"):
        packed(torch.randn(2, 16).bfloat16().requires_grad_())


@pytest.mark.skipif(not Int8Linear.possible(), reason="this torch does not multiply in 8 bits")
@pytest.mark.parametrize("width", [64, 1024])
def test_sums_of_8_bit_products_do_not_overflow(width):
    """Weights and features at the end of their range, as in a feature far larger than the rest."""
    given = Int8Linear(torch.full((3, width), 0.5), torch.ones(3))(torch.full((2, width), 7.0))
    torch.testing.assert_close(given, torch.full((2, 3), 3.5 * width + 1))


@pytest.mark.skipif(not Int8Linear.possible(), reason="this torch does not multiply in 8 bits")
def test_a_row_of_zeros_gives_the_bias():
    bias = torch.randn(3)
    given = Int8Linear(torch.randn(3, 16), bias)(torch.zeros(2, 16))
    assert torch.equal(given, bias.expand(2, 3))


def test_a_bias_of_any_layout():
    weight, bias = torch.randn(24, 16), torch.randn(48)[::2]
    inputs = torch.randn(4, 16)
    wanted = torch.nn.functional.linear(inputs, weight, bias)
    torch.testing.assert_close(PackedLinear(weight, bias, rows=4)(inputs), wanted)


@pytest.mark.skipif(not Int8Linear.possible(), reason="this torch does not multiply in 8 bits")
def test_a_feature_far_larger_than_the_rest_leaves_them_their_digits():
    torch.manual_seed(0)
    weight, inputs = torch.randn(64, 256), torch.randn(5, 256)
    inputs[:, 7] *= 100
    weight[:, 7] = 0  # what is left is of the small ones
    error = Int8Linear(weight, None)(inputs) - inputs @ weight.T
    assert error.std() < 0.05 * (inputs @ weight.T).std()  # a row in 8 bits: 0.5


SEARCHES = {
    "greedy": {"num_beams": 1},
    "beams": {"num_beams": 4},
    "several sentences": {"num_beams": 4, "num_return_sequences": 3},
    "longer than its rooms": {"num_beams": 3, "min_length": 80, "max_length": 80},
    "a prompt": {"num_beams": 3, "decoder_input_ids": TOKENS},
    "a padded prompt": {
        "num_beams": 3,
        "decoder_input_ids": TOKENS,
        "decoder_attention_mask": torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]]),
    },
    "no cache": {"num_beams": 3, "use_cache": False},
    "another cache": {"num_beams": 3, "cache_implementation": "static"},
    "drawn": {"num_beams": 1, "do_sample": True, "num_return_sequences": 2},
    "beams drawn": {"num_beams": 3, "do_sample": True},
}


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_the_same_sentences_in_float32(search, model, monkeypatch):
    monkeypatch.setattr("sign2gpt.model.beam_cache.ROOM", 16)  # texts outgrow theirs
    torch.manual_seed(3)
    wanted = model.generate(**signs(), **({"max_length": 14} | search))
    torch.manual_seed(3)
    given = laid_out(model).generate(**signs(), **({"max_length": 14} | search))
    assert torch.equal(given, wanted)


def test_attention_with_more_to_it_stays_as_transformers_has_it(tiny_config, awaken):
    sizes = tiny_config("llama").text_config
    text = Gemma2Config(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, max_position_embeddings=128,
        pad_token_id=sizes.pad_token_id, bos_token_id=0, eos_token_id=2,
        layer_types=["full_attention"] * 2,
        attn_logit_softcapping=0.5, final_logit_softcapping=None,
    )  # fmt: skip
    torch.manual_seed(5)
    plain = awaken(Sign2GPTForConditionalGeneration(tiny_config(text_config=text))).eval()
    given = laid_out(plain)
    with torch.no_grad():
        wanted = plain(**signs(), decoder_input_ids=TOKENS).logits
        logits = given(**signs(), decoder_input_ids=TOKENS).logits
    torch.testing.assert_close(logits, wanted, atol=1e-5, rtol=1e-5)
    search = {"num_beams": 3, "max_length": 14}
    assert torch.equal(given.generate(**signs(), **search), plain.generate(**signs(), **search))


def test_the_texts_of_a_clip_share_a_row(model, monkeypatch):
    made = []

    def make(*args):
        made.append(BeamCache(*args))
        return made[-1]

    make.possible = BeamCache.possible
    monkeypatch.setattr("sign2gpt.model.generation.BeamCache", make)
    given = laid_out(model)
    given.generate(**signs(), num_beams=4, max_new_tokens=3, min_new_tokens=3)
    assert [cache.get_seq_length() for cache in made] == [3]
    assert made[0].layers[0].keys.shape[0] == 2  # clips


@torch.no_grad()
def test_kept_tokens_alone_are_said_with_the_same_scores(model):
    wanted = model.generate(**signs(), num_beams=4, max_length=12)
    said = sorted({*wanted.flatten().tolist(), 2})
    kept = laid_out(model, kept=said)
    logits = kept(**signs(), decoder_input_ids=TOKENS).logits
    plain = model(**signs(), decoder_input_ids=TOKENS).logits
    torch.testing.assert_close(logits[..., said], plain[..., said], atol=1e-5, rtol=1e-5)
    rest = [token for token in range(50) if token not in said]
    assert bool((logits[..., rest] == -torch.inf).all())
    few = laid_out(model, kept=range(10))
    assert set(few.generate(**signs(), max_length=12).flatten().tolist()) <= set(range(10))


def test_tokens_outside_the_vocabulary_are_refused(model):
    for wrong in ([], [50], [-1, 3]):
        with pytest.raises(UserError, match="0 to 49"):
            lay_out(model.decoder, kept_tokens=wrong)


@torch.no_grad()
def test_tables_in_16_bits_stay_so_where_all_else_becomes_wide(model):
    given = laid_out(model.bfloat16(), Precision.int8)
    embedding = given.get_input_embeddings()
    assert isinstance(embedding, HalfEmbedding)
    assert embedding._table[0].dtype == torch.bfloat16
    assert {weight.dtype for weight in given.decoder.parameters()} == {torch.float32}
    wanted = model.get_input_embeddings()(TOKENS)
    torch.testing.assert_close(embedding(TOKENS), wanted.float(), atol=1e-2, rtol=1e-2)


@torch.no_grad()
def test_a_tied_head_in_float32_is_held_once(model):
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    embedding.weight[3, 4] = 1 / 3  # which float16 does not hold
    if head.weight is not embedding.weight:
        pytest.skip("this one's head is untied")
    given = laid_out(model)
    held = given.decoder.head.weight
    assert held.data_ptr() == given.get_input_embeddings().weight.data_ptr()


@torch.no_grad()
def test_threads_read_their_own_rows():
    table = torch.nn.Embedding(50, 4)
    given, numbers = HalfEmbedding(copy.deepcopy(table)), torch.arange(50)

    def rows(token: int) -> bool:
        found = [given(numbers[token : token + 1]) for _ in range(300)]
        return all(
            torch.equal(one, table.weight[token : token + 1].half().float()) for one in found
        )

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(rows, range(50)))
    finally:
        sys.setswitchinterval(before)


def test_an_untied_heads_weight_is_held_once(model):
    given = laid_out(model, Precision.int8, kept=[2, 5, 6])
    head = given.get_output_embeddings()
    halved = isinstance(given.get_input_embeddings(), HalfEmbedding)
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert (head.weight is None) == (not tied or halved)
