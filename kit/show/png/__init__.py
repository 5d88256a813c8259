"""The drawing of a `Picture` as pixels, without a browser.

In: a figure of `kit.show`, or a scene. Out: a PNG file, or pixels. Read `render.py` first, then
`splat.py`, which draws points.
"""
