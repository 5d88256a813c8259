"""Prepare a lidar scan for a student: one point per voxel, its neighbours, its plane cells.

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
from kit.store.ranges import check_choice, check_number, check_whole

FOV_MARGIN = 1e-4  # metres; the field of view is an open box
PLANE_AXES = ((0, 1), (0, 2), (1, 2))  # the axis dropped is z, then y, then x
MAX_DISTANCE = 10_000.0  # metres, of a coordinate; float32 then resolves a millimetre
MAX_INTENSITY = 1e6  # standard deviations from the mean; larger sums lose what is small
INTENSITIES = ("normalised", "raw")
MAX_CELLS = 2**24  # of one plane: the tables of a batch are made on a dense grid

HalfExtents = tuple[float, float, float]
Bounds = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class InputConfig:
    """How a scan is prepared; the defaults are ScaLR's for nuScenes and KITTI.

    A whole number of cells spans the field of view, so the cells of an axis may be a little larger
    than `cell_size`: 100 m and 0.6 m give 166 cells of 100/166 m.

    Attributes:
        voxel_size: edge of a voxel in metres; one point is kept in each voxel.
        fov: field of view in metres; points outside are dropped. Three numbers are half extents
            (x, y, z) around the lidar. Six numbers are the lower and the upper bounds, (x, y, z)
            each: -50 -50 -5 50 50 3.
        cell_size: edge of a plane's cell in metres; None for a student without planes.
        num_neighbours: nearest neighbours of each point; 0 for a student that uses none.
        max_points: limit of points in training, around a random centre; there is no limit in
            inference.
        subsample: keep one point per voxel. False keeps all points (SLidR, whose network has
            voxels of its own).
        intensity: "normalised" by the sensor's mean and standard deviation, or "raw" (SLidR).

    Raises:
        ValueError: a value outside of its range.

    Source: WaffleIron (arXiv:2301.10100), whose settings give the bounds and the numbers of cells.
    """

    voxel_size: float = 0.1
    fov: HalfExtents | Bounds = (64.0, 64.0, 8.0)
    cell_size: float | None = 0.5
    num_neighbours: int = 16
    max_points: int = 20_000
    subsample: bool = True
    intensity: str = "normalised"

    def __post_init__(self):
        check_number(self, 0.01, 100, "voxel_size")  # smaller ones would overflow `voxel_subsample`
        check_whole(self, 0, 1000, "num_neighbours")
        check_whole(self, 1, 10**9, "max_points")
        check_choice(self, intensity=INTENSITIES)
        if len(self.fov) not in (3, 6):
            raise ValueError(
                f"fov must be three half extents or six bounds in metres, got {self.fov}"
            )
        object.__setattr__(self, "fov", tuple(self.fov))
        check_number(self, 0 if len(self.fov) == 3 else -MAX_DISTANCE, MAX_DISTANCE, "fov")
        if min(self.extent) < 4 * FOV_MARGIN:
            raise ValueError(
                f"fov must have positive half extents, or lower bounds below the upper ones "
                f"(x_min y_min z_min x_max y_max z_max), got {self.fov}"
            )
        if self.cell_size is not None:
            check_number(self, 0.01, min(self.extent), "cell_size")
            if (cells := max(rows * columns for rows, columns in self.grids)) > MAX_CELLS:
                raise ValueError(
                    f"cell_size must be larger or fov smaller: {self.cell_size} m in {self.fov} m "
                    f"give a plane of {cells:,} cells, {MAX_CELLS:,} are allowed"
                )

    @classmethod
    def for_cpu(cls, max_points: int = 4000) -> "InputConfig":
        """Settings for training on a CPU, where many small steps learn more than few large ones.

        Args:
            max_points: limit of points of a training view.

        Returns:
            Voxels of 0.2 m; all other settings have their defaults.
        """
        return cls(voxel_size=0.2, max_points=max_points)

    @property
    def bounds(self) -> tuple[HalfExtents, HalfExtents]:
        """Lower and upper bounds (x, y, z) of the field of view, metres."""
        if len(self.fov) == 3:
            x, y, z = self.fov
            return (-x, -y, -z), (x, y, z)
        return self.fov[:3], self.fov[3:]

    @property
    def extent(self) -> tuple[float, float, float]:
        """Size (x, y, z) of the field of view, metres."""
        lower, upper = self.bounds
        return tuple(high - low for low, high in zip(lower, upper, strict=True))

    @property
    def cells(self) -> tuple[int, int, int]:
        """Number of cells along x, y and z: as many as fit, and at least one."""
        # The small term is for quotients such as 2.4 / 0.8 = 2.9999999999999996.
        return tuple(max(1, int(size / self.cell_size + 1e-6)) for size in self.extent)

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of the planes (x, y), (x, z), (y, z); empty if cell_size is None."""
        if self.cell_size is None:
            return ()
        return tuple((self.cells[a], self.cells[b]) for a, b in PLANE_AXES)


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

    1. Keep one point per voxel, unless `subsample` is off. 2. Keep only `visible` points. 3. Keep
    at most `max_points` (in training). 4. Augment. 5. Crop to the field of view. 6. Compute
    features, cells and neighbours of the points that are left.

    Args:
        points: lidar frame, metres.
        intensity: in the sensor's own unit.
        sensor: gives the mean and the standard deviation of intensities.
        config: sizes and limits.
        visible: the points to keep, e.g. those in view of one camera.
        augment: function (points, generator) -> points.
        generator: makes voxels, limit and augmentation random (training). None: deterministic.

    Raises:
        ValueError: no point is left (`NoPointsLeft`), or a coordinate or an intensity is not finite
            or too large.
    """
    _check_range(points, intensity, sensor)
    kept = torch.arange(len(points))
    if config.subsample:
        kept = voxel_subsample(points, config.voxel_size, generator)
    if visible is not None:
        kept = kept[visible[kept]]
    if generator is not None:
        kept = kept[limit_points(points[kept], config.max_points, generator)]
    xyz = points[kept] if augment is None else augment(points[kept], generator)
    inside = inside_fov(xyz, config)
    xyz, kept = xyz[inside], kept[inside]
    if len(kept) == 0:
        raise NoPointsLeft(
            f"none of the {len(points)} points is left inside the field of view, fov {config.fov} m"
            " (and visible, if that was asked for): are the points in metres and in the lidar "
            "frame?"
        )
    return Scan(
        feat=point_features(xyz, intensity[kept], sensor, raw=config.intensity == "raw"),
        neighbours=nearest_neighbours(xyz, config.num_neighbours),
        cells=plane_cells(xyz, config),
        kept=kept,
    )


def _check_range(points: Tensor, intensity: Tensor, sensor: Sensor) -> None:
    """Check that no point can spoil the features of others through averages and neighbours."""
    normalised = (intensity.double() - sensor.intensity_mean) / sensor.intensity_std
    usable = (points.abs() <= MAX_DISTANCE).all(1) & (normalised.abs() <= MAX_INTENSITY)
    if not usable.all():  # NaN compares as False
        bad = (~usable).nonzero()[:, 0]
        raise ValueError(
            f"{len(bad)} of {len(points)} points are out of range, first point {int(bad[0])}: "
            f"{points[bad[0]].tolist()} m, intensity {intensity[bad[0]].item():g}. Coordinates "
            f"must be within {MAX_DISTANCE:,.0f} m, and intensities within {MAX_INTENSITY:,.0f} "
            f"standard deviations of {sensor.name} (mean {sensor.intensity_mean:g}, deviation "
            f"{sensor.intensity_std:g}). Remove these points from the scan"
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

    Raises:
        ValueError: the voxels are too small, or points too far apart, to number the voxels.
    """
    if len(points) == 0:
        return torch.empty(0, dtype=torch.int64)
    corner = points.min(0).values
    voxel = ((points - corner) / voxel_size).floor()  # (N, 3)
    counts = voxel.max(0).values.double() + 1
    if not counts.prod() < 2**63:  # NaN compares as False
        raise ValueError(
            f"voxel_size {voxel_size} m is too small for points up to {counts.max() * voxel_size:g}"
            " m apart: remove points that are far away, or not finite"
        )
    voxel = voxel.long()
    _, ny, nz = counts.long().tolist()
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


