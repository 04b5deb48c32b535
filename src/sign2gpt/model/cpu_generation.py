"""A decoder whose weights are laid out for generation on a CPU.

A step of beam search multiplies a handful of rows by every weight of the language model, so that it
takes as long as reading the weights does. `lay_out` brings each into a form that is read once a
token and as fast as memory gives it:

- Adapters are merged, W + BA, before a weight is rounded to fewer bits. The cross-attention's
  queries, which use the same frozen W with another adapter (B', A'), are then the
  self-attention's plus (B'A' - BA) h, a product of rank 2 R: W is read once for both.
- q, k and v are one product.
- The gated heads are added before `out`, which is linear and has one adapter for both.
- The texts of a clip are attended to together (see `beam_cache`).
- bfloat16 and float32 weights are kept in oneDNN's own blocks, 8-bit ones and float16 in FBGEMM's.
  float16 stands for bfloat16 on CPUs that do not multiply in it, and for float32 where a weight
  loses nothing by it, as the frozen ones of a model that was published in float16 do.

Shapes: N rows (any leading dimensions), I input width, O output width, R rank, H heads, Dh their
width, W language model's width.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache
from transformers.masking_utils import eager_mask
from transformers.models.xglm.modeling_xglm import XGLMDecoderLayer

from sign2gpt.model.cpu_products import FewRowsLinear, HalfEmbedding, HalfLinear, Int8Linear
from sign2gpt.model.gated_attention import GatedSelfAttention, SignMemory, attend
from sign2gpt.model.kept_tokens import MakeLinear, keep_tokens, plain_linear
from sign2gpt.model.lora import LowRankAdapter
from sign2gpt.model.packed_linear import PackedLinear
from sign2gpt.model.precision import Precision, fast_bf16

if TYPE_CHECKING:
    from sign2gpt.model.decoder import GatedDecoder


class _Ahead(threading.local):
    """What an attention has computed before its parts are called, in this thread."""

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}


_ahead = _Ahead()


class Computed(nn.Module):
    """Stands where a projection was that has been computed with others already."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def forward(self, inputs: Tensor) -> Tensor:
        return _ahead.values.pop(self.name)


class SummedOut(nn.Module):
    """`out` of self-attention's heads and of the gated ones, (N, H * Dh) -> (N, W)."""

    def __init__(self, product: nn.Module):
        super().__init__()
        self.product = product

    def forward(self, heads: Tensor) -> Tensor:
        gated = _ahead.values.pop("gated", None)
        return self.product(heads if gated is None else heads + gated)


def _clipwise_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """`attend` as transformers calls an attention of a model of the Llama family.

    Raises:
        ValueError: what is asked for is more than `attend` does.
    """
    if any(kwargs.get(name) is not None for name in BEYOND):
        raise ValueError(f"{type(module).__name__} attends in a way of its own ({kwargs.keys()}).")
    heads = attend(query.transpose(1, 2), key, value, attention_mask, scaling)
    return heads.unflatten(2, (-1, query.shape[-1])), None


BEYOND = ("s_aux", "softcap")  # arguments of attention sinks and of capped scores
CLIPWISE = "sign2gpt_clipwise"  # its name there
AttentionInterface.register(CLIPWISE, _clipwise_attention)
AttentionMaskInterface.register(CLIPWISE, eager_mask)


