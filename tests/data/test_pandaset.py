"""PandaSet in its own layout, against loops, and against its copy in the nuScenes schema."""

import gzip
import json

import numpy as np
import pytest
import small_layouts as small
import torch

import kit
from kit.data import open_dataset
from kit.data.class_maps import PANDASET
from kit.data.classes import IGNORE
from kit.data.data_frames import read_data_frame
from kit.data.nuscenes.folder import NuScenesFolder
from kit.data.pandaset import T_EGO_LIDAR, PandaSet


@pytest.fixture
def root(tmp_path):
    return small.write_pandaset(tmp_path / "pandaset", T_EGO_LIDAR.numpy())


def of_lidar(number, lidars):
    """Rows of the points that belong to the lidars, and these points: x right, y forward."""
    rows = [row for row in range(small.NUM_POINTS) if row % 3 // 2 in lidars]
    points = small.scan(number)[rows]
    return rows, points[:, [1, 0, 2]] * [-1, 1, 1]


@pytest.mark.parametrize(
    ("lidar", "numbers"), [("pandar64", (0,)), ("pandargt", (1,)), ("both", (0, 1))]
)
def test_points_come_from_the_world_to_the_lidar(root, lidar, numbers):
    dataset = open_dataset(root, lidar=lidar)
    for index in range(3):
        keyframe = dataset[index]
        rows, points = of_lidar(index, numbers)
        assert keyframe.row_in_file.tolist() == rows
        assert np.abs(keyframe.points.numpy() - points).max() < 1e-5
        names = ("road", "car", "vegetation", None)
        expected = [PANDASET.names.index(n) if n else IGNORE for n in (names[r % 4] for r in rows)]
        assert keyframe.labels.tolist() == expected
        assert torch.allclose(keyframe.time, torch.tensor(-0.05), atol=1e-5)


def test_pixels_are_right_while_the_car_moves(root):
    keyframe = open_dataset(root)[2]
    pairs = kit.find_pairs(keyframe.points, keyframe.cameras)
    rows, _ = of_lidar(2, (0,))
    true = small.true_pixels(small.scan(2)[rows].tolist())
    found = dict(zip(pairs.point.tolist(), pairs.uv.tolist(), strict=True))
    assert len(true) > 20 and set(true) == set(found)
    assert max(np.abs(np.subtract(true[i], found[i])).max() for i in true) < 2e-3


def test_boxes_of_the_other_lidar_are_left_out(root):
    (box,) = open_dataset(root)[1].boxes
    others = open_dataset(root, lidar="pandargt")[1].boxes
    assert box.name == "car" and box.size == (5, 2, 1.6) and box.track == "a"
    assert box.T_lidar_box[:3, 3].tolist() == pytest.approx([0, 12, -0.9], abs=1e-9)
    assert [each.name for each in others] == ["car", "tram / subway"]
    assert others[1].label == PANDASET.names.index("other vehicle")


def test_a_sequence_alone_opens_and_missing_parts_are_counted(root):
    sequence = root / "002"
    (sequence / "camera/front_camera/intrinsics.json").unlink()
    (sequence / "camera/front_camera/00.jpg").unlink()
    (sequence / "annotations/semseg/01.pkl.gz").unlink()
    (sequence / "annotations/cuboids/02.pkl.gz").unlink()
    (sequence / "lidar/timestamps.json").unlink()
    dataset = open_dataset(sequence)
    assert list(dataset.missing.values()) == [1, 1, 1, 3, 1]
    assert dataset[1].labels is None and not dataset[2].boxes and not dataset[1].cameras
    (sequence / "lidar/poses.json").unlink()
    with pytest.raises(FileNotFoundError, match="poses.json: missing.*world frame"):
        open_dataset(sequence)


def test_unknown_lidars_are_named(root):
    with pytest.raises(ValueError, match="one of pandar64, pandargt, both, got .*velodyne"):
        open_dataset(root, lidar="velodyne")


def frame(**columns):
    return gzip.compress(small.data_frame({k: np.array(v) for k, v in columns.items()}))


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("lidar/00.pkl.gz", b"cut", "damaged or something else"),
        (
            "lidar/00.pkl.gz",
            frame(x=[1.0], y=[1.0]),
            "x, y, z, i, d, t, without z, i, d, t",
        ),
        ("lidar/00.pkl.gz", frame(x=["a"], y=[1], z=[1], i=[1], d=[0], t=[1]), "another type"),
        ("annotations/semseg/00.pkl.gz", frame(**{"class": [7, 7]}), "2 labels for the 240 rows"),
        ("annotations/semseg/00.pkl.gz", frame(**{"class": [777] * 240}), r"ids \[777\]"),
        ("lidar/poses.json", b"[{]", "not valid JSON"),
        ("lidar/poses.json", b"{}", "expected a list"),
        ("lidar/poses.json", b"[]", "0 poses, but the frame 0. needs one"),
        ("lidar/poses.json", b'[{"position": {"x": 1}}]', "entry 0: expected a list of 3|1 poses"),
        ("lidar/poses.json", b"[7]", "entry 0|1 poses"),
        ("camera/front_camera/intrinsics.json", b'{"fx": 1}', "expected fx, fy, cx and cy"),
        ("camera/front_camera/intrinsics.json", b"[]", "expected fx, fy, cx and cy"),
        ("camera/front_camera/00.jpg", b"no image", "cannot decode"),
    ],
)
def test_broken_files_are_named(root, file, data, message):
    (root / "002" / file).write_bytes(data)
    with pytest.raises(ValueError, match=f"{file}.*{message}") as error:
        PandaSet(root)[0]
    assert "\n" not in str(error.value)


