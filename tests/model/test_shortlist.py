"""The likeliest next tokens: those of a softmax over the whole vocabulary."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from sign2gpt.model.shortlist import Shortlist


@given(
    st.integers(1, 7), st.integers(1, 12), st.integers(1, 900), st.booleans(), st.integers(0, 99)
)
def test_a_shortlist_is_the_best_of_a_softmax_and_the_rest(texts, size, said, some, seed):
    draws = torch.Generator().manual_seed(seed)
    scores = 4 * torch.randn(texts, said, generator=draws)
    ids = torch.randperm(999, generator=draws)[:said] if some else None
    shortlist = Shortlist(size)
    found = shortlist.of(scores, ids)
    best, places = scores.log_softmax(-1).topk(min(size, said))
    torch.testing.assert_close(found[:, :-1], best)
    assert torch.equal(shortlist.tokens, places if ids is None else ids[places])
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(texts))
    torch.testing.assert_close(found.log_softmax(-1), found)  # as the search does once more
