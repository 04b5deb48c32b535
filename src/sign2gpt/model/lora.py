"""Low-rank adapters (Hu et al., 2021) on frozen linear layers.

They are part of the architecture here: q, k and v of the vision model share one A matrix, and the
decoder puts two adapters on one frozen weight, so no general adapter library fits.

Shapes: N rows (any leading dimensions), I input width, O output width, R rank.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sign2gpt.model.dropout import dropout


class LowRankAdapter(nn.Module):
    """The update alpha / R * B A of a linear layer: A (R, I) normal, B (O, R) zero at first.

    Args:
        in_features: I.
        out_features: O.
        rank: R.
        alpha: scale of the update, divided by the rank.
        dropout: probability of dropping an input of the adapter while training.
        init_std: standard deviation of A at first.
        shared: an adapter whose A is used in place of an own one.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        rank: int,
        alpha: float,
        dropout: float = 0.0,
        init_std: float = 0.02,
        shared: "LowRankAdapter | None" = None,
    ):
        super().__init__()
        self.scale = alpha / rank
        self.dropout = dropout
        # In a tuple, torch does not take the other adapter for a part of this one, so that its A
        # is counted, trained and saved once.
        self._shared = (shared,)
        if shared is None:
            self.lora_a = nn.Parameter(torch.empty(rank, in_features).normal_(std=init_std))
        self.lora_b = nn.Parameter(torch.zeros(out_features, rank))

    @property
    def down(self) -> Tensor:
        """A (R, I), own or shared."""
        shared = self._shared[0]
        return self.lora_a if shared is None else shared.lora_a

    @property
    def drops(self) -> bool:
        """Whether its input is dropped at random now."""
        return self.training and self.dropout > 0

    def apply_to(self, linear: "AdaptedLinear", inputs: Tensor, bias: bool = True) -> Tensor:
        """Inputs (N, I) through a layer's frozen weight plus this update -> (N, O).

        With many rows and no dropout on the adapter's input, W + BA is formed once: one product
        over all rows in place of three, which outweighs the gradient of a whole weight.
        """
        rows = inputs.numel() // inputs.shape[-1]
        if linear.held is None and not self.drops and rows >= linear.out_features:
            update = (self.lora_b @ self.down) * self.scale
            weight = linear.weight + update.to(linear.weight.dtype)
            return F.linear(inputs, weight, linear.bias if bias else None)
        narrow = F.linear(dropout(inputs, self.dropout, self.training), self.down)
        return linear.product(inputs, bias) + F.linear(narrow * self.scale, self.lora_b)


class AdaptedLinear(nn.Linear):
    """A linear layer that keeps its own weights' names and adds an adapter.

    `held`, where it is not None, has the frozen weight in its place, in fewer bits.
    """

    def __init__(self, linear: nn.Linear, adapter: LowRankAdapter):
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight = linear.weight
        self.register_parameter("bias", linear.bias)
        self.adapter = adapter
        self.held: nn.Linear | None = None
        # The weights are initialised already; transformers must not draw them a second time.
        self._is_hf_initialized = True

    def forward(self, inputs: Tensor, with_bias: bool = True) -> Tensor:
        """(N, I) -> (N, O)."""
        return self.adapter.apply_to(self, inputs, bias=with_bias)

    def product(self, inputs: Tensor, bias: bool = True) -> Tensor:
        """(N, I) -> (N, O) by the frozen weight alone."""
        if self.held is None:
            return F.linear(inputs, self.weight, self.bias if bias else None)
        projected = self.held(inputs)
        return projected + self.bias if bias and self.bias is not None else projected

    def frozen(self) -> nn.Linear:
        """A plain linear layer with the frozen weight and no bias."""
        plain = nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        plain.weight = self.weight
        return plain

    def hold(self, held: nn.Linear) -> None:
        """Let another layer, without bias, stand for the frozen weight, which is given up."""
        self.held = held
        self.register_parameter("weight", None)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """A plain linear layer that gives what this one gives in evaluation."""
        update = self.adapter.lora_b.float() @ self.adapter.down.float() * self.adapter.scale
        merged = (self.weight.float() + update).to(self.weight.dtype)
        # Afterwards, as where sizes are counted the meta device's own weight seems to take memory.
        plain = nn.Linear(self.in_features, self.out_features, device="meta")
        plain.weight, plain.bias = nn.Parameter(merged), self.bias
        return plain


def adapt(
    parent: nn.Module,
    names: list[str],
    rank: int,
    alpha: float,
    dropout: float,
    init_std: float,
    share_down: bool = False,
) -> None:
    """Replace the linear layers `names` of `parent` by adapted ones, with one A if `share_down`."""
    shared: LowRankAdapter | None = None
    for name in names:
        linear = getattr(parent, name)
        adapter = LowRankAdapter(
            linear.in_features, linear.out_features, rank, alpha, dropout, init_std, shared
        )
        if share_down and shared is None:
            shared = adapter
        setattr(parent, name, AdaptedLinear(linear, adapter))


def linear_names(module: nn.Module) -> list[str]:
    """Names of the linear layers directly inside a module, in their order."""
    return [name for name, child in module.named_children() if isinstance(child, nn.Linear)]
