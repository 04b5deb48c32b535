"""In how many bits a frozen language model is held: 32, 16, 8 or 4 a weight.

8 and 4 bits are LLM.int8() (Dettmers et al., 2022) and NF4 (Dettmers et al., 2023), by
bitsandbytes, in the linear layers of the model's blocks. Embeddings, head and products are bfloat16
then. Norms, biases and what is trained keep their own precision. This is for training, and for
generation on a GPU; on a CPU see `cpu_generation`.
"""

from __future__ import annotations

import logging
from enum import Enum
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import nn

from sign2gpt.errors import UserError
from sign2gpt.model.lora import AdaptedLinear

if TYPE_CHECKING:
    from sign2gpt.model.decoder import GatedDecoder


class Precision(Enum):
    """Of a frozen weight."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    int8 = "int8"
    nf4 = "nf4"

    @property
    def dtype(self) -> torch.dtype:
        """Of what is not held in fewer bits, and of the products."""
        return torch.float32 if self is Precision.float32 else torch.bfloat16


def hold_language_model(decoder: GatedDecoder, precision: Precision) -> None:
    """Bring a decoder's frozen weights into a precision, once; what it learns stays as it is.

    Layers in 8 and 4 bits are on the GPU from then on where there is one.

    Raises:
        UserError: bitsandbytes is not installed.
    """
    for weight in decoder.frozen_parameters():
        if weight.dim() > 1:  # norms and biases are small, and matter
            weight.data = weight.data.to(precision.dtype)
    if precision in (Precision.float32, Precision.bfloat16):
        return
    if find_spec("bitsandbytes") is None:
        raise UserError(
            f"To hold weights as {precision.value}, install sign2gpt's extra: "
            "pip install 'sign2gpt[quantise]'."
        )
    for block in decoder.language_model.base_model.layers:
        for parent in list(block.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, AdaptedLinear):
                    child.hold(_quantised(child.frozen(), precision))
                elif type(child) is nn.Linear:
                    setattr(parent, name, _quantised(child, precision))


def _quantised(linear: nn.Linear, precision: Precision) -> nn.Linear:
    """The layer with its weight in 8 or 4 bits, on the device that it will stay on."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # of CPU kernels that it looks for
    import bitsandbytes as bnb

    sizes = (linear.in_features, linear.out_features, linear.bias is not None)
    if precision is Precision.int8:
        held = bnb.nn.Linear8bitLt(*sizes, has_fp16_weights=False, threshold=6.0)
        held.weight = bnb.nn.Int8Params(
            linear.weight.data, requires_grad=False, has_fp16_weights=False
        )
    else:
        held = bnb.nn.Linear4bit(*sizes, compute_dtype=torch.bfloat16, quant_type="nf4")
        # Evaluated once, its CPU kernel packs the weight for good; what trains could not go on.
        held.support_avx512bf16_for_cpu = False
        held.weight = bnb.nn.Params4bit(linear.weight.data, requires_grad=False, quant_type="nf4")
    held.bias = linear.bias
    return held.to("cuda" if torch.cuda.is_available() else "cpu")
