"""Features of points, and the function `extract`, which computes them with any model.

In: a keyframe, and a teacher, a student or a baseline. Out: `Features`: one row for each point that
has a feature, and the network and layer they come from, so that only comparable features are
compared. Read `extract.py` first, then `spaces.py` (feature spaces), `export.py` (files), and the
tools `knn.py` (averaging), `linear.py` (a classifier) and `threshold.py` (Otsu).
"""
