"""WaffleIron, the paper's student.

In: a `PointBatch`. Out: a feature for every point, and one in the teacher's feature space.
Read `reference.py` first: the network as the paper writes it. `model.py` computes the same only where
points are, with `planes.py` and `point_embedding.py`.
"""
