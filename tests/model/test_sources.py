"""Frozen models from every layout people have on disk, in random small checkpoints."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    CLIPConfig,
    ConvNextConfig,
    ConvNextForImageClassification,
    Dinov2Config,
    DINOv3ViTConfig,
    GPT2Config,
    ResNetConfig,
    SiglipConfig,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

from sign2gpt.errors import UserError
from sign2gpt.model import Sign2GPTForConditionalGeneration
from sign2gpt.model.sources import (
    frozen_config,
    image_colours,
    load_tokenizer,
    locate,
    special_tokens,
)

VIT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip


# Vision models in transformers' layout, under the names that published files carry.

PUBLISHED = {
    "dinov2": (lambda: AutoModel.from_config(Dinov2Config(
        **{k: v for k, v in VIT.items() if k != "intermediate_size"}, mlp_ratio=2)),
        "encoder.layer.0.attention.attention.query.weight"),
    "dinov3": (lambda: AutoModel.from_config(DINOv3ViTConfig(**VIT, num_register_tokens=2)),
        "layer.0.attention.q_proj.weight"),
    "siglip, whole": (lambda: AutoModel.from_config(SiglipConfig(vision_config=VIT, text_config={
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "vocab_size": 9,
        "num_attention_heads": 2})), "vision_model.encoder.layers.0.self_attn.q_proj.weight"),
    "clip, whole": (lambda: AutoModel.from_config(CLIPConfig(vision_config=VIT, text_config={
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "vocab_size": 9,
        "num_attention_heads": 2})), "vision_model.encoder.layers.0.self_attn.q_proj.weight"),
    "vit with a pooler": (lambda: ViTModel(ViTConfig(**VIT)),
        "encoder.layer.0.attention.attention.query.weight"),
    "vit of a classifier": (lambda: ViTForImageClassification(ViTConfig(**VIT)),
        "vit.encoder.layer.0.attention.attention.query.weight"),
    "convnext of a classifier": (lambda: ConvNextForImageClassification(ConvNextConfig(
        hidden_sizes=[8, 16], depths=[1, 1], num_stages=2)),
        "convnext.encoder.stages.0.layers.0.dwconv.weight"),
    "resnet": (lambda: AutoModel.from_config(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16],
        depths=[1, 1], layer_type="basic")),
        "encoder.stages.0.layers.0.layer.0.convolution.weight"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PUBLISHED)
def test_published_vision_layout_fills_the_backbone(kind, tmp_path, with_vision, feature):
    build, name = PUBLISHED[kind]
    torch.manual_seed(0)
    given = build().eval()
    given.half().save_pretrained(tmp_path)  # float16 on disk
    assert name in load_file(tmp_path / "model.safetensors")
    model = with_vision(tmp_path)
    frames = torch.randn(3, 3, 28, 28)
    with torch.no_grad():
        given = given.float()
        own = getattr(
            given, "vision_model", getattr(given, "vit", getattr(given, "convnext", given))
        )
        output = own(pixel_values=frames)
        pooled = None if "vit" in kind else output.pooler_output
        expected = output.last_hidden_state[:, 0] if pooled is None else pooled.flatten(1)
    assert feature(model, frames).dtype == torch.float32
    torch.testing.assert_close(feature(model, frames), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["siglip, whole", "vit of a classifier", "resnet"])
@pytest.mark.parametrize("fault", ["lacks", "left-over"])
def test_a_folder_that_is_not_whole_is_an_error(kind, fault, tmp_path, with_vision):
    build, name = PUBLISHED[kind]
    build().save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    if fault == "lacks":
        del weights[name]
    else:
        weights[f"{name}.more"] = torch.zeros(2)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=fault):
        with_vision(tmp_path)


def test_source_says_the_colours_of_its_frames(tmp_path):
    assert image_colours("facebook/dinov2-small") == {}
    PUBLISHED["siglip, whole"][0]().save_pretrained(tmp_path)
    assert image_colours(tmp_path)["image_std"] == [0.5, 0.5, 0.5]
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}'
    )
    assert image_colours(tmp_path) == {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}


# Language models in transformers' layout.


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["xglm", "llama", "qwen2", "qwen3"])
def test_language_model_gives_its_own_logits(family, dtype, tiny_config, awaken, tmp_path):
    given = awaken(AutoModelForCausalLM.from_config(tiny_config(family).text_config))
    given.to(dtype).save_pretrained(tmp_path)
    given = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    config = tiny_config(text_config=frozen_config(tmp_path))
    model = Sign2GPTForConditionalGeneration.from_pretrained_parts(config, language=tmp_path)
    ids = torch.tensor([[2, 7, 8, 9]])
    signs = torch.randn(1, 3, 32)
    logits = model(sign_features=signs, decoder_input_ids=ids).logits
    assert torch.equal(logits, given(input_ids=ids).logits)


def test_language_model_built_differently_is_an_error(tiny_config, tmp_path):
    given = AutoModelForCausalLM.from_config(
        GPT2Config(n_layer=1, n_embd=32, n_head=2, vocab_size=50, bos_token_id=0, eos_token_id=2)
    )
    given.save_pretrained(tmp_path)
    config = tiny_config(text_config=frozen_config(tmp_path))
    with pytest.raises(UserError, match=r"'gpt2'.*Llama family"):
        Sign2GPTForConditionalGeneration.from_pretrained_parts(config, language=tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("package:no_such_package_at_all/x.gguf", "not installed"),
        ("package:os.path/x.gguf", "not installed"),
        ("package:sign2gpt/x.gguf", "holds no 'x.gguf'"),
        ("package:sign2gpt", "holds no ''"),
    ],
)
def test_a_package_without_the_file_is_an_error(name, words):
    for use in (locate, frozen_config, load_tokenizer):
        with pytest.raises(UserError, match=words):
            use(name)


def test_a_folder_inside_a_package_is_found():
    assert locate("package:sign2gpt/priors/pose-vit") == locate("sign2gpt/pose-vit")
    assert frozen_config("package:sign2gpt/priors/weather-xglm").model_type == "xglm"


def test_tokenizer_with_no_padding_is_padded_by_its_end(tmp_path):
    tokenizer = load_tokenizer("sign2gpt/weather-xglm")
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).pad_token_id == tokenizer.eos_token_id
    tokenizer.eos_token = None
    tokenizer.save_pretrained(tmp_path / "endless")
    with pytest.raises(UserError, match="no end token"):
        load_tokenizer(tmp_path / "endless")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_tokenizer(tmp_path / "nowhere")


def test_generation_stops_where_labels_end(tiny_config):
    tokenizer = load_tokenizer("sign2gpt/weather-xglm")
    text = tiny_config("llama").text_config
    for ends, expected in ((7, 2), ([7, 2], [7, 2]), (2, 2)):
        text.eos_token_id = ends
        config = tiny_config(text_config=text, **special_tokens(tokenizer, text))
        assert config.eos_token_id == expected
    assert config.decoder_start_token_id == tokenizer.bos_token_id
