"""From sentences to pseudo-glosses, their word vectors and tokens."""
