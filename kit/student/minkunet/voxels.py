"""Voxels of a batch for sparse convolutions: cubes, or cylindrical voxels around the sensor.

Source: cylindrical voxels as in Cylinder3D (arXiv:2011.10033) and SLidR (arXiv:2203.16258).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit.student.point_batch import PointBatch
from kit.student.scans import HalfExtents


@dataclass(frozen=True)
class Voxels:
    """The occupied voxels of a batch.

    Attributes:
        index: (V, 4) int32: scan and three grid coordinates of each voxel, sorted.
        voxel_of_point: (N,) row of `index` for each point; `voxel_feat[voxel_of_point]` are
            features of points.
        points_in_voxel: (V,) number of points in each voxel.
        grid: number of cells along the three axes.
    """

    index: Int[Tensor, "V 4"]
    voxel_of_point: Int[Tensor, " N"]
    points_in_voxel: Int[Tensor, " V"]
    grid: tuple[int, int, int]

    def mean(self, point_feat: Float[Tensor, "N C"]) -> Float[Tensor, "V C"]:
        """The mean over the points of each voxel."""
        total = point_feat.new_zeros(len(self.index), point_feat.shape[1])
        total.index_add_(0, self.voxel_of_point, point_feat)
        return total / self.points_in_voxel[:, None]


def num_voxels(
    bounds: tuple[HalfExtents, HalfExtents], size: float, cylindrical: bool
) -> tuple[int, int, int]:
    """Number of voxels along the three axes of the grid; see `voxelise`."""
    lower, upper = bounds
    extent = [high - low for low, high in zip(lower, upper, strict=True)]
    if cylindrical:
        x, y = (max(-lower[axis], upper[axis]) for axis in (0, 1))
        return math.ceil(math.hypot(x, y) / size), 360, math.ceil(extent[2] / size)
    return tuple(math.ceil(length / size) for length in extent)


def voxelise(
    batch: PointBatch, size: float, bounds: tuple[HalfExtents, HalfExtents], cylindrical: bool
) -> Voxels:
    """Find the voxel of every point.

    Args:
        batch: scans inside the field of view.
        size: edge of a cube, metres; of a cylindrical voxel its extent in range and in z, metres.
        bounds: lower and upper bounds (x, y, z) of the field of view, metres.
        cylindrical: grid coordinates are (range, azimuth in steps of one degree, z) instead of
            (x, y, z).

    Raises:
        ValueError: a coordinate is not finite or lies outside the field of view.
    """
    points = batch.feat[:, 1:4].double()  # float32 may round a point onto the border of its voxel
    lower, upper = points.new_tensor(bounds)
    if not bool(((points >= lower) & (points <= upper)).all()):  # NaN compares as False
        raise ValueError(
            f"points must be finite and inside {bounds} m: crop and clean them with `prepare_scan`"
        )
    grid = num_voxels(bounds, size, cylindrical)
    if cylindrical:
        radius = points[:, :2].norm(dim=1)
        azimuth = torch.atan2(points[:, 1], points[:, 0]) + math.pi
        degrees = torch.rad2deg(azimuth).clamp(max=359.999)
        place = torch.stack([radius / size, degrees, (points[:, 2] - lower[2]) / size], dim=1)
    else:
        place = (points - lower) / size
    limit = torch.tensor(grid, device=points.device) - 1
    index = torch.minimum(place.floor().long(), limit)  # for a point exactly on the border
    key = batch.batch_of_point
    for axis, cells in enumerate(grid):
        key = key * cells + index[:, axis]
    occupied, voxel_of_point, counts = key.unique(return_inverse=True, return_counts=True)
    columns = []
    for cells in reversed(grid):
        columns.append(occupied % cells)
        occupied = occupied // cells
    index = torch.stack([occupied, *reversed(columns)], dim=1).int()
    return Voxels(index, voxel_of_point, counts, grid)
