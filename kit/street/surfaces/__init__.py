"""Surfaces: procedural materials; colour and gloss are computed by formulas, without image files.

Takes points on a mesh and returns a colour, and for some materials a gloss, for each. Read
`materials.py` first (the table of materials), then `patterns.py` (noise, lines, mixtures); the
`paint_*.py` files have one function for each material.
"""
