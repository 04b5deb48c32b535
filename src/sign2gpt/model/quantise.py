"""A frozen language model held in 32, 16, 8 or 4 bits a weight.

8 and 4 bits are LLM.int8() (Dettmers et al., 2022) and NF4 (Dettmers et al., 2023), by
bitsandbytes, in the linear layers of the model's blocks. Embeddings, head and products are bfloat16
then. Norms, biases and what is trained keep their own precision. This is for training, and for
generation on a GPU; on a CPU see `cpu_generation`.
"""

import logging
from importlib.util import find_spec

import torch
from torch import nn

from sign2gpt.errors import UserError
from sign2gpt.model.lora import AdaptedLinear
from sign2gpt.model.modeling import Sign2GPTForConditionalGeneration
from sign2gpt.model.precision import Precision


def hold_language_model(model: Sign2GPTForConditionalGeneration, precision: Precision) -> None:
    """Bring a language model's frozen weights into a precision, once; what is learnt stays as it
    is. A checkpoint notes the precision, as it was trained with it.

    Layers in 8 and 4 bits are on the GPU from then on where there is one.

    Raises:
        UserError: bitsandbytes is not installed.
    """
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
