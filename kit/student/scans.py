"""From a lidar scan to a student's inputs: one point per voxel, its neighbours, its plane cells.

    keyframe -> prepare_scan -> Scan       one scan
    [Scan, ...] -> collate -> PointBatch   see `kit.student.point_batch`

Source: ScaLR (arXiv:2310.17504) and WaffleIron (arXiv:2301.10100), data preparation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from kit.data.keyframe import Sensor
from kit.geometry import k_nearest

FOV_MARGIN = 1e-4  # metres; the field of view is an open box
PLANE_AXES = ((0, 1), (0, 2), (1, 2))  # the axis dropped is z, then y, then x


@dataclass(frozen=True)
class InputConfig:
    """How a scan is prepared; the defaults are ScaLR's for nuScenes and KITTI.

    Attributes:
        voxel_size: edge of a voxel in metres; one point is kept in each voxel.
        fov: half extents (x, y, z) of the field of view in metres; points outside are dropped.
        cell_size: edge of a plane's cell in metres; None for a student without planes.
        num_neighbours: nearest neighbours of each point; 0 for a student that uses none.
        max_points: limit of points in training, around a random centre; there is no limit in
            inference.
    """

    voxel_size: float = 0.1
    fov: tuple[float, float, float] = (64.0, 64.0, 8.0)
    cell_size: float | None = 0.5
    num_neighbours: int = 16
    max_points: int = 20_000

    def __post_init__(self):
        cell = 1.0 if self.cell_size is None else self.cell_size
        sizes = (self.voxel_size, *self.fov, cell, self.max_points, self.num_neighbours + 1)
        if min(sizes) <= 0:
            raise ValueError(f"every size in InputConfig must be positive, got {self}")

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of the planes (x, y), (x, z), (y, z); empty if cell_size is None."""
        if self.cell_size is None:
            return ()
        x, y, z = (int(2 * half / self.cell_size) for half in self.fov)
        return (x, y), (x, z), (y, z)


@dataclass(frozen=True)
class Scan:
    """One scan, prepared for a student; N points were kept.

    Attributes:
        feat: (N, 5) normalised intensity, x, y, z (metres), range (metres).
        neighbours: (N, K) indices of the nearest other points of this scan, nearest first.
        cells: (3, N) row-major cell of each point in the planes (x, y), (x, z), (y, z); (0, N) for
            a student without planes.
        kept: (N,) indices of the kept points in the original scan.
    """

    feat: Float[Tensor, "N 5"]
    neighbours: Int[Tensor, "N K"]
    cells: Int[Tensor, "P N"]
    kept: Int[Tensor, " N"]


class NoPointsLeft(ValueError):
    """A scan has no point inside the field of view that is also visible."""


def prepare_scan(
    points: Float[Tensor, "N 3"],
    intensity: Float[Tensor, " N"],
    sensor: Sensor,
    config: InputConfig,
    *,
    visible: Bool[Tensor, " N"] | None = None,
    augment: Callable[[Tensor, Generator | None], Tensor] | None = None,
    generator: Generator | None = None,
) -> Scan:
    """Prepare a scan for a student, in the order of the published code.

    1. Keep one point per voxel. 2. Keep only `visible` points. 3. Keep at most `max_points` (in
    training). 4. Augment. 5. Crop to the field of view. 6. Compute features, cells and neighbours
    of the points that are left.

    Args:
        points: lidar frame, metres.
        intensity: in the sensor's own unit.
        sensor: gives the mean and the standard deviation of intensities.
        config: sizes and limits.
        visible: the points to keep, e.g. those in view of one camera.
        augment: function (points, generator) -> points.
        generator: makes voxels, limit and augmentation random (training). None: deterministic.

    Raises:
        ValueError: no point is left.
    """
    kept = voxel_subsample(points, config.voxel_size, generator)
    if visible is not None:
        kept = kept[visible[kept]]
    if generator is not None:
        kept = kept[limit_points(points[kept], config.max_points, generator)]
    xyz = points[kept] if augment is None else augment(points[kept], generator)
    inside = inside_fov(xyz, config.fov)
    xyz, kept = xyz[inside], kept[inside]
    if len(kept) == 0:
        raise NoPointsLeft(
            f"none of the {len(points)} points is left inside the field of view of +-{config.fov} m"
            " (and visible, if that was asked for): are the points in metres and in the lidar "
            "frame?"
        )
    return Scan(
        feat=point_features(xyz, intensity[kept], sensor),
        neighbours=nearest_neighbours(xyz, config.num_neighbours),
        cells=plane_cells(xyz, config),
        kept=kept,
    )


