"""Cells of the planes: random fields of view, cells and batches, and the published settings.

The expected cell is computed with exact fractions. A whole number of cells spans the field of view.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import kit
from kit.data.keyframe import Sensor
from kit.student.point_batch import collate
from kit.student.presets import student_from_config
from kit.student.scans import FOV_MARGIN, InputConfig, inside_fov, plane_cells, prepare_scan
from kit.student.waffleiron.config import WaffleIronConfig

SENSOR = Sensor("made up", 0.0, 1.0)
NUSCENES = InputConfig(fov=(50.0, 50.0, 5.0), cell_size=0.6)  # of the published WaffleIron
KITTI = InputConfig(fov=(-50.0, -50.0, -5.0, 50.0, 50.0, 3.0), cell_size=0.4)
AXES = ((0, 1), (0, 2), (1, 2))

metres = st.one_of(st.integers(-800, 800).map(lambda n: n / 8), st.floats(-100, 100))


@st.composite
def fields_and_cells(draw):
    """Settings with a random field of view and a cell that seldom divides it."""
    if draw(st.booleans()):
        fov = tuple(draw(st.floats(0.5, 100)) for _ in range(3))
        extent = [2 * half for half in fov]
    else:
        lower = [draw(metres) for _ in range(3)]
        upper = [low + draw(st.floats(1, 150)) for low in lower]
        fov, extent = (*lower, *upper), [b - a for a, b in zip(lower, upper, strict=True)]
    smallest = max(max(extent) / 400, 0.01)  # the tables of a batch stay small
    cell = draw(st.floats(min(smallest, min(extent)), min(extent)))
    return {"fov": fov, "cell_size": cell, "num_neighbours": 2}


@st.composite
def scans_of(draw, config, count=12):
    """Points inside the field of view: anywhere, on borders of cells, and next to its ends."""
    lower, upper = config.bounds
    points = []
    for _ in range(draw(st.integers(1, count))):
        point = []
        for low, high, cells in zip(lower, upper, config.cells, strict=True):
            ratio = draw(
                st.one_of(
                    st.floats(0, 1),
                    st.integers(0, cells).map(lambda k, cells=cells: k / cells),
                    st.sampled_from([0.0, 1.0]),
                )
            )
            margin = 2 * FOV_MARGIN
            point.append(min(max(low + ratio * (high - low), low + margin), high - margin))
        points.append(point)
    return torch.tensor(points)


def expected_place(points, config):
    """Place of every point along every axis in units of cells, exact: (N, 3) fractions."""
    lower, upper = config.bounds
    places = []
    for point in points.tolist():
        row = []
        for x, low, high in zip(point, lower, upper, strict=True):
            size = Fraction(high) - Fraction(low)
            cells = math.floor(size / Fraction(config.cell_size) + Fraction(1, 10**6))
            row.append((Fraction(x) - Fraction(low)) * max(cells, 1) / size)
        places.append(row)
    return places


@given(st.data())
def test_every_point_is_in_exactly_its_cell(data):
    config = InputConfig(**data.draw(fields_and_cells()))
    points = data.draw(scans_of(config))
    assert inside_fov(points, config).all()
    found = plane_cells(points, config)
    tolerance = Fraction(1, 10**9)  # of a cell: float64 on a border that is no float64
    for place, cells in zip(expected_place(points, config), found.T.tolist(), strict=True):
        for (a, b), (rows, columns), cell in zip(AXES, config.grids, cells, strict=True):
            row, column = divmod(cell, columns)
            assert 0 <= row < rows and 0 <= column < columns
            for index, exact in ((row, place[a]), (column, place[b])):
                assert math.floor(exact - tolerance) <= index <= math.floor(exact + tolerance)


@given(st.data())
def test_a_whole_number_of_cells_spans_the_field_of_view(data):
    config = InputConfig(**data.draw(fields_and_cells()))
    lower, upper = config.bounds
    for low, high, cells in zip(lower, upper, config.cells, strict=True):
        edge = (high - low) / cells
        assert cells >= 1 and edge >= config.cell_size * (1 - 1e-5)
        assert (high - low) / (cells + 1) < config.cell_size  # one more would be too small


@given(st.data())
def test_scans_of_a_batch_never_touch(data):
    config = InputConfig(**data.draw(fields_and_cells()))
    batch = [
        prepare_scan(points, torch.zeros(len(points)), SENSOR, config)
        for points in data.draw(st.lists(scans_of(config, 6), min_size=2, max_size=3))
    ]
    joined = collate(batch, config)
    for axis in range(3):
        plane = joined.planes[axis]
        scan_of_cell = {}
        for cell, scan in zip(
            plane.cell_of_point.tolist(), joined.batch_of_point.tolist(), strict=True
        ):
            assert scan_of_cell.setdefault(cell, scan) == scan  # no cell holds two scans
        occupied, halo = len(plane.inverse_count), plane.occupied_near_halo.shape[1]
        for column in range(halo):  # and no cell of the halo is next to two scans
            near = [c for c in plane.occupied_near_halo[:, column].tolist() if c < occupied]
            assert near and len({scan_of_cell[cell] for cell in near}) == 1
    first = 0
    for scan in batch:
        alone = collate([scan], config)
        rows = slice(first, first + len(scan.feat))
        assert torch.equal(joined.neighbours[rows] - first, alone.neighbours)
        first = rows.stop


@given(st.data())
def test_the_field_of_view_is_what_its_bounds_say(data):
    config = InputConfig(**data.draw(fields_and_cells()))
    lower, upper = (np.float32(bound) for bound in config.bounds)
    points = torch.tensor(
        [[data.draw(st.floats(-300, 300, width=32)) for _ in range(3)] for _ in range(5)]
    )
    x = points.numpy().astype(np.float64)
    sure = 2 * FOV_MARGIN
    inside = inside_fov(points, config)
    assert inside[((x > lower + sure) & (x < upper - sure)).all(1)].all()
    assert not inside[((x <= lower) | (x >= upper)).any(1)].any()
    if not ((x >= lower) & (x <= upper)).all():
        with pytest.raises(ValueError, match="must lie inside the field of view"):
            plane_cells(points, config)


@pytest.mark.parametrize("fov", [(64.0, 64.0, 8.0), (-64.0, -64.0, -8.0, 64.0, 64.0, 8.0)])
def test_points_on_borders_belong_to_the_upper_cell(fov):
    config = InputConfig(fov=fov)
    x = torch.arange(-128, 129) / 2.0
    points = torch.stack([x, x, x / 8], dim=1)
    cells = plane_cells(points, config)
    number = torch.arange(257).clamp(max=255)  # the upper border belongs to the last cell
    assert torch.equal(cells[0], number * 256 + number)
    assert torch.equal(cells[1], number * 32 + torch.arange(257).clamp(max=255) // 8)


def test_zero_lies_in_the_middle_cell_of_the_published_planes():
    assert plane_cells(torch.zeros(1, 3), NUSCENES).flatten().tolist() == [
        83 * 166 + 83,
        83 * 16 + 8,
        83 * 16 + 8,
    ]


def test_the_published_grids():
    assert NUSCENES.grids == ((166, 166), (166, 16), (166, 16))
    assert KITTI.grids == ((250, 250), (250, 20), (250, 20))
    assert InputConfig().grids == ((256, 256), (256, 32), (256, 32))
    assert InputConfig(fov=(128.0, 128.0, 8.0)).grids[0] == (512, 512)
    assert InputConfig(fov=(1.2, 1.2, 1.2), cell_size=0.8).grids[0] == (3, 3)


@pytest.mark.parametrize(("fov", "cell"), [((64.0, 64.0, 8.0), 0.5), ((50.0, 50.0, 5.0), 0.4)])
def test_a_cell_that_divides_the_field_of_view_gives_the_cells_of_before(fov, cell):
    config = InputConfig(fov=fov, cell_size=cell)
    points = (torch.rand(20_000, 3, dtype=torch.float64) * 2 - 1) * (torch.tensor(fov) - 1e-3)
    place = ((points.float().double() + torch.tensor(fov)) / cell).floor().long()
    before = [
        place[:, a] * columns + place[:, b]
        for (a, b), (_, columns) in zip(AXES, config.grids, strict=True)
    ]
    assert torch.equal(plane_cells(points.float(), config), torch.stack(before))


def small_student(config, seed=0):
    torch.manual_seed(seed)
    return student_from_config(WaffleIronConfig(depth=3, width=8, head=(4,), inputs=config)).eval()


def test_features_of_a_scan_do_not_depend_on_the_others_of_its_batch():
    def scan(x, seed):  # a slab of points, half a metre thick
        generator = torch.Generator().manual_seed(seed)
        points = torch.rand(300, 3, generator=generator) * torch.tensor([0.5, 20.0, 3.0])
        points += torch.tensor([x, -10.0, -1.5])
        return prepare_scan(points, torch.zeros(300), SENSOR, NUSCENES)

    first, second = scan(49.3, 1), scan(-50.0, 2)  # at the upper and at the lower end
    student = small_student(NUSCENES)
    with torch.no_grad():
        both = student.features(collate([first, second], NUSCENES))
        alone = [student.features(collate([each], NUSCENES)) for each in (first, second)]
    assert torch.allclose(both, torch.cat(alone), atol=1e-6)


def test_a_real_keyframe_falls_into_the_published_cells(shared_data):
    keyframe = kit.open_dataset(shared_data / "nuscenes")[0]
    scan = prepare_scan(keyframe.points, keyframe.intensity, keyframe.sensor, NUSCENES)
    points = scan.feat[:, 1:4].numpy()
    bounds = np.array(NUSCENES.bounds)
    for axis, ((a, b), grid) in enumerate(zip(AXES, NUSCENES.grids, strict=True)):
        axes = [a, b]
        edge = (bounds[1, axes] - bounds[0, axes]) / np.array(grid)
        place = ((points[:, axes] - bounds[0, axes]) / edge).astype(int)
        assert (scan.cells[axis].numpy() == place[:, 0] * grid[1] + place[:, 1]).all()
    assert len(kit.extract(small_student(NUSCENES), keyframe)) == len(keyframe.points)
