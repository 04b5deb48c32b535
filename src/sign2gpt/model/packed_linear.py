"""A frozen linear layer in oneDNN's own blocks, for a CPU that multiplies in bfloat16.

Shapes: N rows (any leading dimensions), I input width, O output width.
"""

import torch
from torch import Tensor, nn

from sign2gpt.errors import UserError


class PackedLinear(nn.Module):
    """x W^T + b in bfloat16, W (O, I) in the blocks that oneDNN multiplies about `rows` rows by."""

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int):
        super().__init__()
        # In oneDNN's own layout torch can neither save nor move it: no parameter and no buffer.
        self._packed = (torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows),)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    @staticmethod
    def possible(weight: Tensor) -> bool:
        """Whether it is a bfloat16 weight on a CPU that multiplies in that, through oneDNN."""
        if weight.device.type != "cpu" or weight.dtype != torch.bfloat16:
            return False
        onednn = torch.backends.mkldnn.is_available()
        return onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported()

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
        return torch.ops.mkldnn._linear_pointwise(
            inputs, self._packed[0], self.bias, "none", [], ""
        )

    def __deepcopy__(self, memo: object) -> "PackedLinear":
        """Itself, as it never changes; torch cannot copy oneDNN's layout."""
        return self
