"""A frozen linear layer in oneDNN's own blocks, on a CPU.

Shapes: N rows (any leading dimensions), I input width, O output width.
"""

import torch
from torch import Tensor, nn

from sign2gpt.errors import UserError


class PackedLinear(nn.Module):
    """x W^T + b with W (O, I) in the blocks that oneDNN multiplies about `rows` rows by."""

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int):
        super().__init__()
        self.dtype = weight.dtype
        # In oneDNN's own layout torch can neither save nor move it: no parameter and no buffer.
        self._packed = (torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows),)
        # Contiguous, as oneDNN reads it so, whatever it is.
        self.bias = None if bias is None else nn.Parameter(bias.contiguous(), requires_grad=False)

    @staticmethod
    def possible(weight: Tensor) -> bool:
        """Whether it is a float32 weight on a CPU, or a bfloat16 one on one that multiplies in
        that, and torch has oneDNN."""
        if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
            return False
        bfloat16 = weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return bfloat16 or weight.dtype == torch.float32

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, I) -> (N, O).

        Raises:
            UserError: gradients of the inputs are asked for, which this product does not have.
        """
        if torch.is_grad_enabled() and inputs.requires_grad:
            raise UserError(
                "A model that is made ready for translation gives no gradients; load it with "
                "Sign2GPTForConditionalGeneration.from_pretrained."
            )
        product = torch.ops.mkldnn._linear_pointwise(
            inputs.to(self.dtype), self._packed[0], self.bias, "none", [], ""
        )
        return product.to(inputs.dtype)

    def __deepcopy__(self, memo: object) -> "PackedLinear":
        """Itself, as it never changes; torch cannot copy oneDNN's layout."""
        return self
