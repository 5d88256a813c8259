"""Features of points, and one way to get them.

In: a keyframe, and a teacher, a student or a baseline. Out: `Features`: one row for each point that
has a feature, and the feature space of these rows. Read `extract.py` first, then `spaces.py`;
`knn.py`, `linear.py` and `threshold.py` are small tools on features and scores.
"""
