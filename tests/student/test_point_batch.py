"""Tables of a batch's planes against a dense search, and the batch as a whole by hand."""

from dataclasses import replace

import pytest
import torch

from kit.data.keyframe import Sensor
from kit.student.point_batch import collate
from kit.student.scans import InputConfig, prepare_scan

SENSOR = Sensor("made up", 0.0, 1.0)
SMALL = InputConfig(fov=(4.0, 4.0, 2.0), cell_size=1.0, num_neighbours=3)


def random_scan(count, seed):
    generator = torch.Generator().manual_seed(seed)
    points = (torch.rand(count, 3, generator=generator) - 0.5) * torch.tensor([8.0, 8.0, 4.0])
    return prepare_scan(points, torch.zeros(count), SENSOR, SMALL)


def test_scans_lie_one_after_the_other_and_neighbours_stay_in_their_scan():
    scans = [random_scan(30, 0), random_scan(20, 1)]
    first, second = (len(scan.feat) for scan in scans)
    batch = collate(scans, SMALL)
    assert batch.num_scans == 2 and len(batch.planes) == 3
    assert batch.batch_of_point.tolist() == [0] * first + [1] * second
    assert torch.equal(batch.feat[first:], scans[1].feat)
    assert torch.equal(batch.neighbours[first:] - first, scans[1].neighbours)


def test_plane_tables_agree_with_a_dense_search():
    scans = [random_scan(30, seed) for seed in (0, 1)]
    batch = collate(scans, SMALL)
    for axis, (rows, columns) in enumerate(SMALL.grids):
        cells = torch.cat([scan.cells[axis] + b * rows * columns for b, scan in enumerate(scans)])
        occupied = sorted(set(cells.tolist()))
        around = {cell: neighbours_in_grid(cell, rows, columns) for cell in occupied}
        halo = sorted({n for found in around.values() for n in found if n is not None})
        plane = batch.planes[axis]
        assert [occupied[c] for c in plane.cell_of_point] == cells.tolist()
        for column, cell in enumerate(occupied):
            expected = [len(halo) if n is None else halo.index(n) for n in around[cell]]
            assert plane.halo_near_occupied[:, column].tolist() == expected
        for column, cell in enumerate(halo):
            found = neighbours_in_grid(cell, rows, columns)
            expected = [occupied.index(n) if n in around else len(occupied) for n in found]
            assert plane.occupied_near_halo[:, column].tolist() == expected
        counts = [cells.tolist().count(cell) for cell in occupied]
        assert torch.allclose(plane.inverse_count[:, 0], 1 / torch.tensor(counts))


def neighbours_in_grid(cell, rows, columns):
    """The 3x3 cells around one, row by row; None outside of its own scan's grid."""
    scan, rest = divmod(cell, rows * columns)
    row, column = divmod(rest, columns)
    return [
        scan * rows * columns + r * columns + c if 0 <= r < rows and 0 <= c < columns else None
        for r in (row - 1, row, row + 1)
        for c in (column - 1, column, column + 1)
    ]


def test_entries_of_the_halo_are_its_occupied_neighbours():
    plane = collate([random_scan(30, 0), random_scan(30, 1)], SMALL).planes[1]
    num_occupied = len(plane.inverse_count)
    ends = [*plane.first_of_halo[1:].tolist(), len(plane.halo_entries)]
    for halo, (first, end) in enumerate(zip(plane.first_of_halo.tolist(), ends, strict=True)):
        near = plane.occupied_near_halo[:, halo].tolist()
        expected = [9 * cell + offset for offset, cell in enumerate(near) if cell < num_occupied]
        assert plane.halo_entries[first:end].tolist() == expected


def test_a_scan_that_was_prepared_with_other_planes_is_refused():
    with pytest.raises(ValueError, match="cells beyond the 4 x 4 of a plane"):
        collate([random_scan(30, 0)], replace(SMALL, cell_size=2.0))


def test_a_batch_moves_with_all_its_tables():
    batch = collate([random_scan(30, 0)], SMALL).to("meta")
    tensors = [*vars(batch).values(), *vars(batch.planes[2]).values()]
    tensors = [each for each in tensors if isinstance(each, torch.Tensor)]
    assert len(tensors) == 11 and all(each.is_meta for each in tensors)
