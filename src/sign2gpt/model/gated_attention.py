"""Zero-gated cross-attention beside a frozen language model's self-attention (section 3.1, eq. 1).

`GatedSelfAttention` replaces `layer.self_attn` and returns attention(h) + cross(h, signs).
Both share the frozen q, k, v and out. Summing after `out` equals summing the heads before it, as
`out` is linear, so long as its bias is counted once.

Shapes: B clips, F texts a clip (beams), L text tokens, T sign tokens, W language model's width, H
query heads, G key/value heads, Dh width of a head.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sign2gpt.errors import UserError
from sign2gpt.model.configuration import Sign2GPTConfig
from sign2gpt.model.lora import AdaptedLinear, LowRankAdapter, adapt
from sign2gpt.model.precision import kind_of

DECODER_LORA_STD = 0.2


@dataclass
class SignMemory:
    """The signs of B clips as the decoder's layers read them.

    Args:
        states: FCm(Z + positions), (B, T, W).
        mask: (B, T) bool.
        keep: whether layers leave their keys and values here. Right while one sentence after
            another token is generated; never while gradients are on, where keeping them would
            break gradient checkpointing and hold graphs alive.
    """

    states: Tensor
    mask: Tensor
    keep: bool = False
    kept: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @cached_property
    def attention_mask(self) -> Tensor | None:
        """The mask as the scores take it, (B, 1, 1, T); None, in generation, where no clip is
        padded: a training step on a GPU would wait for the answer."""
        ask = self.keep and not self.mask.is_meta
        return None if ask and bool(self.mask.all()) else self.mask[:, None, None, :]


class GatedSelfAttention(nn.Module):
    """A frozen self-attention with adapters, and the gated cross-attention that shares its weights.

    Args:
        attention: the layer's own self-attention; its linear layers get adapters in place.
        norm: the layer's own norm before attention, applied to the signs too.
        index: number of the layer.
        config: ranks, dropout and kind of gate.
    """

    def __init__(self, attention: nn.Module, norm: nn.Module, index: int, config: Sign2GPTConfig):
        super().__init__()
        settings = (
            config.decoder_lora_rank,
            config.decoder_lora_alpha,
            config.decoder_lora_dropout,
            DECODER_LORA_STD,
        )
        self.out_name = "out_proj" if hasattr(attention, "out_proj") else "o_proj"
        adapt(attention, ["q_proj", "k_proj", "v_proj", self.out_name], *settings)
        self.attention = attention
        self.cross_query, self.cross_key, self.cross_value = (
            LowRankAdapter(linear.in_features, linear.out_features, *settings)
            for linear in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        self.num_heads = attention.q_proj.out_features // attention.head_dim
        self.gate = nn.Parameter(torch.zeros(self.num_heads))
        self.gate_kind = config.gate
        self.index = index
        self._norm = (norm,)  # in a tuple: it belongs to the layer, not to this module

    def forward(
        self,
        hidden_states: Tensor,
        *args: Any,
        sign_memory: SignMemory | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, ...]:
        """Text features h (B * F, L, W) -> attention(h) + cross(h, signs), and what else the frozen
        attention returns; without a memory the frozen attention and its adapters alone."""
        attended, *rest = self.attention(hidden_states, *args, **kwargs)
        if sign_memory is not None:
            attended = attended + self.cross(hidden_states, sign_memory)
        return (attended, *rest)

    def cross(self, hidden_states: Tensor, memory: SignMemory) -> Tensor:
        """(g * softmax(q k^T / sqrt(Dh))) v through `out`, no bias: (B * F, L, W) -> the same.

        A head's gate g is one number and multiplies v, which is done once for all texts.
        """
        heads = self._attend_to_signs(self._heads(self.cross_query, "q", hidden_states), memory)
        out: AdaptedLinear = getattr(self.attention, self.out_name)
        return out(heads, with_bias=False)

    def _attend_to_signs(self, query: Tensor, memory: SignMemory) -> Tensor:
        """Queries (B * F, L, H, Dh) -> gated heads before `out`, (B * F, L, H * Dh)."""
        keys, values = self._keys_and_values(memory)
        scale = getattr(self.attention, "scaling", None)
        return attend(query, keys, values, memory.attention_mask, scale)

    def open_gate(self) -> Tensor:
        """The gates (H,) as they act, in [0, 1] unless the configuration frees them."""
        if self.gate_kind == "free":
            return self.gate
        clamped = self.gate.clamp(0.0, 1.0)
        if self.gate_kind == "clamp":
            return clamped
        # Straight through: a gate pushed out of [0, 1] still gets a gradient and can come back.
        return self.gate + (clamped - self.gate).detach()

    @torch.no_grad()
    def project_(self) -> None:
        """Put the gates back into [0, 1]; a free gate stays where it is."""
        if self.gate_kind != "free":
            self.gate.clamp_(0.0, 1.0)

    def _keys_and_values(self, memory: SignMemory) -> tuple[Tensor, Tensor]:
        """Keys and gated values of the signs, each (B, H, T, Dh)."""
        if memory.keep and self.index in memory.kept:
            return memory.kept[self.index]
        keys, values = self._signs(self._norm[0](memory.states))
        groups = self.num_heads // keys.shape[1]
        if groups > 1:  # grouped queries: a key/value head serves several query heads
            keys = keys.repeat_interleave(groups, dim=1)
            values = values.repeat_interleave(groups, dim=1)
        values = values * self.open_gate().to(values.dtype)[:, None, None]
        if memory.keep and not torch.is_grad_enabled():
            memory.kept[self.index] = (keys, values)
        return keys, values

    def _signs(self, normed: Tensor) -> tuple[Tensor, Tensor]:
        """Normed signs (B, T, W) -> keys and values, each (B, G, T, Dh)."""
        keys = self._heads(self.cross_key, "k", normed)
        return keys.transpose(1, 2), self._heads(self.cross_value, "v", normed).transpose(1, 2)

    def _heads(self, adapter: LowRankAdapter, name: str, inputs: Tensor) -> Tensor:
        """Frozen projection with a second adapter: (*, L, W) -> (*, L, H or G, Dh), no rotary."""
        return self._split(adapter.apply_to(getattr(self.attention, f"{name}_proj"), inputs), name)

    def _split(self, projected: Tensor, name: str) -> Tensor:
        """What a projection gives, (*, H * Dh) -> (*, H, Dh), normed where the model does."""
        heads = projected.unflatten(-1, (-1, self.attention.head_dim))
        norm = getattr(self.attention, f"{name}_norm", None)  # Qwen3 norms each head
        return heads if norm is None else norm(heads)


def attend(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float | None = None
) -> Tensor:
    """Attention of the F texts of each clip to what is their clip's, which is not copied per text.

    Args:
        query: (B * F, L, H, Dh).
        keys, values: (B, G, S, Dh).
        mask: as `scaled_dot_product_attention` takes it, broadcast to (B, H, F * L, S).

    Returns:
        Heads (B * F, L, H * Dh).
    """
    texts, length, heads, width = query.shape
    folded = query.reshape(len(keys), -1, heads, width).transpose(1, 2)  # (B, H, F * L, Dh)
    grouped = keys.shape[1] != heads
    if torch.is_grad_enabled() and kind_of(query.device) == "cpu" and not grouped:
        # The fused one's way back is slow there in bfloat16 (docs/log.md).
        scores = (folded * (width**-0.5 if scale is None else scale)) @ keys.transpose(-1, -2)
        if mask is None:
            weights = scores.softmax(-1)
        elif mask.dtype is torch.bool:  # who may see nothing gets nothing, as from the fused one
            barred = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
            weights = barred.softmax(-1).masked_fill(~mask, 0.0)
        else:
            weights = (scores + mask).softmax(-1)
        attended = weights.to(values.dtype) @ values
    else:
        attended = F.scaled_dot_product_attention(
            folded, keys, values, attn_mask=mask, scale=scale, enable_gqa=grouped
        )
    return attended.transpose(1, 2).reshape(texts, length, -1)


def gate_language_model(language_model: nn.Module, config: Sign2GPTConfig) -> None:
    """Put a `GatedSelfAttention` into every layer of a causal language model.

    Raises:
        UserError: the model is not built like XGLM or Llama.
    """
    layers = getattr(language_model.base_model, "layers", [])
    for index, layer in enumerate(layers):
        norm = getattr(layer, "self_attn_layer_norm", getattr(layer, "input_layernorm", None))
        attention = getattr(layer, "self_attn", None)
        needed = ("q_proj", "k_proj", "v_proj", "head_dim")
        if norm is None or not all(hasattr(attention, name) for name in needed):
            raise UserError(_unsupported(language_model))
        layer.self_attn = GatedSelfAttention(attention, norm, index, config)
    scaled = ("final_logit_softcapping", "logit_scale", "logits_scaling")
    if not layers or any(getattr(language_model.config, key, None) for key in scaled):
        raise UserError(_unsupported(language_model))


def _unsupported(language_model: nn.Module) -> str:
    return (
        f"text_config is of type {language_model.config.model_type!r}, whose layers are built "
        "differently; choose XGLM or a language model of the Llama family (llama, qwen2, qwen3...)."
    )
