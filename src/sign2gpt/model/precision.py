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

from sign2gpt.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from sign2gpt.model.modeling import Sign2GPTForConditionalGeneration


class Precision(Enum):
    """Of a frozen weight."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    int8 = "int8"
    nf4 = "nf4"

    @property
    def bytes_each(self) -> float:
        """Of a weight in the language model's blocks; NF4 has a float32 scale for 64 weights."""
        return {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0, "nf4": 0.5 + 4 / 64}[self.value]

    @property
    def quantised(self) -> bool:
        """Whether it takes bitsandbytes."""
        return self in (Precision.int8, Precision.nf4)

    @property
    def dtype(self) -> torch.dtype:
        """Of what is not held in fewer bits, and of the products."""
        import torch

        return torch.float32 if self is Precision.float32 else torch.bfloat16


def fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 there: on most GPUs, and CPUs that multiply in it."""
    import torch

    if device.type != "cpu":
        return torch.cuda.is_bf16_supported()
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # since torch 2.11
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16"))


def hold_language_model(model: Sign2GPTForConditionalGeneration, precision: Precision) -> None:
    """Bring a language model's frozen weights into a precision, once; what is learnt stays as it
    is. A checkpoint notes the precision, as it was trained with it.

    Layers in 8 and 4 bits are on the GPU from then on where there is one.

    Raises:
        UserError: bitsandbytes is not installed.
    """
    from torch import nn

    from sign2gpt.model.lora import AdaptedLinear

    if precision.quantised and find_spec("bitsandbytes") is None:
        raise UserError(
            f"To hold weights as {precision.value}, install sign2gpt's extra: "
            "pip install 'sign2gpt[quantise]'."
        )
    for weight in model.decoder.frozen_parameters():
        if weight.dim() > 1:  # norms and biases are small, and matter
            weight.data = weight.data.to(precision.dtype)
    model.note_precision(precision)
    for block in model.decoder.language_model.base_model.layers if precision.quantised else ():
        for parent in list(block.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, AdaptedLinear):
                    child.hold(_quantised(child.frozen(), precision))
                elif type(child) is nn.Linear:
                    setattr(parent, name, _quantised(child, precision))


def _quantised(linear: nn.Linear, precision: Precision) -> nn.Linear:
    """The layer with its weight in 8 or 4 bits, on the device that it will stay on."""
    import torch

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
