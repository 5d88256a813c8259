"""Features of points, and the one way to get them.

In: a teacher, a student or a baseline, and a keyframe. Out: `Features`: one row for each point that
has one, with the feature space it belongs to. Read `extract.py` first, then `spaces.py`.
"""
