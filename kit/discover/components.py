"""Connected pieces of a scan and their roughness: a thing is judged whole, not point by point.

The constants are what simulated streets chose in `python -m kit bench discover_settings`.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from kit.geometry import k_nearest

FLOOR = 0.15  # metres; lower points are ground and would join everything into one piece
GAP = 0.5  # metres; nearer points belong together
GAP_PER_METRE = 0.025  # of range; the rings of a 32-beam lidar lie 0.023 apart
NEIGHBOURS = 10  # points, itself included
PATCH = 32  # points; a local surface is fitted to so many
GRAIN = 0.1  # metres; one point of such a voxel, or a near wall is as rough as the noise


def connected_pieces(
    points: Float[Tensor, "N 3"], height: Float[Tensor, " N"]
) -> Int[Tensor, " N"]:
    """Number the pieces that hang together when the ground is taken away.

    Args:
        points: lidar frame, metres, the lidar at the origin.
        height: above the ground, metres; see `kit.discover.ground.height_above_ground`.

    Returns:
        The piece of each point, from 0 on; -1 where it is lower than `FLOOR`. A point without a
        neighbour is a piece of its own.

    Source: connected components of the graph of the nearest points within reach; the reach
        grows with range as the lidar's rings part.
    """
    piece = torch.full((len(points),), -1)
    rows = (height > FLOOR).nonzero()[:, 0]
    if len(rows) == 0:
        return piece
    xyz = points[rows]
    reach = (GAP_PER_METRE * xyz.norm(dim=1)).clamp(min=GAP)
    distance, near = k_nearest(xyz, xyz, NEIGHBOURS)
    one, which = (distance <= reach[:, None]).nonzero(as_tuple=True)
    other = near[one, which]
    graph = coo_matrix((np.ones(len(one)), (one, other)), shape=(len(xyz), len(xyz)))
    piece[rows] = torch.from_numpy(connected_components(graph, directed=False)[1]).long()
    return piece


def mean_of_pieces(score: Float[Tensor, " N"], piece: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Give every point the mean score of its piece; points of no piece keep their own."""
    inside = piece >= 0
    if not inside.any():
        return score
    number = piece[inside]
    total = torch.zeros(int(number.max()) + 1).index_add_(0, number, score[inside])
    mean = total / torch.bincount(number, minlength=len(total))
    answer = score.clone()
    answer[inside] = mean[number]
    return answer


def roughness(points: Float[Tensor, "N 3"]) -> Float[Tensor, " N"]:
    """How far each point's surroundings are from a surface: 0 on a plane or a line, at most 1/3.

    Sheets of metal, concrete and plastic are near 0; leaves scatter.

    Args:
        points: metres.

    Source: surface variation (Pauly, Gross and Kobbelt, IEEE Visualization 2002): the smallest
        eigenvalue of the nearest points' covariance over the sum of all three. Differs: one
        point of every 0.1 m voxel is taken.
    """
    if len(points) == 0:
        return torch.zeros(0)
    voxel = np.floor(points.numpy().astype(np.float64) / GRAIN).astype(np.int64)
    _, kept, kept_of_point = np.unique(voxel, axis=0, return_index=True, return_inverse=True)
    xyz = points[kept].double()
    patch = xyz[k_nearest(xyz, xyz, PATCH)[1]].numpy()  # (M, k, 3)
    patch -= patch.mean(1, keepdims=True)
    values = np.linalg.eigvalsh(np.einsum("mki,mkj->mij", patch, patch))  # ascending
    rough = values[:, 0].clip(0) / np.maximum(values.sum(1), 1e-12)
    return torch.from_numpy(rough[kept_of_point.reshape(-1)]).float()
