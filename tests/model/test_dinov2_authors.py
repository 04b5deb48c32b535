"""DINOv2 in its authors' layout, against their forward pass written plainly."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoModelForCausalLM

from sign2gpt.errors import UserError
from sign2gpt.model.sources import frozen_config, load_weights


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
def test_authors_dinov2_gives_its_own_class_token(
    swiglu, registers, chunks, tmp_path, with_vision, feature
):
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
def test_an_authors_file_that_is_not_whole_is_an_error(change, words, tmp_path, with_vision):
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


def test_weights_of_one_kind_are_not_taken_for_the_other(tmp_path):
    torch.save(authors_tensors(), tmp_path / "dinov2.pth")
    with pytest.raises(UserError, match="no language model"):
        load_weights(tmp_path / "dinov2.pth", AutoModelForCausalLM)
