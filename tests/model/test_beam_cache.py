"""Texts that share a clip's row attend as they do to rows of their own."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import MistralConfig, XGLMConfig
from transformers.cache_utils import DynamicCache

from sign2gpt.model.beam_cache import ROOM, SWEEP, BeamCache
from sign2gpt.model.gated_attention import attend

CONFIG = XGLMConfig(num_layers=2, d_model=8, attention_heads=2)


@pytest.mark.parametrize("clips, beams, prompt", [(1, 1, 1), (2, 3, 1), (2, 2, 5), (3, 4, 2)])
def test_attends_as_with_a_dynamic_cache(monkeypatch, clips, beams, prompt):
    """While texts grow past its rooms, and beams end, go on and change places."""
    torch.manual_seed(0)
    monkeypatch.setattr("sign2gpt.model.beam_cache.ROOM", 8)
    rooms = set()
    ours, theirs = BeamCache(CONFIG, clips), DynamicCache(config=CONFIG)
    texts = clips * beams
    first = torch.arange(clips).repeat_interleave(beams)[:, None] * beams
    for step in range(6 * SWEEP):
        new = prompt if step == 0 else 1
        mask = ours.attend_to(texts, new, torch.float32)
        for layer in range(2):
            query, key, value = torch.randn(3, texts, 2, new, 4)
            found = attend(query.transpose(1, 2), *ours.update(key, value, layer), mask)
            keys, values = theirs.update(key, value, layer)
            wanted = scaled_dot_product_attention(query, keys, values, is_causal=step == 0)
            torch.testing.assert_close(found, wanted.transpose(1, 2).flatten(2))
        rooms.add(ours.layers[0].keys.shape[2])
        if step % 5:
            moved = (first + torch.randint(0, beams, (texts, 1))).flatten()
            ours.reorder_cache(moved)
            theirs.reorder_cache(moved)
    assert ours.get_seq_length() == theirs.get_seq_length() == prompt + 6 * SWEEP - 1
    assert len(rooms) >= 4


def test_tokens_that_no_text_has_any_more_leave():
    """All texts of a clip go on from the same one each time, the first or the last: left are that
    text and what came after the last sweep."""
    cache, longest = BeamCache(CONFIG, clips=2), []
    for _ in range(10 * SWEEP):
        cache.attend_to(6, 1, torch.float32)
        for layer in range(2):
            keys, _ = cache.update(*torch.ones(2, 6, 2, 1, 4), layer)
        longest.append(keys.shape[2] - cache.get_seq_length())
        cache.reorder_cache(torch.tensor([0, 0, 0, 5, 5, 5]))
    assert max(longest) == 2 * SWEEP  # of three texts


def test_a_layer_that_is_not_written_stays_so():
    cache = BeamCache(CONFIG, clips=1)
    for _ in range(SWEEP):
        cache.attend_to(2, 1, torch.float32)
        cache.update(*torch.ones(2, 2, 2, 1, 4), 0)
    cache.reorder_cache(torch.tensor([0, 0]))
    assert cache.layers[0].filled == SWEEP and cache.layers[1].filled == 0


def test_a_token_is_written_beside_the_others():
    """Nothing that is there already is copied elsewhere, whatever beams do."""
    cache = BeamCache(CONFIG, clips=2)
    places = set()
    for _ in range(ROOM):
        cache.attend_to(4, 1, torch.float32)
        places.add(cache.update(*torch.ones(2, 4, 2, 1, 4), 0)[0].data_ptr())
        cache.reorder_cache(torch.tensor([1, 0, 3, 3]))
    assert len(places) == 1


def test_a_layer_that_forgets_what_is_far_away_has_another_cache():
    assert BeamCache.possible(CONFIG)
    assert not BeamCache.possible(MistralConfig(num_hidden_layers=2, sliding_window=8))