class LaidOutAttention(GatedSelfAttention):
    """`GatedSelfAttention` with each weight read once, for a few rows, without gradients."""

    def __init__(self, gated: GatedSelfAttention, make: MakeLinear):
        nn.Module.__init__(self)
        self.attention, self.index, self.num_heads = gated.attention, gated.index, gated.num_heads
        self.gate, self.gate_kind, self._norm = gated.gate, gated.gate_kind, gated._norm
        self.out_name = gated.out_name
        cross = {"q": gated.cross_query, "k": gated.cross_key, "v": gated.cross_value}
        projections = {name: getattr(self.attention, f"{name}_proj") for name in cross}
        self.differences = nn.ModuleDict(
            {name: AdapterDifference(cross[name], projections[name].adapter) for name in cross}
        )
        self.widths = [linear.out_features for linear in projections.values()]
        merged = [linear.merged() for linear in projections.values()]
        biases = [linear.bias for linear in merged if linear.bias is not None]
        self.product = make(
            torch.cat([linear.weight for linear in merged]), torch.cat(biases) if biases else None
        )
        out = getattr(self.attention, self.out_name).merged()
        self.out = make(out.weight, out.bias)
        for name in (*(f"{name}_proj" for name in cross), self.out_name):
            setattr(self.attention, name, None)

    def _gated_heads(self, hidden_states: Tensor, query: Tensor, memory: SignMemory) -> Tensor:
        crossing = self._split(self.differences["q"](hidden_states, query), "q")
        return self._attend_to_signs(crossing, memory)

    def _signs(self, normed: Tensor) -> tuple[Tensor, Tensor]:
        _, key, value = self.product(normed).split(self.widths, dim=-1)
        keys = self._split(self.differences["k"](normed, key), "k")
        values = self._split(self.differences["v"](normed, value), "v")
        return keys.transpose(1, 2), values.transpose(1, 2)


class LaidOutLlamaAttention(LaidOutAttention):
    """Around the attention of a model of the Llama family, which does the rest."""

    def __init__(self, gated: GatedSelfAttention, make: MakeLinear):
        super().__init__(gated, make)
        for name in ("q", "k", "v"):
            setattr(self.attention, f"{name}_proj", Computed(name))
        setattr(self.attention, self.out_name, SummedOut(self.out))

    def forward(
        self,
        hidden_states: Tensor,
        *args: Any,
        sign_memory: SignMemory | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, ...]:
        """As in `GatedSelfAttention`."""
        query, key, value = self.product(hidden_states).split(self.widths, dim=-1)
        ahead = {"q": query, "k": key, "v": value}
        if sign_memory is not None:
            ahead["gated"] = self._gated_heads(hidden_states, query, sign_memory)
        _ahead.values = ahead
        return self.attention(hidden_states, *args, **kwargs)


class LaidOutXGLMAttention(LaidOutAttention):
    """With XGLM's attention, which transformers has step by step, in three times as many
    operations."""

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        cache: Cache | None = None,
        sign_memory: SignMemory | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:
        """As in `GatedSelfAttention`."""
        query, key, value = self.product(hidden_states).split(self.widths, dim=-1)
        keys = self._split(key, "k").transpose(1, 2)
        values = self._split(value, "v").transpose(1, 2)
        if cache is not None:
            keys, values = cache.update(keys, values, self.index)
        heads = attend(self._split(query, "q"), keys, values, attention_mask)
        if sign_memory is not None:
            heads = heads + self._gated_heads(hidden_states, query, sign_memory)
        return self.out(heads), None


class LaidOutXGLMLayer(XGLMDecoderLayer):
    """A layer without what is for training alone."""

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, *args: Any, **kwargs: Any
    ) -> Tensor:
        """(N, L, W) -> (N, L, W)."""
        normed = self.self_attn_layer_norm(hidden_states)
        hidden_states = hidden_states + self.self_attn(normed, attention_mask, **kwargs)[0]
        hidden = self.activation_fn(self.fc1(self.final_layer_norm(hidden_states)))
        return hidden_states + self.fc2(hidden)


class AdapterDifference(nn.Module):
    """Adds (B'A' - BA) x, of two adapters on one weight."""

    def __init__(self, wanted: LowRankAdapter, merged: LowRankAdapter):
        super().__init__()
        down = torch.cat([wanted.down, merged.down]).detach()
        up = torch.cat([wanted.lora_b * wanted.scale, merged.lora_b * -merged.scale], 1).detach()
        self.register_buffer("down", down.T.contiguous())
        self.register_buffer("up", up.T.contiguous())

    def forward(self, inputs: Tensor, merged: Tensor) -> Tensor:
        """x (*, I), and what the merged weight makes of it (*, O) -> (*, O)."""
        within = inputs.flatten(0, -2) @ self.down
        return torch.addmm(merged.flatten(0, -2), within, self.up).view_as(merged)


