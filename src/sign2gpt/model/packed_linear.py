"""A frozen linear layer in oneDNN's own blocks, on a CPU.

Shapes: N rows (any leading dimensions), I input width, O output width.
"""

import torch
from torch import Tensor, nn

from sign2gpt.errors import UserError
from sign2gpt.model.precision import kind_of


class PackedLinear(nn.Module):
    """x W^T + b with W (O, I) in the blocks that oneDNN multiplies about `rows` rows by.

    Args:
        weight: W.
        bias: b (O,), or None.
        rows: N, roughly.
        gelu: whether GELU, in its exact form, is the product's last step.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int, gelu: bool = False):
        super().__init__()
        self.dtype, self.gelu = weight.dtype, gelu
        # In oneDNN's own layout torch can neither save nor move it: no parameter and no buffer.
        reorder, whole = torch.ops.mkldnn._reorder_linear_weight, weight.contiguous()
        self._packed = (torch.empty_like(whole) if weight.is_meta else reorder(whole, rows),)
        # Contiguous, as oneDNN reads it so, whatever it is.
        self.bias = None if bias is None else nn.Parameter(bias.contiguous(), requires_grad=False)

    @staticmethod
    def possible(weight: Tensor) -> bool:
        """Whether it is a float32 weight on a CPU, or a bfloat16 one on one that multiplies in
        that, and torch has oneDNN."""
        if kind_of(weight.device) != "cpu" or not torch.backends.mkldnn.is_available():
            return False
        bfloat16 = weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return bfloat16 or weight.dtype == torch.float32

    def forward(self, inputs: Tensor, added: Tensor | None = None) -> Tensor:
        """(N, I) -> (N, O), in the inputs' dtype.

        Args:
            inputs: x.
            added: (N, O), which the product is added to before it is rounded; not with GELU.

        Raises:
            UserError: gradients of the inputs are asked for, which this product does not have.
        """
        if torch.is_grad_enabled() and inputs.requires_grad:
            raise UserError(
                "A model that is made ready for translation gives no gradients; load it with "
                "Sign2GPTForConditionalGeneration.from_pretrained."
            )
        if inputs.is_meta:  # sizes are counted
            return inputs.new_empty((*inputs.shape[:-1], len(self._packed[0])))
        given = (self._packed[0], self.bias)
        multiply, rows = torch.ops.mkldnn._linear_pointwise, inputs.to(self.dtype)
        if added is not None:
            product = multiply.binary(rows, added.to(self.dtype), *given, "add")
        elif self.gelu:
            product = multiply(rows, *given, "gelu", [], "none")
        else:
            product = multiply(rows, *given, "none", [], "")
        return product.to(inputs.dtype)

    def __deepcopy__(self, memo: object) -> "PackedLinear":
        """Itself, as it never changes; torch cannot copy oneDNN's layout."""
        return self
