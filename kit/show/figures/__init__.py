"""The functions of `kit.show` that make figures, and the drawing of a `Picture` with plotly.

In: arrays, keyframes, features. Out: a plotly figure that keeps its description. Read `clouds.py`
first, then `render.py`.
"""
