"""Surfaces: colours and gloss by formulas, without image files.

In: places on a mesh. Out: a colour for each. Read `textures.py` first, then `spots.py`.
"""
