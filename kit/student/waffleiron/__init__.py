"""WaffleIron, the student of the paper (arXiv:2301.10100).

In: a `PointBatch`. Out: a feature for every point, and one in the teacher's feature space. Read
`reference.py` first: the network as the paper writes it; then `model.py`, which computes the same
only at occupied cells, with `planes.py` and `point_embedding.py`.
"""
