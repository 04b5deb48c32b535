"""The invented sign language: lexicon, grammar, avatar, corpus."""
