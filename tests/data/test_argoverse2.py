"""Argoverse 2 against loops, and against the counts of points that its annotations give."""

import numpy as np
import pytest
import small_layouts as small
from pyarrow import feather

import kit
from kit.data import open_dataset
from kit.data.argoverse2 import Argoverse2
from kit.data.class_maps import ARGOVERSE2


@pytest.fixture
def root(tmp_path):
    return small.write_argoverse2(tmp_path / "av2")


def true_T_cam_lidar(time, delay):
    """lidar -> car -> city at the time of the sweep -> car at the time of the image -> camera."""
    chain = small.av2_pose(time) @ small.T_EGO_UP_LIDAR
    return np.linalg.inv(small.av2_pose(time + delay) @ small.T_EGO_CAM) @ chain


@pytest.mark.parametrize("delay", [0, 20_000_000, -24_000_000])
def test_the_motion_between_sweep_and_image_is_compensated(tmp_path, delay):
    dataset = open_dataset(small.write_argoverse2(tmp_path / "av2", delay))
    for index, time in enumerate(small.AV2_TIMES):
        keyframe = dataset[index]
        camera = keyframe.cameras["ring_front_center"]
        T = true_T_cam_lidar(time, delay)
        assert np.abs(camera.T_cam_lidar.numpy() - T).max() < 1e-5
        pairs = kit.find_pairs(keyframe.points, keyframe.cameras)
        true = small.true_pixels(keyframe.points.tolist(), T)
        found = dict(zip(pairs.point.tolist(), pairs.uv.tolist(), strict=True))
        assert len(true) > 20 and set(true) == set(found)
        assert max(np.abs(np.subtract(true[i], found[i])).max() for i in true) < 5e-3


def test_points_are_in_the_frame_of_the_upper_lidar_with_their_times(root):
    keyframe = open_dataset(root)[1]
    assert np.abs(keyframe.points.numpy() - small.scan(1)[:, :3]).max() < 1e-5
    assert keyframe.time[:3].tolist() == pytest.approx([0, 1e-4, 2e-4])
    assert keyframe.timestamp == small.AV2_TIMES[1] // 1000
    expected = small.av2_pose(small.AV2_TIMES[1]) @ small.T_EGO_UP_LIDAR
    assert np.abs(keyframe.T_global_lidar.numpy() - expected).max() < 1e-4


def test_distortion_is_an_option_because_the_images_have_none(root):
    from kit.lens import BrownConrady

    plain = open_dataset(root)[0].cameras["ring_front_center"]
    bent = open_dataset(root, distorted=True)[0].cameras["ring_front_center"]
    assert plain.lens.max_angle > 1.5 and bent.lens == BrownConrady(-0.2, 0.05)


def test_boxes_belong_to_their_sweep(root):
    boxes = [keyframe.boxes for keyframe in open_dataset(root)]
    assert [[box.category for box in each] for each in boxes] == [
        ["REGULAR_VEHICLE"],
        ["WHEELED_RIDER"],
    ]
    (box,) = boxes[0]
    ego = small.T_EGO_UP_LIDAR @ box.T_lidar_box.numpy()
    assert ego[:3, 3].tolist() == pytest.approx([12, 0, 0.8]) and box.size == (4.0, 2.0, 1.6)
    assert ARGOVERSE2.names[box.label] == "REGULAR_VEHICLE" and box.name == "regular vehicle"


def test_every_level_of_folders_opens(root):
    for path in (root, root / "val", root / small.AV2_LOG):
        assert len(open_dataset(path)) == 2


def test_only_sweeps_are_needed(root):
    log = root / small.AV2_LOG
    whole = open_dataset(root)[0]
    (log / "city_SE3_egovehicle.feather").unlink()
    keyframe = open_dataset(root)[0]
    assert keyframe.T_global_lidar is None and list(keyframe.cameras) == ["ring_front_center"]
    (log / "calibration/intrinsics.feather").unlink()
    assert not open_dataset(root)[0].cameras
    (log / "calibration/egovehicle_SE3_sensor.feather").unlink()
    (log / "annotations.feather").unlink()
    dataset = open_dataset(root)
    assert list(dataset.missing.values()) == [0, 1, 1, 1, 1]
    assert dataset[0].points[0, 2] - whole.points[0, 2] == pytest.approx(1.64)


def test_images_far_in_time_are_left_out(tmp_path):
    root = small.write_argoverse2(tmp_path / "av2", -60_000_000)
    dataset = open_dataset(root)
    # The second image is 40 ms after the first sweep, and 60 ms before the second one.
    _, time = dataset.frames[0].images["ring_front_center"]
    assert time == small.AV2_TIMES[1] - 60_000_000 and not dataset.frames[1].images
    assert dataset[0].cameras and not dataset[1].cameras
    assert dataset.missing["keyframes without images"] == 1


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("calibration/intrinsics.feather", {"fx_px": None}, "columns fx_px.*without fx_px"),
        ("calibration/intrinsics.feather", {"fx_px": ["a"]}, "'fx_px': expected finite numbers"),
        ("calibration/intrinsics.feather", {"fx_px": [float("nan")]}, "'fx_px': expected finite"),
        ("calibration/intrinsics.feather", {"fx_px": [0.1]}, "focal length"),
        ("calibration/intrinsics.feather", {"cx_px": [900.0]}, "principal point"),
        ("calibration/intrinsics.feather", {"sensor_name": [7]}, "'sensor_name': expected texts"),
        ("calibration/egovehicle_SE3_sensor.feather", {"qw": [0.0, 9e9]}, "quaternion"),
        ("city_SE3_egovehicle.feather", {"timestamp_ns": "early"}, "no pose within 50 ms"),
        ("annotations.feather", {"length_m": [-1.0, 1.0]}, "sizes must be positive"),
        ("annotations.feather", {"tx_m": [None, 1.0]}, "'tx_m': expected finite numbers"),
    ],
)
def test_broken_tables_are_named(root, file, change, message):
    path = root / small.AV2_LOG / file
    columns = feather.read_table(str(path)).to_pydict()
    for name, values in change.items():
        if values == "early":
            columns[name] = [time - 10**12 for time in columns[name]]
        elif values is None:
            del columns[name]
        else:
            columns[name] = values
    small.write_feather(path, columns)
    with pytest.raises(ValueError, match=f"{path.name}.*{message}") as error:
        Argoverse2(root)[0]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("cut", [0, 10, 400, -8])
def test_cut_tables_are_named(root, cut):
    path = root / small.AV2_LOG / f"sensors/lidar/{small.AV2_TIMES[0]}.feather"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=f"{path.name}: expected a Feather table"):
        Argoverse2(root)[0]


def test_the_real_sweeps_have_as_many_points_in_boxes_as_annotated(shared_data):
    root = shared_data / "argoverse2"
    dataset = open_dataset(root)
    assert len(dataset) == 2 and dataset.missing["keyframes without images"] == 2
    keyframe = dataset[1]
    (log,) = (root / "val").iterdir()
    table = feather.read_table(str(log / "annotations.feather")).to_pydict()
    time = int(keyframe.token.split("_")[1])
    rows = [row for row, stamp in enumerate(table["timestamp_ns"]) if stamp == time]
    counts = {table["track_uuid"][row]: table["num_interior_pts"][row] for row in rows}
    assert len(keyframe.boxes) == len(counts) == 81
    for box in keyframe.boxes[::4]:
        assert int(box.contains(keyframe.points).sum()) == counts[box.track]
    moved = (dataset[1].T_global_lidar[:3, 3] - dataset[0].T_global_lidar[:3, 3]).norm()
    assert 0 < moved < 3
