"""Preparation of a scan, against the published preparation of a real scan and by hand."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from kit.data.keyframe import Sensor
from kit.store import from_plain, to_plain
from kit.student import scans as inputs
from kit.student.scans import InputConfig

SENSOR = Sensor("nuScenes HDL-32E", 18.742355, 22.04632)
SMALL = InputConfig(fov=(4.0, 4.0, 2.0), cell_size=1.0, num_neighbours=3)


@pytest.fixture(scope="module")
def nuscenes_scan(shared_data):
    file = next((shared_data / "nuscenes/samples/LIDAR_TOP").glob("*.pcd.bin"))
    columns = torch.from_numpy(np.fromfile(file, np.float32).reshape(-1, 5).copy())
    return columns[:, :3], columns[:, 3]


@pytest.fixture(scope="module")
def oracle(oracles):
    return load_file(oracles / "preprocess_nuscenes_keyframe.safetensors")


def random_points(count=200, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(count, 3, generator=generator) - 0.5) * torch.tensor([8.0, 8.0, 4.0])


def test_a_real_scan_is_prepared_as_published(nuscenes_scan, oracle):
    scan = inputs.prepare_scan(*nuscenes_scan, SENSOR, InputConfig())
    assert torch.allclose(scan.feat, oracle["feat"][0].T, atol=1e-4)
    assert torch.equal(scan.cells, oracle["cell_ind"][0].long())
    assert torch.equal(scan.neighbours, oracle["neighbors"][0, 1:].T.long())


def test_every_point_finds_its_nearest_kept_one_as_published(nuscenes_scan, oracle):
    points, intensity = nuscenes_scan
    scan = inputs.prepare_scan(points, intensity, SENSOR, InputConfig())
    row = inputs.nearest_kept(points, points[scan.kept])
    assert torch.equal(row, oracle["upsample"].long())


def test_one_point_per_voxel_whatever_the_draw():
    points = random_points(500)
    voxel = ((points - points.min(0).values) / 1.0).floor()
    for generator in (None, torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)):
        kept = inputs.voxel_subsample(points, 1.0, generator)
        assert len(voxel[kept].unique(dim=0)) == len(kept) == len(voxel.unique(dim=0))


def test_the_random_draw_reaches_every_point_of_a_voxel():
    points = torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [0.2, 0, 0], [5.0, 5, 5]])
    drawn = {
        inputs.voxel_subsample(points, 1.0, torch.Generator().manual_seed(seed))[0].item()
        for seed in range(40)
    }
    assert drawn == {0, 1, 2}


def test_the_limit_keeps_the_nearest_to_one_point():
    points = random_points(300)
    index = inputs.limit_points(points, 50, torch.Generator().manual_seed(0))
    distances = (points[:, None] - points[None]).norm(dim=2)
    expected = [set(row.topk(50, largest=False).indices.tolist()) for row in distances]
    assert set(index.tolist()) in expected


def test_features_and_cells_by_hand():
    points = torch.tensor([[3.0, -4.0, 0.0]])
    feat = inputs.point_features(points, torch.tensor([40.78867]), SENSOR)
    assert torch.allclose(feat, torch.tensor([[1.0, 3.0, -4.0, 0.0, 5.0]]), atol=1e-5)
    # x 3 -> row 7 of 8, y -4 -> 0, z 0 -> 2 of 4: 7*8+0, 7*4+2, 0*4+2
    assert inputs.plane_cells(points, SMALL).flatten().tolist() == [56, 30, 2]


def test_a_scan_with_fewer_points_than_neighbours_fills_up_with_the_point_itself():
    index = inputs.nearest_neighbours(torch.tensor([[0.0, 0, 0], [1.0, 0, 0]]), 3)
    assert index.tolist() == [[1, 0, 0], [0, 1, 1]]


def test_neighbours_agree_with_all_distances():
    points = random_points()
    distances = (points[:, None] - points[None]).norm(dim=2)
    expected = distances.topk(5, largest=False).indices[:, 1:]
    assert torch.equal(inputs.nearest_neighbours(points, 4), expected)


def test_only_visible_points_are_kept():
    points = random_points()
    visible = points[:, 0] > 0
    scan = inputs.prepare_scan(points, torch.zeros(200), SENSOR, SMALL, visible=visible)
    assert len(scan.kept) and visible[scan.kept].all()


def test_augmentation_comes_before_the_features():
    points = random_points()
    scan = inputs.prepare_scan(
        points, torch.zeros(200), SENSOR, SMALL, augment=lambda xyz, _: xyz * 0.5
    )
    assert torch.allclose(scan.feat[:, 1:4], points[scan.kept] * 0.5)
    assert scan.cells[0].unique().tolist() == sorted(
        inputs.plane_cells(points * 0.5, SMALL)[0].unique().tolist()
    )


def test_no_point_in_view_says_what_to_check():
    with pytest.raises(ValueError, match="field of view"):
        inputs.prepare_scan(random_points() + 100, torch.zeros(200), SENSOR, SMALL)


OUTSIDE = [
    ({"voxel_size": 0.0}, "voxel_size must be a number, at least 0.01 and at most 100, got 0.0"),
    ({"voxel_size": 1e-12}, "voxel_size must be .* got 1e-12"),
    ({"voxel_size": float("nan")}, "voxel_size must be .* got nan"),
    ({"num_neighbours": -1}, "num_neighbours must be a whole number from 0 to 1,000, got -1"),
    ({"max_points": 0}, "max_points must be a whole number from 1 to .* got 0"),
    ({"fov": (64.0, 64.0, 0.0)}, "fov must have positive half extents"),
    ({"fov": (64.0, 64.0, -8.0)}, "fov must be a number, at least 0 and .* got -8.0"),
    ({"fov": (0.0, 0.0, 3.0, 10.0, 10.0, -5.0)}, "fov must .* lower bounds below the upper"),
    ({"fov": (64.0, 64.0, float("inf"))}, "fov must be .* got inf"),
    ({"fov": (64.0, 64.0, 1e30)}, "fov must be .* at most 10,000, got 1e"),
    ({"cell_size": -0.5}, "cell_size must be .* got -0.5"),
    ({"cell_size": 17.0}, "cell_size must be a number, at least 0.01 and at most 16, got 17.0"),
    ({"cell_size": 0.02}, "a plane of 40,960,000 cells, 16,777,216 are allowed"),
]


@pytest.mark.parametrize(("wrong", "words"), OUTSIDE)
def test_settings_out_of_range_name_field_value_and_range(wrong, words):
    with pytest.raises(ValueError, match=words):
        InputConfig(**wrong)


@pytest.mark.parametrize("fov", [[50.0, 50.0, 5.0], [-50.0, -50.0, -5.0, 50.0, 50.0, 3.0]])
def test_settings_come_back_from_json_with_three_or_six_bounds(fov):
    config = from_plain(InputConfig, {"fov": fov, "cell_size": 0.4})
    assert config.fov == tuple(fov)
    assert from_plain(InputConfig, to_plain(config)) == config
    assert config.grids == ((250, 250), (250, 25 - 5 * (len(fov) == 6)), config.grids[1])


def test_two_bounds_are_refused():
    with pytest.raises(ValueError, match="fov: expected 3 values, got 2; or .*expected 6 values"):
        from_plain(InputConfig, {"fov": [50.0, 5.0]})


def scan_with(x=None, intensity=None):
    """A scan whose point 7 has another x or intensity."""
    points, values = random_points(), torch.zeros(200)
    if x is not None:
        points[7, 0] = x
    if intensity is not None:
        values[7] = intensity
    return points, values


@pytest.mark.parametrize(
    "wrong", [{"x": 1e30}, {"x": float("nan")}, {"intensity": 3e38}, {"intensity": float("-inf")}]
)
def test_a_point_that_would_spoil_the_others_is_refused(wrong):
    with pytest.raises(ValueError, match="1 of 200 points are out of range, first point 7: .*mean"):
        inputs.prepare_scan(*scan_with(**wrong), SENSOR, SMALL)


def test_a_point_far_outside_of_the_field_of_view_does_not_merge_the_voxels():
    points, values = scan_with(x=9999.0)
    scan = inputs.prepare_scan(points, values, SENSOR, SMALL)
    without = torch.arange(200)[torch.arange(200) != 7]
    expected = inputs.prepare_scan(points[without], values[without], SENSOR, SMALL)
    assert len(scan.kept) == pytest.approx(len(expected.kept), abs=3)  # the voxel grid has moved


def test_an_empty_scan_is_an_error_in_words():
    with pytest.raises(ValueError, match="none of the 0 points is left"):
        inputs.prepare_scan(torch.zeros(0, 3), torch.zeros(0), SENSOR, SMALL)


def test_voxels_that_cannot_be_numbered_are_an_error():
    with pytest.raises(
        ValueError, match="voxel_size 1e-06 m is too small for points up to 7.9633 m"
    ):
        inputs.voxel_subsample(random_points(), 1e-6)


def test_packed_keys_find_what_unique_finds_however_far_points_are_apart():
    generator = torch.Generator().manual_seed(0)
    for extent in (3.0, 1e3, 1e5):  # the last leaves no room to pack
        points = (torch.rand(2000, 3, generator=generator) - 0.5) * extent
        voxel = ((points - points.min(0).values) / 0.1).floor().long()
        _, first = np.unique(voxel.numpy(), axis=0, return_index=True)
        assert inputs.voxel_subsample(points, 0.1).tolist() == first.tolist()


def test_a_student_without_planes_or_neighbours_gets_none():
    config = InputConfig(cell_size=None, num_neighbours=0)
    points = torch.rand(50, 3)
    assert config.grids == ()
    assert inputs.nearest_neighbours(points, 0).shape == (50, 0)
    assert inputs.plane_cells(points, config).shape == (0, 50)
