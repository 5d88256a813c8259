"""A batch of scans, one after the other without padding, with index tables of the occupied cells.

Source: WaffleIron (arXiv:2301.10100), projection of points onto planes. Differs: tables of occupied
    cells instead of dense planes, and rows of points instead of zero-padded (B, C, N).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit.student.scans import HalfExtents, InputConfig, Scan


@dataclass(frozen=True)
class Plane:
    """Where the points of a batch fall in one plane: O occupied cells and a halo of H cells.

    The halo is every cell of the grid that is occupied or touches an occupied one. The tables list
    the neighbours of a cell at the nine offsets of a 3x3 kernel, in row-major order. An index one
    past the last cell stands for an empty cell or one outside of the grid; it reads as zero.

    Attributes:
        cell_of_point: (N,) occupied cell of each point.
        points_by_cell: (N,) indices of the points, sorted by cell.
        first_of_cell: (O,) where each cell begins in `points_by_cell`.
        inverse_count: (O, 1) one over the number of points in the cell.
        occupied_near_halo: (9, H) occupied cells around each halo cell.
        halo_near_occupied: (9, O) halo cells around each occupied cell.
        halo_entries: (E,) the entries of `occupied_near_halo` that are occupied cells, halo cell by
            halo cell, each as 9 * occupied cell + offset.
        first_of_halo: (H,) where each halo cell begins in `halo_entries`.
    """

    cell_of_point: Int[Tensor, " N"]
    points_by_cell: Int[Tensor, " N"]
    first_of_cell: Int[Tensor, " O"]
    inverse_count: Float[Tensor, "O 1"]
    occupied_near_halo: Int[Tensor, "9 H"]
    halo_near_occupied: Int[Tensor, "9 O"]
    halo_entries: Int[Tensor, " E"]
    first_of_halo: Int[Tensor, " H"]


@dataclass(frozen=True)
class PointBatch:
    """The N points of several scans, one scan after the other.

    Attributes:
        feat: (N, 5) as in `Scan`.
        neighbours: (N, K) indices into this batch.
        batch_of_point: (N,) the scan of each point, counted from 0.
        planes: (x, y), (x, z), (y, z); empty for a student without planes.
        num_scans: number of scans.
        bounds: lower and upper bounds (x, y, z) of the scans' field of view, metres.
    """

    feat: Float[Tensor, "N 5"]
    neighbours: Int[Tensor, "N K"]
    batch_of_point: Int[Tensor, " N"]
    planes: tuple[Plane, ...]
    num_scans: int
    bounds: tuple[HalfExtents, HalfExtents]

    def to(self, device) -> "PointBatch":
        """The same batch on another device."""
        return _each_tensor(self, lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "PointBatch":
        """The same batch in page-locked memory, from which a GPU copies while it computes."""
        return _each_tensor(self, Tensor.pin_memory)


def collate(scans: list[Scan], config: InputConfig) -> PointBatch:
    """Put scans one after the other and make the tables of their planes.

    Raises:
        ValueError: a scan has cells that the planes of `config` do not have.
    """
    sizes = torch.tensor([len(scan.feat) for scan in scans])
    first = (sizes.cumsum(0) - sizes).tolist()
    planes = []
    for axis, grid in enumerate(config.grids):
        per_scan = grid[0] * grid[1]
        if any((scan.cells[axis] >= per_scan).any() for scan in scans):
            raise ValueError(
                f"a scan has cells beyond the {grid[0]} x {grid[1]} of a plane: prepare it with "
                "the same InputConfig"
            )
        cells = torch.cat([scan.cells[axis] + b * per_scan for b, scan in enumerate(scans)])
        planes.append(build_plane(cells, len(scans), grid))
    return PointBatch(
        feat=torch.cat([scan.feat for scan in scans]),
        neighbours=torch.cat([s.neighbours + f for s, f in zip(scans, first, strict=True)]),
        batch_of_point=torch.arange(len(scans)).repeat_interleave(sizes),
        planes=tuple(planes),
        num_scans=len(scans),
        bounds=config.bounds,
    )


def build_plane(cells: Int[Tensor, " N"], num_scans: int, grid: tuple[int, int]) -> Plane:
    """Make the tables of one plane of a batch.

    Args:
        cells: row-major cell of every point; those of scan b begin at b * rows * columns.
        num_scans: number of scans in the batch.
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

    near_halo = _index_in(padded, halo + offsets, interior.numel())
    is_occupied = (near_halo < len(padded)).T  # (H, 9)
    per_halo_cell = is_occupied.sum(1)

    return Plane(
        cell_of_point=cell_of_point,
        points_by_cell=cell_of_point.argsort(stable=True),
        first_of_cell=counts.cumsum(0) - counts,
        inverse_count=(1 / counts)[:, None],
        occupied_near_halo=near_halo,
        halo_near_occupied=_index_in(halo, padded + offsets, interior.numel()),
        halo_entries=(9 * near_halo.T + torch.arange(9))[is_occupied],
        first_of_halo=per_halo_cell.cumsum(0) - per_halo_cell,
    )


def _index_in(listed: Tensor, cells: Tensor, num_cells: int) -> Tensor:
    """Index of each cell in `listed`; len(listed) if it is not listed."""
    index_of_cell = torch.full((num_cells,), len(listed))
    index_of_cell[listed] = torch.arange(len(listed))
    return index_of_cell[cells]


def _each_tensor(value, change: Callable[[Tensor], Tensor]):
    """The same value with every tensor in it changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_each_tensor(item, change) for item in value)
    if isinstance(value, PointBatch | Plane):
        changed = {f.name: _each_tensor(getattr(value, f.name), change) for f in fields(value)}
        return replace(value, **changed)
    return value
