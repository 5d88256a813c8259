"""k-nearest-neighbour averaging."""

from jaxtyping import Float
from torch import Tensor

from kit.geometry import k_nearest


def knn_mean(
    points: Float[Tensor, "N 3"],
    values: Float[Tensor, "N Q"],
    at: Float[Tensor, "M 3"] | None = None,
    k: int = 16,
) -> Float[Tensor, "M Q"]:
    """k-nearest-neighbour averaging: the mean value of the k nearest points.

    Args:
        points: metres; at least one.
        values: one row for each point.
        at: places to average for, metres. None: the points themselves, each being its own nearest.
        k: neighbours of each place; all points where there are fewer.
    """
    _, index = k_nearest(points, points if at is None else at, k)
    return values[index].mean(1)
