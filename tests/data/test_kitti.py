"""KITTI objects and raw drives against projections and boxes that are computed point by point."""

import math
import re

import numpy as np
import pytest
import small_layouts as small
import torch

import kit
from kit.data import open_dataset
from kit.data.kitti_calibration import read_calibration


@pytest.fixture
def objects(tmp_path):
    return small.write_kitti(tmp_path / "kitti")


@pytest.fixture
def raw(tmp_path):
    return small.write_raw(tmp_path / "raw")


def check_pairs(keyframe, T=small.T_CAM_LIDAR, K=small.K, size=small.SIZE):
    pairs = kit.find_pairs(keyframe.points, keyframe.cameras)
    true = small.true_pixels(keyframe.points.tolist(), T, K, size)
    found = dict(zip(pairs.point.tolist(), pairs.uv.tolist(), strict=True))
    assert len(true) > 20 and set(true) == set(found)
    assert max(np.abs(np.subtract(true[i], found[i])).max() for i in true) < 2e-3


def test_pixels_of_objects_are_right_with_the_offset_of_the_camera(objects):
    dataset = open_dataset(objects)
    assert len(dataset) == 3 and dataset.tokens[2] == "training_000002"
    check_pairs(dataset[1])
    assert torch.equal(dataset[1].points, torch.from_numpy(small.scan(1)[:, :3].copy()))
    assert "missing    nothing" in repr(dataset) and not dataset.has_labels


def test_pixels_of_a_raw_drive_are_right(raw):
    dataset = open_dataset(raw)
    check_pairs(dataset[2])
    assert dataset[2].timestamp == 1_317_042_145_200_199


def test_boxes_are_where_their_eight_corners_are(objects):
    (box,) = open_dataset(objects)[0].boxes
    height, width, length, x, y, z, yaw = map(float, small.KITTI_BOX.split()[8:])
    T = np.linalg.inv(small.R0 @ small.T_CAM0_LIDAR)
    for a in (-0.5, 0.5):
        for b in (-0.5, 0.5):
            for up in (0.0, 1.0):
                along, across = a * length, b * width
                corner = [
                    x + along * math.cos(yaw) + across * math.sin(yaw),
                    y - up * height,
                    z - along * math.sin(yaw) + across * math.cos(yaw),
                ]
                for scale, expected in ((0.999, True), (1.001, False)):
                    middle = np.array([x, y - height / 2, z])
                    point = middle + scale * (np.array(corner) - middle)
                    lidar = (T @ [*point, 1])[:3]
                    assert box.contains(torch.tensor(lidar[None])).item() is expected
    assert box.name == "car" and box.label == 0 and box.category == "Car"


def test_the_folder_above_and_below_are_recognised(objects, raw):
    for path in (objects, objects / "training"):
        assert len(open_dataset(path)) == 3
    for path in (raw, raw / "2011_09_26", raw / "2011_09_26/2011_09_26_drive_0001_sync"):
        assert len(open_dataset(path)) == 3
    with pytest.raises(FileNotFoundError, match="KITTI objects.*KITTI raw"):
        open_dataset(objects.parent / "kitti/training/calib")


def test_poses_of_the_inertial_unit_are_metres_east_and_north(raw):
    dataset = open_dataset(raw)
    first, last = dataset[0].T_global_lidar, dataset[2].T_global_lidar
    assert torch.allclose(last[:3, 3] - first[:3, 3], torch.tensor([0.0, 2, 0]).double(), atol=1e-4)
    c, s = math.cos(0.3), math.sin(0.3)  # the yaw
    imu = np.linalg.inv(small.T_LIDAR_IMU) @ [1, 0, 0, 1]  # 1 m ahead of the lidar
    east, north = c * imu[0] - s * imu[1], s * imu[0] + c * imu[1]
    ahead = first @ torch.tensor([1.0, 0, 0, 1]).double()
    assert ahead[:2].tolist() == pytest.approx([east, north], abs=1e-6)


def test_partial_downloads_open_and_count_what_is_missing(objects, raw):
    (objects / "training/image_2/000000.png").unlink()
    (objects / "training/calib/000001.txt").unlink()
    (objects / "training/label_2/000002.txt").unlink()
    dataset = open_dataset(objects)
    counts = {"images of image_2": 1, "calibration files": 1, "box files": 1}
    assert dataset.missing == counts
    assert [len(dataset[i].cameras) for i in range(3)] == [0, 0, 1]
    assert [len(dataset[i].boxes) for i in range(3)] == [1, 0, 0]
    date = raw / "2011_09_26"
    (date / "calib_imu_to_velo.txt").unlink()
    (date / "calib_velo_to_cam.txt").unlink()
    keyframe = open_dataset(raw)[0]
    assert keyframe.T_global_lidar is None and not keyframe.cameras


def test_the_testing_part_is_an_option(objects):
    with pytest.raises(FileNotFoundError, match="no folder testing; found training"):
        open_dataset(objects, part="testing")
    (objects / "training").rename(objects / "testing")
    assert open_dataset(objects).tokens[0] == "testing_000000"


