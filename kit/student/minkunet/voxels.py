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

GRIDS = ("corner", "sensor", "scan")
REDUCES = ("mean", "first")
COARSE = 16  # cells of the finest grid in one of the coarsest, along each axis
AZIMUTHS = 360


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

    def first(self, point_feat: Float[Tensor, "N C"]) -> Float[Tensor, "V C"]:
        """The features of the first point of each voxel."""
        numbers = torch.arange(len(point_feat), device=point_feat.device)
        point = torch.full_like(self.points_in_voxel, len(point_feat))
        point.scatter_reduce_(0, self.voxel_of_point, numbers, "amin")
        return point_feat[point]


def num_voxels(
    bounds: tuple[HalfExtents, HalfExtents], size: float, cylindrical: bool, grid: str = "corner"
) -> tuple[int, int, int]:
    """Number of voxels along the three axes of the grid; see `voxelise`."""
    lower, upper = bounds
    if cylindrical:
        x, y = (max(-lower[axis], upper[axis]) for axis in (0, 1))
        lengths = (math.ceil(math.hypot(x, y) / size), AZIMUTHS)
        lengths += (math.ceil((upper[2] - lower[2]) / size),)
    else:
        lengths = tuple(math.ceil((u - low) / size) for low, u in zip(lower, upper, strict=True))
    if grid == "corner":
        return lengths
    return tuple((-(-(cells + 1) // COARSE) + 1) * COARSE for cells in lengths)


def voxelise(batch: PointBatch, size: float, cylindrical: bool, grid: str = "corner") -> Voxels:
    """Find the voxel of every point.

    Args:
        batch: scans inside the field of view.
        size: edge of a cube, metres; of a cylindrical voxel its extent in range and in z, metres.
        cylindrical: grid coordinates are (range, azimuth in steps of one degree, z) instead of
            (x, y, z).
        grid: where the grid begins, see `MinkUNetConfig`.

    Raises:
        ValueError: a coordinate is not finite or lies outside the field of view.
    """
    points = batch.feat[:, 1:4].double()  # float32 may round a point onto the border of its voxel
    lower, upper = points.new_tensor(batch.bounds)
    if not bool(((points >= lower) & (points <= upper)).all()):  # NaN compares as False
        raise ValueError(
            f"points must be finite and inside {batch.bounds} m: crop and clean them with "
            "`prepare_scan`"
        )
    cells = num_voxels(batch.bounds, size, cylindrical, grid)
    scan = batch.batch_of_point
    if grid == "corner":
        index = _from_corner(points, size, lower, cylindrical, cells)
    elif grid == "sensor":
        index = _from_sensor(points, size, lower, cylindrical)
    else:
        index = _place(points, size, cylindrical).round().long()
        lowest = index.new_full((batch.num_scans, 3), torch.iinfo(torch.int64).max)
        index -= lowest.scatter_reduce_(0, scan[:, None].expand(-1, 3), index, "amin")[scan]
    return _occupied(scan, index, cells)


def _place(points: Float[Tensor, "N 3"], size: float, cylindrical: bool) -> Float[Tensor, "N 3"]:
    """The coordinates of points in cells, counted from the sensor; not rounded."""
    if not cylindrical:
        return points / size
    azimuth = torch.rad2deg(torch.atan2(points[:, 1], points[:, 0]))
    return torch.stack([points[:, :2].norm(dim=1) / size, azimuth, points[:, 2] / size], dim=1)


def _from_corner(
    points: Tensor, size: float, lower: Tensor, cylindrical: bool, cells: tuple[int, int, int]
) -> Int[Tensor, "N 3"]:
    """Cells counted from the lower corner of the field of view, or from -180 degrees."""
    if cylindrical:
        radius = points[:, :2].norm(dim=1)
        azimuth = torch.atan2(points[:, 1], points[:, 0]) + math.pi
        degrees = torch.rad2deg(azimuth).clamp(max=359.999)
        place = torch.stack([radius / size, degrees, (points[:, 2] - lower[2]) / size], dim=1)
    else:
        place = (points - lower) / size
    limit = torch.tensor(cells, device=points.device) - 1
    return torch.minimum(place.floor().long(), limit)  # for a point exactly on the border


def _from_sensor(
    points: Tensor, size: float, lower: Tensor, cylindrical: bool
) -> Int[Tensor, "N 3"]:
    """Cells counted from the sensor, shifted by multiples of `COARSE` so that none is negative."""
    below = (-lower / size).clamp(min=0)
    if cylindrical:
        below = torch.stack([below.new_zeros(()), below.new_tensor(180.0), below[2]])
    shift = (below / COARSE).ceil().long() * COARSE
    return _place(points, size, cylindrical).floor().long() + shift


def _occupied(
    scan: Int[Tensor, " N"], index: Int[Tensor, "N 3"], cells: tuple[int, int, int]
) -> Voxels:
    """The occupied cells of all scans, each once."""
    key = scan
    for axis, count in enumerate(cells):
        key = key * count + index[:, axis]
    occupied, voxel_of_point, counts = key.unique(return_inverse=True, return_counts=True)
    columns = []
    for count in reversed(cells):
        columns.append(occupied % count)
        occupied = occupied // count
    table = torch.stack([occupied, *reversed(columns)], dim=1).int()
    return Voxels(table, voxel_of_point, counts, cells)
