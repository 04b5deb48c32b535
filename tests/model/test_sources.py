"""Frozen models from every layout people have on disk, in random small checkpoints."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor
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
from sign2gpt.model import (
    Sign2GPTConfig,
    Sign2GPTForConditionalGeneration,
    Sign2GPTForPseudoGlossPretraining,
)
from sign2gpt.model.sources import (
    frozen_config,
    image_colours,
    load_tokenizer,
    load_weights,
    locate,
    special_tokens,
)

SMALL = {"pseudo_gloss_size": 12, "sign_hidden_size": 32, "num_sign_heads": 4}
VIT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip


def with_vision(source: Path) -> Sign2GPTForPseudoGlossPretraining:
    config = Sign2GPTConfig(
        vision_config=frozen_config(source), spatial_lora_layers=0, num_pseudo_glosses=3, **SMALL
    )
    return Sign2GPTForPseudoGlossPretraining.from_pretrained_parts(config, vision=source)


def feature(model: Sign2GPTForPseudoGlossPretraining, frames: Tensor) -> Tensor:
    with torch.no_grad():
        return model.spatial_model.frozen_tokens(frames)[:, 0]


# The authors' DINOv2, in their layout and written plainly from their code.


def authors_tensors(
    width: int = 128, depth: int = 3, side: int = 4, swiglu: bool = False, registers: int = 0
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) * 0.2

    tensors = {
        "cls_token": draw(1, 1, width),
        "pos_embed": draw(1, 1 + side**2, width),
        "mask_token": draw(1, width),
        "patch_embed.proj.weight": draw(width, 3, 14, 14) * 0.1,
        "patch_embed.proj.bias": draw(width),
        "norm.weight": 1 + draw(width),
        "norm.bias": draw(width),
    }
    if registers:
        tensors["register_tokens"] = draw(1, registers, width)
    inner = (int(width * 4 * 2 / 3) + 7) // 8 * 8 if swiglu else width * 4
    mlp = {"w12": (2 * inner, width), "w3": (width, inner)}
    linears = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
    linears |= {f"mlp.{name}": shape for name, shape in mlp.items() if swiglu}
    if not swiglu:
        linears |= {"mlp.fc1": (inner, width), "mlp.fc2": (width, inner)}
    for block in range(depth):
        for name, shape in linears.items():
            tensors[f"blocks.{block}.{name}.weight"] = draw(*shape)
            tensors[f"blocks.{block}.{name}.bias"] = draw(shape[0])
        for name in ("norm1", "norm2"):
            tensors[f"blocks.{block}.{name}.weight"] = 1 + draw(width)
            tensors[f"blocks.{block}.{name}.bias"] = draw(width)
        for name in ("ls1", "ls2"):
            tensors[f"blocks.{block}.{name}.gamma"] = draw(width)
    return tensors


def authors_class_token(w: dict[str, Tensor], frames: Tensor) -> Tensor:
    """Pre-norm blocks with one fused qkv and LayerScale; frames of the position table's size."""
    width = w["cls_token"].shape[-1]

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (width,), w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-6)

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = F.conv2d(frames, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=14)
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([w["cls_token"].expand(len(x), -1, -1), x], 1) + w["pos_embed"]
    if "register_tokens" in w:
        x = torch.cat([x[:, :1], w["register_tokens"].expand(len(x), -1, -1), x[:, 1:]], 1)
    for block in range(sum(name.endswith("ls1.gamma") for name in w)):
        b = f"blocks.{block}"
        n, length, heads = len(x), x.shape[1], width // 64
        qkv = linear(norm(x, f"{b}.norm1"), f"{b}.attn.qkv")
        q, k, v = qkv.reshape(n, length, 3, heads, 64).permute(2, 0, 3, 1, 4)
        weights = (q * 64**-0.5 @ k.transpose(-2, -1)).softmax(-1)
        attended = (weights @ v).transpose(1, 2).reshape(n, length, width)
        x = x + w[f"{b}.ls1.gamma"] * linear(attended, f"{b}.attn.proj")
        h = norm(x, f"{b}.norm2")
        if f"{b}.mlp.w12.weight" in w:
            first, second = linear(h, f"{b}.mlp.w12").chunk(2, dim=-1)
            h = linear(F.silu(first) * second, f"{b}.mlp.w3")
        else:
            h = linear(F.gelu(linear(h, f"{b}.mlp.fc1")), f"{b}.mlp.fc2")
        x = x + w[f"{b}.ls2.gamma"] * h
    return norm(x, "norm")[:, 0]


