"""k-means on unit vectors, without random numbers: the same rows give the same clusters."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from kit.distill.losses.groups import group_mean


def kmeans(
    unit: Float[Tensor, "M D"], count: int, rounds: int
) -> tuple[Int[Tensor, " M"], Float[Tensor, "S D"]]:
    """Cluster unit vectors by their cosine; the first centres are rows at equal distances.

    Args:
        unit: rows of unit length.
        count: number of clusters; there may be fewer in the end, because empty ones are left out.
        rounds: of assigning rows and moving centres.

    Returns:
        The cluster of each row, and the mean of the rows of each cluster.
    """
    first = torch.linspace(0, len(unit) - 1, min(count, len(unit)), device=unit.device)
    centres = unit[first.round().long()]
    for _ in range(rounds):
        used, number = nearest_centre(unit, centres).unique(return_inverse=True)
        centres = group_mean(unit, number, len(used))
    return number, centres


def nearest_centre(unit: Float[Tensor, "M D"], centres: Float[Tensor, "S D"]) -> Int[Tensor, " M"]:
    """The centre with the largest cosine to each row."""
    return (unit @ F.normalize(centres, dim=1).T).argmax(1)
