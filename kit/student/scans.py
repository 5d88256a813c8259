"""What a student is given: one point per voxel, its neighbours, the cells of three planes.

A scan becomes a `Scan` (everything that depends on it alone), several scans become a `PointBatch`:
their points lie one after the other, nothing is padded, and every index already points into the
batch. The tables of a `Plane` hold where points are and nothing else.

Source: ScaLR (arXiv:2310.17504) and WaffleIron (arXiv:2301.10100), data preparation.
"""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from kit.data.keyframe import Sensor
from kit.geometry import k_nearest

FOV_MARGIN = 1e-4  # metres; the field of view is an open box


@dataclass(frozen=True)
class InputConfig:
    """How a scan is prepared; the defaults are ScaLR's for nuScenes and KITTI.

    Attributes:
        voxel_size: one point is kept per cube of this edge, metres.
        fov: half extents of the box the student sees, (x, y, z) in metres.
        cell_size: edge of the planes' cells, metres; None for a student without planes.
        num_neighbours: nearest neighbours per point; 0 for a student that looks at none.
        max_points: limit in training, around a random centre; inference has none.
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
        """(rows, columns) of the planes (x, y), (x, z), (y, z); none without cells."""
        if self.cell_size is None:
            return ()
        x, y, z = (int(2 * half / self.cell_size) for half in self.fov)
        return (x, y), (x, z), (y, z)


PLANE_AXES = ((0, 1), (0, 2), (1, 2))  # the axis dropped is z, then y, then x


@dataclass(frozen=True)
class Scan:
    """One scan, ready for a student.

    Attributes:
        feat: (N, 5) normalised intensity, x, y, z (metres), range (metres).
        neighbours: (N, K) rows of the nearest other points, nearest first.
        cells: (3, N) row-major cell of each point in the planes (x, y), (x, z), (y, z); (0, N) for
            a student without planes.
        kept: (N,) rows of the scan it was made from.
    """

    feat: Float[Tensor, "N 5"]
    neighbours: Int[Tensor, "N K"]
    cells: Int[Tensor, "P N"]
    kept: Int[Tensor, " N"]


def voxel_subsample(
    points: Float[Tensor, "N 3"], voxel_size: float, generator: Generator | None = None
) -> Int[Tensor, " M"]:
    """Rows of one point per voxel, voxels in lexicographic order of (x, y, z).

    Args:
        points: metres; the voxel grid begins at their minimum.
        voxel_size: edge of a voxel, metres.
        generator: draws the point of each voxel; without one the first in the scan is taken.
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


def inside_fov(points: Float[Tensor, "N 3"], fov: tuple[float, float, float]) -> Bool[Tensor, " N"]:
    """Which points lie inside the open box of half extents `fov`, metres."""
    return (points.abs() < torch.tensor(fov) - FOV_MARGIN).all(1)


def limit_points(
    points: Float[Tensor, "N 3"], max_points: int, generator: Generator
) -> Int[Tensor, " M"]:
    """Rows of the `max_points` points nearest to a random one of them."""
    if len(points) <= max_points:
        return torch.arange(len(points))
    centre = points[torch.randint(len(points), (1,), generator=generator)]
    return (points - centre).norm(dim=1).topk(max_points, largest=False).indices


def point_features(
    points: Float[Tensor, "N 3"], intensity: Float[Tensor, " N"], sensor: Sensor
) -> Float[Tensor, "N 5"]:
    """Normalised intensity, x, y, z and range: the five input channels of the paper."""
    brightness = (intensity - sensor.intensity_mean) / sensor.intensity_std
    return torch.cat([brightness[:, None], points, points.norm(dim=1, keepdim=True)], dim=1)


