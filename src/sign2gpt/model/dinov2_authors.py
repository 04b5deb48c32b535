"""DINOv2 in its authors' key layout (`dinov2_vits14_pretrain.pth`), as transformers' DINOv2.

Sizes are read off the tensors; a head is 64 wide in all published sizes. One fused qkv, LayerScale,
and for the giant SwiGLU; `_reg4` files have register tokens. Where blocks were saved in chunks, a
block's number runs on through the chunks, so the chunk's can go.

Shapes: C width, P patches a side of the position table, F inner width of the MLP.
"""

import math
import pickle
import re
from pathlib import Path

import torch
from torch import Tensor
from transformers import Dinov2Config, Dinov2WithRegistersConfig, PreTrainedConfig

from sign2gpt.errors import UserError

HEAD_WIDTH = 64

_OUTSIDE = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "mask_token": "embeddings.mask_token",
    "register_tokens": "embeddings.register_tokens",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
    "norm.weight": "layernorm.weight",
    "norm.bias": "layernorm.bias",
}
# Within a block: one tensor may be several of ours, stacked along its first axis.
_INSIDE = {
    "norm1": ("norm1",),
    "attn.qkv": ("attention.q_proj", "attention.k_proj", "attention.v_proj"),
    "attn.proj": ("attention.o_proj",),
    "norm2": ("norm2",),
    "mlp.fc1": ("mlp.fc1",),
    "mlp.fc2": ("mlp.fc2",),
    "mlp.w12": ("mlp.gate_proj", "mlp.up_proj"),
    "mlp.w3": ("mlp.down_proj",),
}
_SCALES = {"ls1.gamma": "layer_scale1.lambda1", "ls2.gamma": "layer_scale2.lambda1"}
_BLOCK = re.compile(r"blocks\.(?:\d+\.)?(\d+)\.(.+)")


def read_dinov2(path: str | Path) -> tuple[PreTrainedConfig, dict[str, Tensor]]:
    """The configuration and the weights, by transformers' names, of an authors' file.

    Weights that the layout does not know keep their names, so that filling a model names them.

    Raises:
        UserError: no such file, one that is not plain tensors, or not of this layout.
    """
    tensors = _plain_tensors(Path(path))
    return _sizes(tensors, path), _renamed(tensors)


def _plain_tensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"There is no file {path}; correct the vision model's path.") from error
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(
            f"The file {path} is damaged or holds more than tensors, which could run code when it "
            "is read; fetch it anew from the model's authors."
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(v, Tensor) for v in tensors.values()):
        raise UserError(
            f"The file {path} is no table of weights; give the backbone's own file, such as "
            "dinov2_vits14_pretrain.pth."
        )
    return tensors


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    weights = {}
    for name, tensor in tensors.items():
        block = _BLOCK.fullmatch(name)
        if block is None:
            weights[_OUTSIDE.get(name, name)] = tensor
            continue
        layer, inner = f"encoder.layer.{block[1]}", block[2]
        stem, _, kind = inner.rpartition(".")
        if inner in _SCALES:
            weights[f"{layer}.{_SCALES[inner]}"] = tensor
        elif stem in _INSIDE:
            parts = _INSIDE[stem]
            for part, piece in zip(parts, tensor.chunk(len(parts)), strict=True):
                weights[f"{layer}.{part}.{kind}"] = piece
        else:
            weights[name] = tensor
    return weights


def _sizes(
    tensors: dict[str, Tensor], path: str | Path
) -> Dinov2Config | Dinov2WithRegistersConfig:
    depth = 1 + max((int(m[1]) for m in map(_BLOCK.fullmatch, tensors) if m), default=-1)
    swiglu = any(name.endswith(".mlp.w3.weight") for name in tensors)
    stem = "mlp.w3" if swiglu else "mlp.fc2"
    last = next((v for n, v in tensors.items() if n.endswith(f".{stem}.weight")), None)
    needed = ("cls_token", "pos_embed", "patch_embed.proj.weight")
    for missing in [name for name in needed if name not in tensors] or [None] * (last is None):
        raise UserError(
            f"The file {path} lacks {missing or 'blocks.0.mlp.fc2.weight'}, so it is not in the "
            "layout of DINOv2's authors; give such a file, or a folder in transformers' layout."
        )
    width, inner = last.shape
    patch = tensors["patch_embed.proj.weight"].shape[-1]
    side = math.isqrt(tensors["pos_embed"].shape[1] - 1)
    ratios = [r for r in range(1, 17) if inner == _inner_width(width, r, swiglu)]
    if width % HEAD_WIDTH or not ratios:
        raise UserError(
            f"The file {path} has a width of {width} and an inner width of {inner}, which is no "
            f"DINOv2: heads are {HEAD_WIDTH} wide and the MLP a whole multiple; give another file."
        )
    sizes = {
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": width // HEAD_WIDTH,
        "mlp_ratio": ratios[-1],
        "use_swiglu_ffn": swiglu,
        "image_size": side * patch,
        "patch_size": patch,
    }
    if "register_tokens" in tensors:
        registers = tensors["register_tokens"].shape[1]
        return Dinov2WithRegistersConfig(**sizes, num_register_tokens=registers)
    return Dinov2Config(**sizes)


def _inner_width(width: int, ratio: int, swiglu: bool) -> int:
    """F: with SwiGLU two thirds of the MLP's, in eights."""
    inner = width * ratio
    return (int(inner * 2 / 3) + 7) // 8 * 8 if swiglu else inner