def inside_fov(points: Float[Tensor, "N 3"], config: InputConfig) -> Bool[Tensor, " N"]:
    """Mask of the points inside the field of view, without its border."""
    lower, upper = (torch.tensor(bound) for bound in config.bounds)
    return ((points > lower + FOV_MARGIN) & (points < upper - FOV_MARGIN)).all(1)


def point_features(
    points: Float[Tensor, "N 3"], intensity: Float[Tensor, " N"], sensor: Sensor, raw: bool = False
) -> Float[Tensor, "N 5"]:
    """The five input channels of the paper: normalised intensity, x, y, z and range.

    With `raw` the intensity stays in the sensor's unit.
    """
    if not raw:
        intensity = (intensity - sensor.intensity_mean) / sensor.intensity_std
    return torch.cat([intensity[:, None], points, points.norm(dim=1, keepdim=True)], dim=1)


def plane_cells(points: Float[Tensor, "N 3"], config: InputConfig) -> Int[Tensor, "P N"]:
    """Row-major cell of every point in the three planes.

    A point on the border between two cells belongs to the upper one, a point on the upper border of
    the field of view to the last cell.

    Raises:
        ValueError: a point lies outside of the field of view.
    """
    if config.cell_size is None:
        return torch.empty(0, len(points), dtype=torch.int64)
    lower, upper = (torch.tensor(bound, dtype=torch.float64) for bound in config.bounds)
    cells = torch.tensor(config.cells)
    place = points.double() - lower  # in float32, a point below a border may be rounded onto it
    if not ((place >= 0) & (place <= upper - lower)).all():
        raise ValueError(
            f"points must lie inside the field of view, fov {config.fov} m: crop them first, as "
            "`prepare_scan` does"
        )
    index = torch.minimum((place * cells / (upper - lower)).long(), cells - 1)  # (N, 3)
    return torch.stack([index[:, a] * config.cells[b] + index[:, b] for a, b in PLANE_AXES])


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