def wide_dtype(precision: Precision) -> torch.dtype:
    """Of a decoder before it is laid out; what is not held in fewer bits stays in it, but for int8
    (see `lay_out`)."""
    if not fast_bf16(torch.device("cpu")) and Int8Linear.possible():
        return torch.float32
    return precision.dtype


@torch.no_grad()
def lay_out(
    decoder: GatedDecoder,
    precision: Precision = Precision.float32,
    kept_tokens: Iterable[int] | None = None,
) -> None:
    """Lay a decoder out for generation on a CPU, once and for good: it can neither be trained nor
    saved afterwards.

    Args:
        decoder: on the CPU, in `wide_dtype`.
        precision: of the blocks' and the head's weights; all else keeps its dtype, but for a
            float32 embedding, which is held in 16 bits unless it would lose by it in float32. With
            int8 all else becomes float32, which a product of 8 bits takes and gives.
        kept_tokens: ids of the only tokens to be said (see `keep_tokens`); None = all.

    Raises:
        UserError: a kept token that is not in the vocabulary.
    """
    make = {Precision.int8: Int8Linear, Precision.bfloat16: _in_16_bits}.get(precision, _exact)
    head = decoder.language_model.get_output_embeddings()
    embedding = decoder.language_model.get_input_embeddings()
    tied, halved = head.weight is embedding.weight, _halved(embedding.weight, precision)
    wide = head.weight.dtype == torch.float32 and precision is not Precision.int8
    if kept_tokens is not None:
        keep_tokens(decoder, kept_tokens, make)
    elif tied and wide and not halved:
        decoder.head = FewRowsLinear(head.weight, head.bias)  # as it stands: a copy is large
    else:
        decoder.head = make(head.weight, head.bias)
    if halved:
        decoder.language_model.set_input_embeddings(HalfEmbedding(embedding))
    if halved or not tied:
        head.register_parameter("weight", None)  # nobody reads the whole head any more
    _attend_clipwise(decoder)
    for layer in decoder.language_model.base_model.layers:
        if isinstance(layer, XGLMDecoderLayer):
            layer.__class__ = LaidOutXGLMLayer
            layer.self_attn = LaidOutXGLMAttention(layer.self_attn, make)
        else:
            layer.self_attn = LaidOutLlamaAttention(layer.self_attn, make)
        for parent in list(layer.modules()):
            for name, child in list(parent.named_children()):
                if type(child) is nn.Linear:
                    setattr(parent, name, make(child.weight, child.bias))
    if precision is Precision.int8:
        decoder.float()


def _halved(table: Tensor, precision: Precision) -> bool:
    """Whether an embedding's table is held in 16 bits, and its rows in float32."""
    if table.dtype != torch.float32:
        return precision is Precision.int8
    lossless = precision is not Precision.float32 or HalfLinear.exact(table)
    return HalfLinear.possible(table) and lossless


def _attend_clipwise(decoder: GatedDecoder) -> None:
    """Let self-attention take the texts of a clip together, where nothing of its own forbids it."""
    language_model = decoder.language_model
    if not isinstance(language_model.base_model.layers[0], XGLMDecoderLayer):
        capped = getattr(language_model.config, "attn_logit_softcapping", None)
        if hasattr(decoder.gates[0].attention, "sinks") or capped:
            return
        language_model.set_attn_implementation(CLIPWISE)
    decoder.attends_clipwise = True


def _in_16_bits(weight: Tensor, bias: Tensor | None) -> nn.Module:
    if weight.dtype == torch.float32 and HalfLinear.possible(weight):
        return HalfLinear(weight, bias)
    return _as_it_is(weight, bias)


def _exact(weight: Tensor, bias: Tensor | None) -> nn.Module:
    fits = weight.dtype == torch.float32 and HalfLinear.exact(weight)
    return (_in_16_bits if fits else _as_it_is)(weight, bias)


def _as_it_is(weight: Tensor, bias: Tensor | None) -> nn.Module:
    if PackedLinear.possible(weight):
        return PackedLinear(weight, bias, rows=4)
    return (FewRowsLinear if weight.dtype == torch.float32 else plain_linear)(weight, bias)
