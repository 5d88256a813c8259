"""Prompts: where the examples of a query come from.

In: the name of a thing of the street (`asset.py`), a region of an image (`image.py`), or a text
(`text.py`). Out: features of a teacher that show what is asked for, and of what is not.
"""