BROKEN = {
    "text for numbers": (r"P2: \S+", "P2: four", "line 'P2': expected 12 numbers, got .*four"),
    "no R0_rect": ("R0_rect", "other", "expected a line 'R0_rect: ...' .*found P0, P2, P3, other"),
    "a number is missing": (r"P2: \S+", "P2:", "line 'P2': expected 12 numbers, got 11"),
    "not finite": (r"P2: \S+", "P2: nan", "line 'P2': expected finite numbers"),
    "not rigid": (r"Tr_velo_to_cam: \S+", "Tr_velo_to_cam: 9", "Tr_velo_to_cam is not a rigid"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_calibrations_are_named(objects, name):
    old, new, message = BROKEN[name]
    file = objects / "training/calib/000001.txt"
    file.write_text(re.sub(old, new, file.read_text()))
    with pytest.raises(ValueError, match=f"000001.txt.*{message}") as error:
        open_dataset(objects)[1]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Car 0 0 0.3 10 10 20 20 1.5 1.6 4.0 0.5 1.6 12.0\n", "expected 14 numbers, got 13"),
        ("Car 0 0 0.3 10 10 20 20 1.5 1.6 4.0 0.5 x 12.0 0\n", "expected 14 numbers"),
        ("Car 0 0 0.3 10 10 20 20 1.5 -1.6 4.0 0.5 1 12.0 0\n", "sizes must be positive"),
        ("Car 0 0 0.3 10 10 20 20 1.5 1.6 4.0 0.5 inf 12.0 0\n", "finite"),
    ],
)
def test_broken_boxes_are_named(objects, text, message):
    (objects / "training/label_2/000000.txt").write_text(small.KITTI_BOX + text)
    with pytest.raises(ValueError, match=f"000000.txt: line 2: .*{message}"):
        open_dataset(objects)[0]


def test_cut_and_other_files_are_named(objects, raw):
    scan = objects / "training/velodyne/000000.bin"
    scan.write_bytes(scan.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"000000.bin: expected rows of 4 .*complete"):
        open_dataset(objects)[0]
    calibration = objects / "training/calib/000001.txt"
    calibration.write_bytes(b"\xff\xfe\x80P2")
    with pytest.raises(ValueError, match="000001.txt: expected a text file"):
        open_dataset(objects)[1]
    (objects / "training/image_2/000002.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="000002.png: cannot decode"):
        open_dataset(objects)[2]
    drive = raw / "2011_09_26/2011_09_26_drive_0001_sync"
    (drive / "oxts/data/0000000001.txt").write_text("49 8.4 112")
    with pytest.raises(ValueError, match="0000000001.txt: expected 30 numbers, got 3"):
        open_dataset(raw)[1]
    (drive / "velodyne_points/timestamps.txt").write_text("yesterday\n")
    with pytest.raises(ValueError, match="timestamps.txt: line 1: expected a time"):
        open_dataset(raw)


def test_images_of_another_size_have_their_own_size(objects):
    small.write_image(objects / "training/image_2/000001.png", size=(26, 34))
    dataset = open_dataset(objects)
    sizes = [dataset[i].cameras["image_2"].image_size for i in range(3)]
    assert sizes == [(24, 32), (26, 34), (24, 32)]


def test_the_real_frames_agree_with_another_computation(shared_data):
    """R0_rect, Tr and P2 in one chain with NumPy; boxes in the camera's frame with loops."""
    root = shared_data / "kitti"
    dataset = open_dataset(root)
    assert len(dataset) == 4 and dataset.sensor.name == "KITTI HDL-64E"
    for keyframe in dataset:
        number = keyframe.token[-6:]
        rows = np.fromfile(root / f"training/velodyne/{number}.bin", "<f4").reshape(-1, 4)
        calibration = {}
        for text in (root / f"training/calib/{number}.txt").read_text().splitlines():
            name, _, values = text.partition(":")
            calibration[name] = np.array([float(word) for word in values.split()])
        cam0 = rows[:, :3] @ calibration["Tr_velo_to_cam"].reshape(3, 4)[:, :3].T
        cam0 = (cam0 + calibration["Tr_velo_to_cam"].reshape(3, 4)[:, 3]) @ calibration[
            "R0_rect"
        ].reshape(3, 3).T
        pixels = np.column_stack([cam0, np.ones(len(cam0))]) @ calibration["P2"].reshape(3, 4).T
        uv = pixels[:, :2] / pixels[:, 2:]
        pairs = kit.find_pairs(keyframe.points, keyframe.cameras)
        assert np.abs(uv[pairs.point.numpy()] - pairs.uv.numpy()).max() < 1e-2
        height, width = keyframe.cameras["image_2"].image_size
        inside = (uv > 0).all(1) & (uv < [width - 1, height - 1]).all(1)
        assert abs((inside & (pixels[:, 2] > 1)).sum() - len(pairs)) <= 2
        lines = (root / f"training/label_2/{number}.txt").read_text().splitlines()
        lines = [text.split() for text in lines if not text.startswith("DontCare")]
        assert len(lines) == len(keyframe.boxes)
        for words, box in zip(lines, keyframe.boxes, strict=True):
            height, width, length, x, y, z, yaw = map(float, words[8:15])
            c, s = math.cos(yaw), math.sin(yaw)
            dx, dz = cam0[:, 0] - x, cam0[:, 2] - z
            count = (np.abs(c * dx - s * dz) <= length / 2) & (np.abs(s * dx + c * dz) <= width / 2)
            count &= (cam0[:, 1] <= y) & (cam0[:, 1] >= y - height)
            assert abs(int(box.contains(keyframe.points).sum()) - count.sum()) <= 1


def test_lines_without_a_colon_are_no_calibration(tmp_path):
    file = tmp_path / "calib.txt"
    file.write_text("1 2 3\n")
    with pytest.raises(ValueError, match="expected a line 'P2: ...'.*no line with a name"):
        read_calibration(file).camera("P2")
