"""Products of a handful of rows with a frozen weight on a CPU, in 32, 16 and 8 bits a weight.

They take as long as reading the weight does, which `F.linear` does at a fraction of what memory
gives.

Shapes: N rows (any leading dimensions), I input width, O output width, M vocabulary, W its width.
"""

import warnings
from copy import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TINY = torch.tensor(1e-14)  # beside which a row of zeros has a size
_ROWS = 4096  # of a weight, at once: a large head has no room for a second copy in float32


class HalfLinear(nn.Module):
    """x W^T + b with W (O, I) in float16, and x, products and sums in float32 (FBGEMM).

    In parts: with 32 rows of x, a large head at once takes 1.4 times as long.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None):
        super().__init__()
        pack = torch.ops.quantized.linear_prepack_fp16
        self._packed = [pack(part.contiguous(), None) for part in weight.split(_ROWS)]
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    @staticmethod
    def possible(weight: Tensor) -> bool:
        """Whether this torch has the product, and the float32 weight is in float16's range."""
        most = torch.finfo(torch.float16).max
        return _fbgemm() and bool(torch.linalg.vector_norm(weight, torch.inf) <= most)

    @staticmethod
    def exact(weight: Tensor) -> bool:
        """Whether float16 holds a weight as it is."""
        return all(torch.equal(part.half().float(), part) for part in weight.split(_ROWS))

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, I) -> (N, O)."""
        multiply, rows = torch.ops.quantized.linear_dynamic_fp16, inputs.float()
        parts = [multiply(rows, part) for part in self._packed]
        product = parts[0] if len(parts) == 1 else torch.cat(parts, -1)
        product = product if self.bias is None else product.add_(self.bias)
        return product.to(inputs.dtype)


class FewRowsLinear(nn.Module):
    """x W^T + b as (W x^T)^T: in float32 and for 2 to 16 rows of x up to four times as fast."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, I) -> (N, O)."""
        product = torch.mm(self.weight, inputs.flatten(0, -2).T).T.contiguous()
        product = product if self.bias is None else product.add_(self.bias)
        return product.unflatten(0, inputs.shape[:-1])


class Int8Linear(nn.Module):
    """x W^T + b with W (O, I) in 8 bits, a scale a row; x in 14 bits, as two rows of 7.

    8 bits are multiplied by 8 bits (FBGEMM). Weights alone in 8 bits would have to be made wide on
    the way, which takes longer than reading them from memory in 16; x in 8 bits is not enough, as
    a few of a language model's features are far larger than the rest. The eighth bit of a row of x
    is left free: without VNNI, FBGEMM adds two products in 16 bits, and 2 * 127 * 127 is all they
    hold.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None):
        super().__init__()
        norm = torch.linalg.vector_norm(weight, torch.inf, 1, dtype=torch.float32)
        scale = norm.clamp_(min=1e-12) / 127
        parts = zip(weight.split(_ROWS), scale[:, None].split(_ROWS), strict=True)
        rounded = torch.cat([(part / size).round_().to(torch.int8) for part, size in parts])
        zero = torch.zeros(len(weight), dtype=torch.long)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch means to take this making of tensors elsewhere
            quantised = torch._make_per_channel_quantized_tensor(rounded, scale.double(), zero, 0)
            self._packed = (torch.ops.quantized.linear_prepack(quantised, None),)
        self.bias = None if bias is None else nn.Parameter(bias.float(), requires_grad=False)

    @staticmethod
    def possible() -> bool:
        """Whether this build of torch has the product, for this kind of CPU."""
        return _fbgemm()

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, I) -> (N, O)."""
        rows = inputs.float()
        size = torch.add(_TINY, rows.abs().amax(-1, keepdim=True), alpha=1 / 63)
        both = rows.new_empty(2, *rows.shape)
        high, low = both.unbind()
        torch.div(rows, size, out=low)  # -63 to 63
        torch.round(low, out=high)
        low.sub_(high).mul_(126)  # the rest, from -0.5 to 0.5, in as many steps
        product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            both, 1.0, 64, self._packed[0]
        )
        high, low = product.unbind()
        high.add_(low, alpha=1 / 126)
        product = high.mul_(size) if self.bias is None else torch.addcmul(self.bias, high, size)
        return product.to(inputs.dtype)


class HalfEmbedding(nn.Module):
    """An embedding of any kind with its table (M, W) in 16 bits; rows are made wide when read.

    A table in float32 becomes one in float16, others stay as they are.
    """

    def __init__(self, embedding: nn.Module):
        super().__init__()
        self.embedding = embedding
        table = embedding.weight.detach()
        # No parameter: it stays as it is when all others become wide.
        self._table = (table.half() if table.dtype == torch.float32 else table,)
        embedding.register_parameter("weight", None)
        embedding.padding_idx = None  # of the whole table; it is for gradients alone

    def forward(self, tokens: Tensor) -> Tensor:
        """(*) -> (*, W) float32."""
        # A copy of the module, not of its parts: threads must not find each other's rows.
        embedding = copy(self.embedding)
        rows = F.embedding(tokens.flatten(), self._table[0]).float()
        embedding._parameters = {"weight": nn.Parameter(rows, requires_grad=False)}
        numbers = torch.arange(tokens.numel(), device=tokens.device)
        return embedding(numbers.view(tokens.shape))


def _fbgemm() -> bool:
    return "fbgemm" in torch.backends.quantized.supported_engines