def test_broken_time_stamps_are_named(root):
    (root / "002/lidar/timestamps.json").write_text('["now"]')
    with pytest.raises(ValueError, match="timestamps.json: expected a list of seconds"):
        open_dataset(root)


@pytest.mark.parametrize(("kept", "known"), [(None, 0), (2, 2)])
def test_without_time_stamps_the_times_of_points_are_unknown(root, kept, known):
    """Times of points are seconds since 1970, which a float32 holds to 2 minutes."""
    file = root / "002/lidar/timestamps.json"
    if kept is None:
        file.unlink()
    else:
        file.write_text(json.dumps(json.loads(file.read_text())[:kept]))
    dataset = open_dataset(root)
    assert dataset.missing["time stamps"] == 3 - known
    for number, keyframe in enumerate(dataset):
        assert (keyframe.timestamp > 0) == (number < known)
        assert (keyframe.time is not None) == (number < known)


def test_time_stamps_of_another_sequence_are_named(root):
    (root / "002/lidar/timestamps.json").write_text("[1500.5, 1500.6, 1500.7]")
    with pytest.raises(ValueError, match="00.pkl.gz: column 't': .*500 s from the time stamp"):
        PandaSet(root)[0]


def test_the_real_frame_is_that_of_the_other_copy(shared_data):
    """The same moment in both layouts: points to 1 mm, labels equal, pixels to 0.1 px."""
    mine = PandaSet(shared_data / "pandaset_native")[0]
    other = NuScenesFolder(shared_data / "pandaset", boxes=False)[1]
    assert mine.timestamp == other.timestamp
    assert (mine.points - other.points).abs().max() < 1e-3
    assert torch.equal(mine.intensity, other.intensity)
    tables = shared_data / "pandaset"
    ids = np.concatenate(
        [
            np.fromfile(file, np.uint8)
            for file in (tables / "lidarseg_pandaset_ids").rglob("*")
            if file.is_file() and other.token in file.name
        ]
    )
    native = shared_data / "pandaset_native/002"
    semseg = read_data_frame(native / "annotations/semseg/08.pkl.gz")["class"]
    assert np.array_equal(semseg[mine.row_in_file.numpy()], ids)
    assert torch.equal(mine.labels, PANDASET.from_raw(torch.from_numpy(ids), "ids"))
    names = {
        "back_camera": "CAM_BACK",
        "front_camera": "CAM_FRONT",
        "front_left_camera": "CAM_FRONT_LEFT",
        "front_right_camera": "CAM_FRONT_RIGHT",
        "left_camera": "CAM_BACK_LEFT",
        "right_camera": "CAM_BACK_RIGHT",
    }
    assert set(mine.cameras) == set(names)
    for name, twin in names.items():
        uv, _, visible = kit.projection.project_points(*arguments(mine, name))
        uv2, _, visible2 = kit.projection.project_points(*arguments(other, twin))
        both = visible & visible2
        assert (visible ^ visible2).sum() <= 2 and both.sum() > 10_000
        assert (uv[both] - uv2[both]).abs().max() < 0.1
    assert len(mine.boxes) == 93
    car = max((box for box in mine.boxes[:8] if box.category == "Car"), key=inside_of(mine))
    labels = mine.labels[car.contains(mine.points)]
    assert len(labels) > 1000 and (labels == car.label).float().mean() > 0.95
    assert json.loads((native / "annotations/semseg/classes.json").read_text())["13"] == "Car"


def arguments(keyframe, name):
    camera = keyframe.cameras[name]
    return keyframe.points, camera.T_cam_lidar, camera.K, camera.image_size


def inside_of(keyframe):
    return lambda box: int(box.contains(keyframe.points).sum())
