"""The texts of a clip while they are searched on a CPU: their tokens in one row, and who has which.

transformers' `DynamicCache` holds a row of keys and values for each text. Each token copies all of
it, to append to it, and once more to put the beams in order. Here the texts of a clip share one row
that is written at its end, and a mask says which of its tokens are a text's own: beams change
places in the mask alone. Now and then tokens that no text has any more leave the row: most beams
share their beginnings, and of four some 40 % of all tokens stay. That is for attention that takes
the queries of all texts of a clip together, as `gated_attention.attend` does.

Shapes: B clips, F texts a clip (beams), N = B * F texts, G key/value heads, L tokens a text,
S tokens in the row of a clip, Dh width of a head.
"""

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.cache_utils import DynamicCache, DynamicLayer

ROOM = 64  # tokens a text for which there is room at first; doubled when it is full
SWEEP = 16  # tokens a text after which those that no text has any more leave


class BeamLayer(DynamicLayer):
    """One layer's keys and values, (B, G, S, Dh) each, the filled part of larger tensors."""

    is_croppable = False

    def __init__(self, clips: int):
        super().__init__()
        self.clips = clips
        self.tokens = 0  # of each text
        self.filled = 0  # S

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Append those of L' tokens, (N, G, L', Dh); all of the clips' now, (B, G, S, Dh)."""
        texts, heads, new, width = key_states.shape
        each = texts // self.clips
        begin, end = self.filled, self.filled + each * new
        if not self.is_initialized or end > self.keys.shape[2]:
            room = max(each * ROOM, 2 * begin, end)
            before = (self.keys, self.values) if self.is_initialized else ()
            self.device, self.is_initialized = key_states.device, True
            self.keys, self.values = (
                key_states.new_empty(self.clips, heads, room, width) for _ in range(2)
            )
            for wide, narrow in zip((self.keys, self.values), before, strict=False):
                wide[:, :, :begin] = narrow[:, :, :begin]
        for room, states in ((self.keys, key_states), (self.values, value_states)):
            theirs = states.view(self.clips, each, heads, new, width).transpose(1, 2)
            room[:, :, begin:end].unflatten(2, (each, new)).copy_(theirs)
        self.tokens += new
        self.filled = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def keep_only(self, places: Tensor) -> None:
        """Of each clip's tokens those at places (B, K), in that order."""
        if not self.is_initialized:
            return
        self.filled = places.shape[1]
        for room in (self.keys, self.values):
            for clip, at in zip(room, places, strict=True):  # at once it takes 20 times as long
                clip[:, : self.filled] = clip.index_select(1, at)

    def get_seq_length(self) -> int:
        """Tokens of each text."""
        return self.tokens


class BeamCache(DynamicCache):
    """Keys and values of all layers, and which of a clip's tokens are each text's own.

    Args:
        config: of the language model.
        clips: B; the texts that come to `update` are F of the first, F of the second ...
    """

    def __init__(self, config: PreTrainedConfig, clips: int):
        super().__init__(config=config)
        self.layers = [BeamLayer(clips) for _ in self.layers]
        self.own: Tensor | None = None  # (N, S), 0 where a token is the text's own, else -inf

    @staticmethod
    def possible(config: PreTrainedConfig) -> bool:
        """Whether all layers of a language model attend to the whole text."""
        return all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)

    def attend_to(self, texts: int, new: int, dtype: torch.dtype) -> Tensor:
        """The mask (B, 1, F * L', S) under which L' new tokens of each text attend to their own
        ones, the new ones among them; to be asked once for all layers, before they are updated."""
        clips = self.layers[0].clips
        each = texts // clips
        same_text = torch.eye(each, dtype=torch.bool).repeat(clips, 1)[:, None, :, None]
        not_later = torch.ones(new, new, dtype=torch.bool).tril()[:, None, :]
        allowed = (same_text & not_later).flatten(2)  # (N, L', F * L')
        added = torch.zeros(allowed.shape, dtype=dtype).masked_fill_(~allowed, -torch.inf)
        before = added.new_zeros(texts, 0) if self.own is None else self.own
        self.own = torch.cat([before, added[:, -1]], 1)
        mask = torch.cat([before[:, None].expand(-1, new, -1), added], 2)
        return mask.view(clips, 1, each * new, -1)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Text n goes on from text beam_idx[n] of the same clip; beam_idx (N,) int."""
        if self.own is not None:
            self.own = self.own.index_select(0, beam_idx)
            if self.get_seq_length() % SWEEP == 0:
                self._sweep()

    def _sweep(self) -> None:
        """Let tokens go that no text has; clips with fewer others keep some of them."""
        clips = self.layers[0].clips
        own = self.own.unflatten(0, (clips, -1))  # (B, F, S)
        had = own.amax(1) == 0  # (B, S)
        most = int(had.sum(1).max())
        places = had.int().argsort(dim=1, descending=True, stable=True)[:, :most]
        self.own = own.take_along_dim(places[:, None], 2).flatten(0, 1)
        for layer in self.layers:
            layer.keep_only(places)
