"""Connected components of a scan, and their surface variation.

Scores are averaged over a component, so that an object is scored as a whole.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import coo_matrix, csgraph
from torch import Tensor

from kit.discover.settings import DiscoverConfig
from kit.geometry import k_nearest


def connected_components(
    points: Float[Tensor, "N 3"],
    height: Float[Tensor, " N"],
    config: DiscoverConfig = DiscoverConfig(),  # noqa: B008
) -> Int[Tensor, " N"]:
    """Number the connected components of a scan without its ground.

    Args:
        points: lidar frame, metres, the lidar at the origin.
        height: above the ground, metres; see `kit.data.ground.height_above_ground`.
        config: `component_floor`, `component_gap`, `component_gap_per_metre` and
            `component_neighbours` are used.

    Returns:
        The component of each point, counted from 0; -1 for points lower than `component_floor`. A
        point without neighbours is a component of its own.

    Source: connected components of the graph of nearest points; the largest gap grows with range,
        as the distance between the lidar's rings does.
    """
    component = torch.full((len(points),), -1)
    index = (height > config.component_floor).nonzero()[:, 0]
    if len(index) == 0:
        return component
    xyz = points[index]
    gap = (config.component_gap_per_metre * xyz.norm(dim=1)).clamp(min=config.component_gap)
    distance, near = k_nearest(xyz, xyz, config.component_neighbours)
    one, which = (distance <= gap[:, None]).nonzero(as_tuple=True)
    other = near[one, which]
    graph = coo_matrix((np.ones(len(one)), (one, other)), shape=(len(xyz), len(xyz)))
    number = csgraph.connected_components(graph, directed=False)[1]
    component[index] = torch.from_numpy(number).long()
    return component


def mean_of_components(
    score: Float[Tensor, " N"], component: Int[Tensor, " N"]
) -> Float[Tensor, " N"]:
    """Give every point the mean score of its component; points of none keep their own score.

    Args:
        score: of each point.
        component: of each point, -1 for none.
    """
    inside = component >= 0
    if not inside.any():
        return score
    number = component[inside]
    total = torch.zeros(int(number.max()) + 1).index_add_(0, number, score[inside])
    mean = total / torch.bincount(number, minlength=len(total))
    result = score.clone()
    result[inside] = mean[number]
    return result


def length_of_components(
    points: Float[Tensor, "N 3"], component: Int[Tensor, " N"]
) -> Float[Tensor, " N"]:
    """Diagonal of the horizontal bounding box of each point's component, metres; 0 for none.

    Args:
        points: lidar frame, metres, z up.
        component: of each point, -1 for none.
    """
    length = torch.zeros(len(points))
    inside = component >= 0
    if not inside.any():
        return length
    number, xy = component[inside], points[inside, :2]
    corner = xy.new_zeros(int(number.max()) + 1, 2)
    index = number[:, None].expand(-1, 2)
    high = corner.scatter_reduce(0, index, xy, "amax", include_self=False)
    low = corner.scatter_reduce(0, index, xy, "amin", include_self=False)
    length[inside] = (high - low).norm(dim=1)[number]
    return length


def surface_variation(
    points: Float[Tensor, "N 3"],
    config: DiscoverConfig = DiscoverConfig(),  # noqa: B008
) -> Float[Tensor, " N"]:
    """Surface variation around each point: 0 on a plane or a line, at most 1/3.

    Sheets of metal, concrete and plastic are near 0; leaves are far above.

    Args:
        points: metres.
        config: `surface_neighbours` and `surface_voxel` are used.

    Source: surface variation (Pauly, Gross and Kobbelt, IEEE Visualization 2002): the smallest
        eigenvalue of the covariance of the nearest points, divided by the sum of all three.
        Differs: one point of every voxel is used.
    """
    if len(points) == 0:
        return torch.zeros(0)
    voxel = np.floor(points.numpy().astype(np.float64) / config.surface_voxel).astype(np.int64)
    _, kept, kept_of_point = np.unique(voxel, axis=0, return_index=True, return_inverse=True)
    xyz = points[kept].double()
    patch = xyz[k_nearest(xyz, xyz, config.surface_neighbours)[1]].numpy()  # (M, k, 3)
    patch -= patch.mean(1, keepdims=True)
    values = np.linalg.eigvalsh(np.einsum("mki,mkj->mij", patch, patch))  # ascending
    variation = values[:, 0].clip(0) / np.maximum(values.sum(1), 1e-12)
    return torch.from_numpy(variation[kept_of_point.reshape(-1)]).float()
