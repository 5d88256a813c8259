"""WaffleIron (arXiv:2301.10100), the student network of ScaLR (arXiv:2310.17504).

In: a `PointBatch`. Out: a feature for every point, and one in the teacher's feature space. Read
`reference.py` first: the network as the paper writes it. `model.py` gives the same result and skips
empty grid cells, with `planes.py` and `point_embedding.py`. `published.py` converts the weights of
published checkpoints to the kit's names.
"""