def voxel_subsample(
    points: Float[Tensor, "N 3"], voxel_size: float, generator: Generator | None = None
) -> Int[Tensor, " M"]:
    """Choose one point per voxel; voxels are in lexicographic order of (x, y, z).

    Args:
        points: metres; the voxel grid begins at their minimum.
        voxel_size: edge of a voxel, metres.
        generator: draws the point of each voxel. None: the first in the scan is taken.

    Returns:
        Indices of the chosen points.
    """
    corner = points.min(0).values
    voxel = ((points - corner) / voxel_size).floor().long()  # (N, 3)
    _, ny, nz = (voxel.max(0).values + 1).tolist()
    key = (voxel[:, 0] * ny + voxel[:, 1]) * nz + voxel[:, 2]
    if generator is None:
        return _first_of_each(key)
    order = torch.randperm(len(points), generator=generator)
    return order[_first_of_each(key[order])]


def _first_of_each(key: Int[Tensor, " N"]) -> Int[Tensor, " M"]:
    """`np.unique(key, return_index=True)[1]`, four times faster."""
    key, order = key.sort(stable=True)
    is_first = torch.ones_like(key, dtype=torch.bool)
    torch.ne(key[1:], key[:-1], out=is_first[1:])
    return order[is_first]


def limit_points(
    points: Float[Tensor, "N 3"], max_points: int, generator: Generator
) -> Int[Tensor, " M"]:
    """Indices of the `max_points` points that are nearest to a random one of them."""
    if len(points) <= max_points:
        return torch.arange(len(points))
    centre = points[torch.randint(len(points), (1,), generator=generator)]
    return (points - centre).norm(dim=1).topk(max_points, largest=False).indices


def inside_fov(points: Float[Tensor, "N 3"], fov: tuple[float, float, float]) -> Bool[Tensor, " N"]:
    """Which points lie inside the open box of half extents `fov`, metres."""
    return (points.abs() < torch.tensor(fov) - FOV_MARGIN).all(1)


def point_features(
    points: Float[Tensor, "N 3"], intensity: Float[Tensor, " N"], sensor: Sensor
) -> Float[Tensor, "N 5"]:
    """The five input channels of the paper: normalised intensity, x, y, z and range."""
    normalised = (intensity - sensor.intensity_mean) / sensor.intensity_std
    return torch.cat([normalised[:, None], points, points.norm(dim=1, keepdim=True)], dim=1)


def plane_cells(points: Float[Tensor, "N 3"], config: InputConfig) -> Int[Tensor, "P N"]:
    """Row-major cell of every point in the three planes; points must lie inside the fov."""
    if config.cell_size is None:
        return torch.empty(0, len(points), dtype=torch.int64)
    place = ((points + torch.tensor(config.fov)) / config.cell_size).floor().long()  # (N, 3)
    of_planes = [
        place[:, a] * columns + place[:, b]
        for (a, b), (_, columns) in zip(PLANE_AXES, config.grids, strict=True)
    ]
    return torch.stack(of_planes)


def nearest_neighbours(points: Float[Tensor, "N 3"], num: int) -> Int[Tensor, "N num"]:
    """Indices of the `num` nearest other points of each point, nearest first.

    If a scan has too few points, the point itself fills the list: its difference is zero.
    """
    if num == 0:
        return torch.empty(len(points), 0, dtype=torch.int64)
    _, index = k_nearest(points, points, num + 1)
    missing = torch.arange(len(points))[:, None].expand(-1, num + 1 - index.shape[1])
    return torch.cat([index[:, 1:], missing], dim=1)


def nearest_kept(
    points: Float[Tensor, "N 3"], kept_points: Float[Tensor, "M 3"]
) -> Int[Tensor, " N"]:
    """For every point the row of the nearest kept point: returns features to all points."""
    return k_nearest(kept_points, points, 1)[1][:, 0]
