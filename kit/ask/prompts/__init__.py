"""Prompts: where the examples of a query come from.

In: the name of an asset of the street (`asset.py`), a region of an image (`image.py`), or a text
(`text.py`). Out: a teacher's features of what is searched, and of other things. Read `image.py`
first.
"""
