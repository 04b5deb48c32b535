"""The invented sign language: lexicon, grammar, avatar, corpus."""

CLIPS = 3960
"""Clips of a corpus, all splits together, unless another number is asked for."""
