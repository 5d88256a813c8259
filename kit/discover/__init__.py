"""Discovery without labels: foreground, objects, and classes of objects that have no name.

In: a keyframe and features of its points. Out: a foreground score for every point, objects with
boxes, unsupervised classes. Read `foreground.py` first, then `ground.py`, `components.py` and
`objects.py`.
"""
