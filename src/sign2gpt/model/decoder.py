"""Decoder: a frozen language model that reads signs through gated cross-attention (section 3.1).

Shapes: B clips, F texts a clip (beams), L text tokens, T sign tokens, D sign width, W language
model's width, M vocabulary.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM
from transformers.cache_utils import Cache, EncoderDecoderCache

from sign2gpt.errors import UserError
from sign2gpt.model.backbone import frozen_copy
from sign2gpt.model.beam_cache import BeamCache
from sign2gpt.model.configuration import Sign2GPTConfig
from sign2gpt.model.gated_attention import GatedSelfAttention, SignMemory, gate_language_model
from sign2gpt.model.lora import LowRankAdapter
from sign2gpt.model.positions import add_sinusoidal_positions


class GatedDecoder(nn.Module):
    """The language model with its adapters and gates, and FCm with the positions before it.

    Raises:
        UserError: the configuration has no language model, or one that cannot be gated.
    """

    def __init__(self, config: Sign2GPTConfig):
        super().__init__()
        text = config.text_config
        if text is None:
            raise UserError(
                "The model is one of stage 1, which finds signs and writes no sentences; name one "
                "of stage 2. (Its configuration has no text_config.)"
            )
        language_model = AutoModelForCausalLM.from_config(frozen_copy(text, config.frozen_dropout))
        gate_language_model(language_model, config)
        self.language_model = language_model
        self.head: nn.Module | None = None  # in place of the language model's, in generation
        self.attends_clipwise = False  # whether it is laid out so that a `BeamCache` fits
        # transformers looks for tied weights only on direct children of the whole model.
        self.all_tied_weights_keys = {
            f"language_model.{tied}": f"language_model.{source}"
            for tied, source in language_model.all_tied_weights_keys.items()
        }
        self.sign_position = config.sign_position
        if self.sign_position.startswith("learnable"):
            table = torch.zeros(config.max_sign_positions, config.sign_hidden_size)
            if self.sign_position == "learnable_random":
                table.normal_(std=0.02)
            self.sign_position_table = nn.Parameter(table)
        self.sign_projection = nn.Linear(config.sign_hidden_size, text.hidden_size)  # FCm

    @property
    def gates(self) -> list[GatedSelfAttention]:
        """The gated attention of each layer."""
        return [layer.self_attn for layer in self.language_model.base_model.layers]

    def frozen_parameters(self) -> list[nn.Parameter]:
        """The language model's own weights, token embeddings and head included."""
        learnt = {gated.gate for gated in self.gates}
        for module in self.language_model.modules():
            if isinstance(module, LowRankAdapter):
                learnt.update(module.parameters())
        return [weight for weight in self.language_model.parameters() if weight not in learnt]

    def remember(self, sign_features: Tensor, sign_mask: Tensor, keep: bool = False) -> SignMemory:
        """Sign features Z (B, T, D) and mask (B, T) -> what the layers attend to.

        Raises:
            UserError: the clip is longer than the learnable positions reach.
        """
        dtype = self.sign_projection.weight.dtype
        placed = self._place(sign_features.to(dtype))
        return SignMemory(self.sign_projection(placed), sign_mask, keep)

    def forward(
        self,
        input_ids: Tensor,
        sign_memory: SignMemory | None,
        cache: Cache | None = None,
        use_cache: bool = False,
        attention_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Cache | None]:
        """Text tokens (B * F, L) -> the language model's last features (B * F, L, W) and its cache.

        Without a memory this is the frozen language model with its self-attention adapters.
        """
        own = cache
        if isinstance(cache, EncoderDecoderCache):
            own = cache.self_attention_cache  # the signs' keys are kept in the memory
        if isinstance(own, BeamCache):
            attention_mask = own.attend_to(*input_ids.shape, self.sign_projection.weight.dtype)
        outputs = self.language_model.base_model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            cache=own,
            use_cache=use_cache,
            sign_memory=sign_memory,
            **kwargs,
        )
        return outputs.last_hidden_state, outputs.cache if cache is None else cache

    def logits(self, features: Tensor) -> Tensor:
        """(*, W) -> (*, M)."""
        head = self.head or self.language_model.get_output_embeddings()
        return head(features)

    def _place(self, sign_features: Tensor) -> Tensor:
        if self.sign_position == "none":
            return sign_features
        if self.sign_position == "sinusoidal":
            return add_sinusoidal_positions(sign_features)
        length = sign_features.shape[1]
        if length > len(self.sign_position_table):
            raise UserError(
                f"A clip has {length} sign tokens but the learnable positions reach "
                f"{len(self.sign_position_table)}; raise max_sign_positions or cap the frames."
            )
        return sign_features + self.sign_position_table[:length]
