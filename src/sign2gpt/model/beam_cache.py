"""A text's keys and values while beams are searched on a CPU: written once, moved only if need be.

transformers' `DynamicCache` copies everything at each token, to append to it, and once more to put
the beams in order. Here a token is written into room that is already there, and of the beams only
those that go on from another one are copied.

Shapes: N texts (clips x beams), G key/value heads, L tokens, Dh width of a head.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.cache_utils import DynamicCache, DynamicLayer

ROOM = 64  # tokens for which there is room at first; doubled when it is full


class BeamLayer(DynamicLayer):
    """One layer's keys and values, (N, G, L, Dh), the filled part of larger tensors."""

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        super().lazy_initialization(key_states, value_states)
        self._rooms: dict[str, Tensor] = {}

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append L' tokens' keys and values; all there are now."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys = self._appended("keys", self.keys, key_states)
        self.values = self._appended("values", self.values, value_states)
        return self.keys, self.values

    def move(self, to: Tensor, source: Tensor) -> None:
        """Texts `source` take the places `to`, in the tensors as they are."""
        self.keys[to] = self.keys[source]  # the right-hand side is gathered first
        self.values[to] = self.values[source]

    def holds(self, texts: int) -> bool:
        """Whether there are keys and values of just so many texts."""
        return self.get_seq_length() > 0 and len(self.keys) == texts

    def _appended(self, name: str, filled: Tensor, new: Tensor) -> Tensor:
        length = filled.shape[-2] if filled.numel() else 0
        end = length + new.shape[-2]
        room = self._rooms.get(name)
        if room is None or end > room.shape[-2] or filled.data_ptr() != room.data_ptr():
            texts, heads, _, width = new.shape
            room = new.new_empty(texts, heads, max(ROOM, 2 * length, end), width)
            if length:
                room[:, :, :length] = filled
            self._rooms[name] = room
        room[:, :, length:end] = new
        return room[:, :, :end]


class BeamCache(DynamicCache):
    """`DynamicCache` with `BeamLayer`s where a layer attends to the whole text."""

    def __init__(self, config: PreTrainedConfig):
        super().__init__(config=config)
        self.layers = [
            BeamLayer() if type(layer) is DynamicLayer else layer for layer in self.layers
        ]

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Text n goes on from text beam_idx[n]; beam_idx (N,) int."""
        places = torch.arange(len(beam_idx), device=beam_idx.device, dtype=beam_idx.dtype)
        to = (beam_idx != places).nonzero().squeeze(-1)
        source = beam_idx[to].long()
        for layer in self.layers:
            if not isinstance(layer, BeamLayer) or not layer.holds(len(beam_idx)):
                layer.reorder_cache(beam_idx)
            elif len(to):
                layer.move(to, source)
