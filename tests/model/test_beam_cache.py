"""The cache for beam search on a CPU holds what transformers' own holds."""

import torch
from transformers import XGLMConfig
from transformers.cache_utils import DynamicCache

from sign2gpt.model.beam_cache import ROOM, BeamCache, BeamLayer


def test_holds_what_a_dynamic_cache_holds():
    """While texts grow past its first room, and beams end, go on and change places."""
    torch.manual_seed(0)
    config = XGLMConfig(num_layers=2, d_model=8, attention_heads=2)
    ours, theirs = BeamCache(config), DynamicCache(config=config)
    for step in range(3 * ROOM):
        for layer in range(2):
            new = torch.randn(2, 4, 2, 5 if step == 0 else 1, 4)
            held = ours.update(new[0], new[1], layer)
            wanted = theirs.update(new[0], new[1], layer)
            assert all(map(torch.equal, held, wanted))
        if step == 9:
            ours.crop(-3)
            theirs.crop(-3)
        beams = torch.arange(4) if step % 5 == 0 else torch.randint(0, 4, (4,))
        ours.reorder_cache(beams)
        theirs.reorder_cache(beams)
    assert all(type(layer) is BeamLayer for layer in ours.layers)
    assert ours.get_seq_length() == theirs.get_seq_length() == 3 * ROOM + 4 - 3


def test_a_token_is_written_beside_the_others():
    cache = BeamCache(XGLMConfig(num_layers=1, d_model=8, attention_heads=2))
    places = {cache.update(*torch.ones(2, 4, 2, 1, 4), 0)[0].data_ptr() for _ in range(ROOM)}
    assert len(places) == 1
    cache.reorder_cache(torch.tensor([3, 1]))  # texts may also become fewer
    assert len(cache.layers[0].keys) == 2


def test_what_was_read_before_stays_as_it_was():
    """A caller may keep a step's keys: the next steps write beside them, unless beams move."""
    cache = BeamCache(XGLMConfig(num_layers=1, d_model=8, attention_heads=2))
    first = cache.update(torch.ones(2, 2, 1, 4), torch.ones(2, 2, 1, 4), 0)[0]
    cache.update(torch.zeros(2, 2, 1, 4), torch.zeros(2, 2, 1, 4), 0)
    assert first.shape[2] == 1 and bool((first == 1).all())
