"""DINOv2's blocks, their frozen weights made ready once for all frames that follow.

What never changes is done once: q, k and v are one matrix that holds the attention's scale,
LayerScale is multiplied into the layers before it, and all are in the products' dtype. (autocast
casts frozen weights anew at every use: it keeps only those that learn.) Without gradients W + BA is
one matrix too, on a CPU in oneDNN's blocks: then GELU and x + are a product's last step, before it
is rounded. Where products are in such blocks, with gradients or without, the tokens between them
are in the products' dtype, else in the norms'.

Shapes: N frames, P tokens a frame, C width, O output width, H heads, Dh width of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sign2gpt.model.adapted_product import AdaptedProduct
from sign2gpt.model.dropout import dropout
from sign2gpt.model.lora import AdaptedLinear, LowRankAdapter
from sign2gpt.model.packed_linear import PackedLinear
from sign2gpt.model.precision import autocast_dtype, has_amx, kind_of, no_autocast

PACKED_ROWS = 4112  # weights are laid out for: tokens of 16 frames of 224 x 224
Factor = Tensor | float  # on a layer's outputs: (O,), or one for all


class ReadyBlocks:
    """The blocks of a DINOv2, each made ready at its first call and kept while all that it is made
    of is frozen: an optimiser's fused step changes weights without torch's counting it.

    A change of frozen weights is seen by that count, which leaves out what is written through
    `.data`: call `forget` after that.
    """

    def __init__(self, blocks: nn.ModuleList):
        self.blocks = blocks
        self._ready: dict[int, tuple[Any, list[tuple[Tensor, int]], ReadyBlock]] = {}
        self._alone: list[ReadyBlock] = []

    def __getstate__(self) -> dict[str, Any]:
        """A copy makes its blocks ready itself, as its weights are others."""
        return self.__dict__ | {"_ready": {}}

    @torch.no_grad()
    def keep_alone(self) -> None:
        """Make every block ready for good, and give up the weights that it was made of: it can
        then neither be trained nor saved, nor brought to another dtype or device."""
        last = len(self.blocks) - 1
        for index, block in enumerate(self.blocks):
            dtype = block.norm1.weight.dtype
            self._alone.append(ReadyBlock(block, dtype, True, index == last, pack=True))
            for part in block.modules():
                if isinstance(part, nn.Linear):
                    part.register_parameter("weight", None)
        self.forget()

    def forget(self) -> None:
        """Make every block ready anew."""
        self._ready.clear()

    def __call__(self, index: int, tokens: Tensor, class_token_alone: bool = False) -> Tensor:
        """Tokens (N, P, C) through block `index` -> (N, P, C), or its class token (N, 1, C).

        Inside autocast products are in its dtype, as elsewhere.
        """
        cast = autocast_dtype(tokens.device)
        with no_autocast(tokens.device):
            if self._alone:
                return self._alone[index](tokens)
            return self._block(index, cast or tokens.dtype, class_token_alone)(tokens)

    def _block(self, index: int, dtype: torch.dtype, class_token_alone: bool) -> "ReadyBlock":
        block = self.blocks[index]
        parts = [part for part in block.modules() if isinstance(part, LowRankAdapter)]
        learning = {weight for part in parts for weight in part.parameters()}
        merge = not torch.is_grad_enabled() and not any(part.drops for part in parts)
        read = [weight for weight in block.parameters() if merge or weight not in learning]
        if any(weight.requires_grad or weight.is_inference() for weight in read):
            # Of weights whose changes nobody counts, or with their gradients: for this call.
            if any(weight.requires_grad and weight not in learning for weight in read):
                self._ready.pop(index, None)  # would not be told apart once they are frozen again
            return ReadyBlock(block, dtype, merge, class_token_alone)
        known, kind = self._ready.get(index), (dtype, merge, class_token_alone)
        if known is None or known[0] != kind or not _same(known[1], read):
            with torch.inference_mode(False), torch.no_grad():  # training may use it later
                # Held, so that a changed weight cannot come to lie where the old one was.
                seen = [(weight.detach(), weight._version) for weight in read]
                known = self._ready[index] = (kind, seen, ReadyBlock(block, *kind, pack=True))
        return known[2]


def _same(seen: list[tuple[Tensor, int]], weights: Sequence[Tensor]) -> bool:
    return len(seen) == len(weights) and all(
        old.data_ptr() == new.data_ptr() and old.dtype == new.dtype and version == new._version
        for (old, version), new in zip(seen, weights, strict=True)
    )


class ReadyBlock:
    """One block: x + attention(norm(x)), then x + MLP(norm(x)).

    Args:
        block: transformers' `Dinov2Layer`, with or without adapters.
        dtype: of the products.
        merge: whether adapters are added into the weights.
        class_token_alone: whether no other token is wanted: then only its query is made.
        pack: whether to lay weights out for a product, where there is a faster one; worth it for
            more than one call.
    """

    def __init__(
        self,
        block: nn.Module,
        dtype: torch.dtype,
        merge: bool,
        class_token_alone: bool = False,
        pack: bool = False,
    ):
        self.block, self.dtype, self.class_token_alone = block, dtype, class_token_alone
        attention, mlp = block.attention, block.mlp
        scale1, scale2 = block.layer_scale1.lambda1, block.layer_scale2.lambda1
        swiglu = hasattr(mlp, "gate_proj")
        ups = [mlp.gate_proj, mlp.up_proj] if swiglu else [mlp.fc1]
        three = [attention.q_proj, attention.k_proj, attention.v_proj]
        factors = [attention.scaling, 1.0, 1.0]
        groups = [slice(0, 1), slice(1, 3)] if class_token_alone else [slice(0, 3)]
        pack = pack and block.norm1.weight.dtype in (torch.float32, dtype)  # a norm takes no others
        how = (dtype, merge, pack)
        self.query_key_value = [ReadyLinear(three[group], factors[group], *how) for group in groups]
        self.out = ReadyLinear([attention.o_proj], [scale1], *how)
        gelu = not swiglu and mlp.config.hidden_act == "gelu"
        self.up = ReadyLinear(ups, [1.0] * len(ups), *how, gelu)
        self.down = ReadyLinear([mlp.down_proj if swiglu else mlp.fc2], [scale2], *how)
        self.activation = mlp.act_fn if swiglu else mlp.activation_fn

    def __call__(self, tokens: Tensor) -> Tensor:
        """(N, P, C) -> (N, P, C), or (N, 1, C) where only the class token is wanted."""
        block, attention = self.block, self.block.attention
        tokens = tokens.to(self.dtype if self.out.laid_out else block.norm1.weight.dtype)
        normed = block.norm1(tokens).to(self.dtype)
        inputs = [normed]
        if self.class_token_alone:
            tokens, inputs = tokens[:, :1], [normed[:, :1], normed]
        query, key, value = (
            part
            for linear, given in zip(self.query_key_value, inputs, strict=True)
            for part in linear(given)
            .unflatten(-1, (linear.count, -1, attention.head_dim))
            .permute(2, 0, 3, 1, 4)  # each (N, H, P or 1, Dh)
        )
        drop = attention.attention_dropout if attention.training else 0.0
        heads = attend(query, key, value, drop)
        tokens = self._added(self.out, heads.transpose(1, 2).flatten(2), tokens)
        hidden, *gated = self.up(block.norm2(tokens).to(self.dtype)).chunk(self.up.count, -1)
        hidden = hidden if self.up.activates else self.activation(hidden)
        return self._added(self.down, hidden * gated[0] if gated else hidden, tokens)

    def _added(self, linear: "ReadyLinear", inputs: Tensor, tokens: Tensor) -> Tensor:
        """x + the product."""
        drop_path = self.block.drop_path
        if linear.packed is not None and isinstance(drop_path, nn.Identity):
            return linear.packed(inputs, tokens)
        branch = drop_path(linear(inputs))
        if branch.dtype == tokens.dtype:
            return tokens + branch
        return branch.to(tokens.dtype).add_(tokens)  # twice as fast as a sum of two dtypes


def attend(query: Tensor, key: Tensor, value: Tensor, drop: float = 0.0) -> Tensor:
    """softmax(q k^T) v of queries that hold the scale: each (N, H, P, Dh) -> (N, H, P, Dh)."""
    in_bf16 = query.dtype == torch.bfloat16 and kind_of(query.device) == "cpu"
    if in_bf16 and (torch.is_grad_enabled() or drop > 0 or not has_amx()):
        # There the fused one is slower; and what is dropped is the same with gradients or without.
        weights = torch.softmax(query @ key.transpose(-1, -2), dim=-1)
        return F.dropout(weights, drop, drop > 0) @ value
    return F.scaled_dot_product_attention(query, key, value, None, drop, scale=1.0)


@dataclass
class SharingAdapters:
    """Adapters of layers in a row that share A, so that their input is dropped and narrowed once.

    Attributes:
        adapters: each with what its layer's outputs are multiplied by.
        rows: their layers' outputs among all of the `ReadyLinear`.
        product: they and their layers in one step of autograd, where it is laid out so.
    """

    adapters: list[tuple[LowRankAdapter, Factor]]
    rows: slice
    product: AdaptedProduct | None = None


class ReadyLinear:
    """Linear layers on one input as one product, and their adapters beside it.

    Args:
        linears: the layers; all of them or none with an adapter.
        factors: what each layer's outputs are multiplied by.
        dtype: of the product.
        merge: whether adapters are added into the weights.
        pack: as in `ReadyBlock`.
        gelu: whether GELU follows, which is part of a packed product.

    Attributes:
        packed: the product, where it is laid out so.
        activates: whether it is followed by GELU.
    """

    def __init__(
        self,
        linears: Sequence[nn.Linear],
        factors: Sequence[Factor],
        dtype: torch.dtype,
        merge: bool,
        pack: bool,
        gelu: bool = False,
    ):
        self.count = len(linears)
        self.dtype = dtype
        adapted = [linear for linear in linears if isinstance(linear, AdaptedLinear)]
        plain = [one.merged() for one in adapted] if merge and adapted else linears
        weights = [linear.weight for linear in plain]
        self.weight = torch.cat(
            [weight * _column(factor) for weight, factor in zip(weights, factors, strict=True)]
        ).to(dtype)
        biases = [
            linear.bias * factor
            for linear, factor in zip(linears, factors, strict=True)
            if linear.bias is not None
        ]
        self.bias = torch.cat(biases).to(dtype) if biases else None
        self.packed: PackedLinear | None = None
        pairs: list[tuple[LowRankAdapter, Factor]] = []
        if adapted and not merge:
            pairs = [(one.adapter, f) for one, f in zip(adapted, factors, strict=True)]
        self.sharing: list[SharingAdapters] = []
        begin = 0
        for _, group in groupby(pairs, lambda pair: id(pair[0].down)):
            shared = list(group)
            end = begin + sum(len(adapter.lora_b) for adapter, _ in shared)
            self.sharing.append(SharingAdapters(shared, slice(begin, end)))
            begin = end
        if pack and (merge or self.sharing) and PackedLinear.possible(self.weight):
            for one in self.sharing:
                one.product = AdaptedProduct(*self._frozen(one.rows), PACKED_ROWS)
            if not self.sharing:
                self.packed = PackedLinear(self.weight, self.bias, PACKED_ROWS, gelu)
            del self.weight
        self.activates = gelu and self.packed is not None

    def __call__(self, inputs: Tensor) -> Tensor:
        """(N, P, I) -> (N, P, the sum of the layers' O); no gradients where it is packed."""
        if self.packed is not None:
            return self.packed(inputs)
        if not self.sharing:
            return F.linear(inputs, self.weight, self.bias)
        parts = [self._adapted(inputs, one) for one in self.sharing]
        return parts[0] if len(parts) == 1 else torch.cat(parts, -1)

    @property
    def laid_out(self) -> bool:
        """Whether its products are in oneDNN's blocks, without gradients or with them."""
        return self.packed is not None or any(one.product for one in self.sharing)

    def _frozen(self, rows: slice) -> tuple[Tensor, Tensor | None]:
        """Weight and bias of some outputs."""
        return self.weight[rows], None if self.bias is None else self.bias[rows]

    def _adapted(self, inputs: Tensor, sharing: "SharingAdapters") -> Tensor:
        """(W + BA) x of their outputs; by one step of autograd, or as in `LowRankAdapter.apply_to`
        by one product or by three."""
        first = sharing.adapters[0][0]
        down = first.down.to(self.dtype)
        up = torch.cat(
            [one.lora_b * _column(factor) * one.scale for one, factor in sharing.adapters]
        ).to(self.dtype)
        if sharing.product is not None:
            return sharing.product(inputs, down, up, first.dropout if first.training else 0.0)
        weight, bias = self._frozen(sharing.rows)
        if not first.drops and inputs.shape[:-1].numel() >= len(weight):
            return F.linear(inputs, weight + up @ down, bias)
        flat = inputs.flatten(0, -2)  # of a view, `addmm_` would copy the gradient
        narrow = F.linear(dropout(flat, first.dropout, first.training), down)
        product = F.linear(flat, weight, bias).addmm_(narrow, up.T)
        return product.unflatten(0, inputs.shape[:-1])


def _column(factor: Factor) -> Factor:
    return factor[:, None] if isinstance(factor, Tensor) else factor
