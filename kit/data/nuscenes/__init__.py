"""Data sets in the nuScenes schema: nuScenes itself, or anything converted to it.

In: the root of a data set, partial downloads included. Out: keyframes. Read `folder.py` first;
`tables.py` reads the JSON tables and `boxes.py` the annotated boxes.
"""