def plane_cells(points: Float[Tensor, "N 3"], config: InputConfig) -> Int[Tensor, "P N"]:
    """Row-major cell of every point in the three planes; points must lie inside the fov."""
    if config.cell_size is None:
        return torch.empty(0, len(points), dtype=torch.int64)
    grid_index = ((points + torch.tensor(config.fov)) / config.cell_size).floor().long()
    rows = [
        grid_index[:, a] * columns + grid_index[:, b]
        for (a, b), (_, columns) in zip(PLANE_AXES, config.grids, strict=True)
    ]
    return torch.stack(rows)


def nearest_neighbours(points: Float[Tensor, "N 3"], num: int) -> Int[Tensor, "N num"]:
    """Rows of the `num` nearest other points, nearest first.

    A scan with too few points fills up with the point itself, which a difference turns into zero.
    """
    if num == 0:
        return torch.empty(len(points), 0, dtype=torch.int64)
    _, index = k_nearest(points, points, num + 1)
    missing = torch.arange(len(points))[:, None].expand(-1, num + 1 - index.shape[1])
    return torch.cat([index[:, 1:], missing], dim=1)


def nearest_kept(
    points: Float[Tensor, "N 3"], kept_points: Float[Tensor, "M 3"]
) -> Int[Tensor, " N"]:
    """For every point the row of the nearest kept one: brings features back to all points."""
    return k_nearest(kept_points, points, 1)[1][:, 0]


