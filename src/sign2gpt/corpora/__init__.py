"""Corpora as they are published: read, prepared into a store, checked.

A reader is one small file that says where a corpus keeps its sentences and clips, and what is
known of it; `readers.CORPORA` lists them.
"""