@pytest.mark.parametrize("swiglu", [False, True], ids=["mlp", "swiglu"])
@pytest.mark.parametrize("registers", [0, 4])
@pytest.mark.parametrize("chunks", [0, 2])
def test_authors_dinov2_gives_its_own_class_token(swiglu, registers, chunks, tmp_path):
    tensors = authors_tensors(swiglu=swiglu, registers=registers, depth=4)
    published = tensors
    if chunks:  # blocks.CHUNK.N., N running on
        published = {
            f"blocks.{int(n.split('.')[1]) // chunks}.{n.removeprefix('blocks.')}"
            if n.startswith("blocks.")
            else n: tensor
            for n, tensor in tensors.items()
        }
    torch.save(published, tmp_path / "dinov2.pth")
    model = with_vision(tmp_path / "dinov2.pth")
    vision = model.config.vision_config
    assert (vision.num_attention_heads, vision.image_size, vision.num_hidden_layers) == (2, 56, 4)
    frames = torch.randn(3, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    own = authors_class_token(tensors, frames)
    assert float(own.std(0).mean()) > 0.1
    torch.testing.assert_close(feature(model, frames), own, atol=2e-4, rtol=1e-4)


def test_sizes_of_an_authors_file_are_those_of_the_published_configuration(tmp_path):
    tensors = authors_tensors(width=384, depth=12, side=37)
    torch.save({n: t.half() for n, t in tensors.items()}, tmp_path / "dinov2_vits14_pretrain.pth")
    found = frozen_config(tmp_path / "dinov2_vits14_pretrain.pth").to_dict()
    assert found == frozen_config("facebook/dinov2-small").to_dict()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("blocks.1.attn.proj.bias"), "lacks encoder.layer.1.attention.o_proj.bias"),
        (lambda t: t.pop("blocks.1.attn.qkv.weight"), "lacks encoder.layer.1.attention.k_proj"),
        (lambda t: t.pop("mask_token"), "lacks embeddings.mask_token"),
        (lambda t: t.pop("pos_embed"), "lacks pos_embed"),
        (lambda t: t.clear(), "lacks cls_token"),
        (lambda t: t.update(head=torch.zeros(2)), "left-over head"),
        (lambda t: t.update({"blocks.0.attn.bias": torch.zeros(2)}), "left-over blocks.0.attn"),
        (lambda t: t.update({"norm.bias": torch.zeros(3)}), "another shape of layernorm.bias"),
        (lambda t: t.update(epoch=3), "no table of weights"),
        (lambda t: t.update(path=Path("x")), "more than tensors"),
    ],
)
def test_an_authors_file_that_is_not_whole_is_an_error(change, words, tmp_path):
    tensors = authors_tensors()
    change(tensors)
    torch.save(tensors, tmp_path / "dinov2.pth")
    with pytest.raises(UserError, match=words):
        with_vision(tmp_path / "dinov2.pth")


class Runs:
    """What a pickle can do that a table of tensors cannot: call anything."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_no_code_runs_out_of_an_authors_file(tmp_path):
    torch.save({**authors_tensors(), "more": Runs(tmp_path / "ran")}, tmp_path / "dinov2.pth")
    with pytest.raises(UserError, match="more than tensors"):
        frozen_config(tmp_path / "dinov2.pth")
    assert not (tmp_path / "ran").exists()


def test_a_damaged_or_absent_authors_file_is_an_error(tmp_path):
    (tmp_path / "damaged.pth").write_bytes(b"PK\x03\x04 not a checkpoint")
    for name, words in (("damaged.pth", "damaged"), ("absent.pth", "no file")):
        with pytest.raises(UserError, match=words):
            frozen_config(tmp_path / name)


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
def test_published_vision_layout_fills_the_backbone(kind, tmp_path):
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
def test_a_folder_that_is_not_whole_is_an_error(kind, fault, tmp_path):
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


def test_weights_of_one_kind_are_not_taken_for_the_other(tmp_path):
    torch.save(authors_tensors(), tmp_path / "dinov2.pth")
    with pytest.raises(UserError, match="no language model"):
        load_weights(tmp_path / "dinov2.pth", AutoModelForCausalLM)