def prepare_scan(
    points: Float[Tensor, "N 3"],
    intensity: Float[Tensor, " N"],
    sensor: Sensor,
    config: InputConfig,
    *,
    visible: Bool[Tensor, " N"] | None = None,
    augment=None,
    generator: Generator | None = None,
) -> Scan:
    """Prepare a scan for a student, in the order of the published code.

    Voxels; only `visible` points; at most `max_points` (in training); augmentation; crop to the
    field of view; then features, cells and neighbours of what is left.

    Args:
        points: lidar frame, metres.
        intensity: in the sensor's own unit.
        visible: points to keep, e.g. those one camera sees.
        augment: function (points, generator) -> points.
        generator: makes voxels, limit and augmentation random (training); none: deterministic.

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
        raise ValueError(
            f"none of the {len(points)} points is left inside the field of view of +-{config.fov} m"
            " (and visible, where asked for); are the points in metres and in the lidar frame?"
        )
    return Scan(
        feat=point_features(xyz, intensity[kept], sensor),
        neighbours=nearest_neighbours(xyz, config.num_neighbours),
        cells=plane_cells(xyz, config),
        kept=kept,
    )


@dataclass(frozen=True)
class Plane:
    """Where the points of a batch fall in one plane: O occupied cells and a halo of H cells.

    The halo is every cell of the grid that is occupied or touches an occupied one. Tables list, for
    the nine offsets of a 3x3 kernel in row-major order, the row found there; a cell outside of the
    listed set is the row after the last one (which reads as zero).

    Attributes:
        cell_of_point: (N,) occupied cell of each point.
        points_by_cell: (N,) points sorted by cell.
        first_of_cell: (O,) where each cell begins in `points_by_cell`.
        share: (O, 1) one over the number of points in the cell.
        occupied_near_halo: (9, H) occupied cells around each halo cell.
        halo_near_occupied: (9, O) halo cells around each occupied cell.
        spread_rows: (E,) occupied_near_halo without what is not there, halo cell by halo cell, as
            9 * occupied cell + offset.
        spread_first: (H,) where each halo cell begins in `spread_rows`.
    """

    cell_of_point: Int[Tensor, " N"]
    points_by_cell: Int[Tensor, " N"]
    first_of_cell: Int[Tensor, " O"]
    share: Float[Tensor, "O 1"]
    occupied_near_halo: Int[Tensor, "9 H"]
    halo_near_occupied: Int[Tensor, "9 O"]
    spread_rows: Int[Tensor, " E"]
    spread_first: Int[Tensor, " H"]


def build_plane(cells: Int[Tensor, " N"], num_scans: int, grid: tuple[int, int]) -> Plane:
    """Index one plane of a batch.

    Args:
        cells: row-major cell of every point, scan b offset by b * rows * columns.
        grid: (rows, columns) of one scan's plane.
    """
    rows, columns = grid
    occupied, cell_of_point, counts = cells.unique(return_inverse=True, return_counts=True)
    scan, cell = occupied // (rows * columns), occupied % (rows * columns)
    # A border of one cell around every scan's grid: neighbours never wrap or leave their scan.
    width = columns + 2
    padded = scan * (rows + 2) * width + (cell // columns + 1) * width + cell % columns + 1
    down, right = torch.meshgrid(torch.arange(-1, 2), torch.arange(-1, 2), indexing="ij")
    offsets = (down * width + right).reshape(9, 1)

    interior = torch.zeros(num_scans, rows + 2, width, dtype=torch.bool)
    interior[:, 1:-1, 1:-1] = True
    touched = torch.zeros(interior.numel(), dtype=torch.bool)
    touched[(padded + offsets).reshape(-1)] = True
    halo = (touched & interior.reshape(-1)).nonzero().squeeze(1)

    near_halo = _rows_at(halo + offsets, padded, interior.numel())
    there = (near_halo < len(padded)).T  # (H, 9)
    per_halo = there.sum(1)

    return Plane(
        cell_of_point=cell_of_point,
        points_by_cell=cell_of_point.argsort(stable=True),
        first_of_cell=counts.cumsum(0) - counts,
        share=(1 / counts)[:, None],
        occupied_near_halo=near_halo,
        halo_near_occupied=_rows_at(padded + offsets, halo, interior.numel()),
        spread_rows=(9 * near_halo.T + torch.arange(9))[there],
        spread_first=per_halo.cumsum(0) - per_halo,
    )


def _rows_at(places: Tensor, listed: Tensor, num_places: int) -> Tensor:
    """Row of each place in `listed`, len(listed) where it is not there."""
    row_of_place = torch.full((num_places,), len(listed))
    row_of_place[listed] = torch.arange(len(listed))
    return row_of_place[places]


@dataclass(frozen=True)
class PointBatch:
    """Scans of a batch, one after the other.

    Attributes:
        feat: (N, 5) as in `Scan`.
        neighbours: (N, K) rows of this batch.
        batch_of_point: (N,) scan each point belongs to.
        planes: (x, y), (x, z), (y, z), or none.
        num_scans: how many scans.
    """

    feat: Float[Tensor, "N 5"]
    neighbours: Int[Tensor, "N K"]
    batch_of_point: Int[Tensor, " N"]
    planes: tuple[Plane, ...]
    num_scans: int

    def to(self, device) -> "PointBatch":
        """The same batch on another device."""
        return _to_device(self, device)


def _to_device(value, device):
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, tuple):
        return tuple(_to_device(item, device) for item in value)
    if isinstance(value, PointBatch | Plane):
        moved = {f.name: _to_device(getattr(value, f.name), device) for f in fields(value)}
        return replace(value, **moved)
    return value


def collate(scans: list[Scan], config: InputConfig) -> PointBatch:
    """Put scans one after the other and index their planes."""
    sizes = torch.tensor([len(scan.feat) for scan in scans])
    first = (sizes.cumsum(0) - sizes).tolist()
    planes = []
    for axis, grid in enumerate(config.grids):
        per_scan = grid[0] * grid[1]
        cells = torch.cat([scan.cells[axis] + b * per_scan for b, scan in enumerate(scans)])
        planes.append(build_plane(cells, len(scans), grid))
    return PointBatch(
        feat=torch.cat([scan.feat for scan in scans]),
        neighbours=torch.cat([s.neighbours + f for s, f in zip(scans, first, strict=True)]),
        batch_of_point=torch.arange(len(scans)).repeat_interleave(sizes),
        planes=tuple(planes),
        num_scans=len(scans),
    )
