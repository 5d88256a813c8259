"""Evaluation: how good are features, scores and objects, according to annotations?

In: features of keyframes with labels. Out: mIoU of a linear probe, average precision, recall of
objects. Read `protocols.py` first (probing a data set), then `probe.py` and `metrics.py`.
"""
