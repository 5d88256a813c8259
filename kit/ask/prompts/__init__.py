"""Prompts: where the examples of a query come from.

In: the name of an asset of the street (`asset.py`), a region of an image (`image.py`), or a text
(`text.py`). Out: a teacher's features of positive examples, and of negative ones to compare with.
Read `image.py` first.
"""
