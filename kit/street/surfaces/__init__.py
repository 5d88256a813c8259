"""Surfaces: procedural materials; colour and gloss are computed by formulas, without image files.

In: points on a mesh. Out: a colour for each, and for some materials a gloss. Read `materials.py`
first (the table of materials), then `patterns.py` (noise, lines, mixtures); the `paint_*.py` files
have one function for each material.
"""
