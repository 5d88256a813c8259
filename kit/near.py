"""What the nearest points in space say."""

import numpy as np
import torch
from jaxtyping import Float
from pykdtree.kdtree import KDTree
from torch import Tensor


def mean_of_nearest(
    points: Float[Tensor, "N 3"],
    values: Float[Tensor, "N Q"],
    at: Float[Tensor, "M 3"] | None = None,
    count: int = 16,
) -> Float[Tensor, "M Q"]:
    """Mean over the nearest points that have values.

    Args:
        points: metres; at least one.
        values: one row for each point.
        at: places to answer for, metres. None: the points themselves, each its own nearest.
        count: how many; all of them where there are fewer.
    """
    xyz, wanted = (
        np.ascontiguousarray(part.numpy(), dtype=np.float32)
        for part in (points, points if at is None else at)
    )
    count = min(count, len(xyz))
    rows = KDTree(xyz).query(wanted, k=count)[1].reshape(len(wanted), count)
    return values[torch.from_numpy(rows.astype(np.int64))].mean(1)
