"""Logs of py123d, with a stand-in for the package that has the names of its SceneAPI (0.7).

Where py123d is installed, logs that it has written are read, too.
"""

import enum
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import kit
from kit.lens import BrownConrady, Mei

T_IMU_CAM = np.array([[0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.4], [0, 0, 0, 1.0]])
POINTS = np.random.default_rng(0).uniform([4, -3, 0], [30, 3, 3], (50, 3)).astype(np.float32)
SPEED, DELAY = 10.0, 0.02  # of the car in m/s; of the image in seconds


class Label(enum.IntEnum):
    VOID = 0
    ROAD = 1
    CAR = 7

    def to_default(self):
        return SimpleNamespace(name="IGNORE" if self is Label.VOID else "OTHER")


class Id(enum.IntEnum):
    LIDAR_MERGED = 1
    LIDAR_TOP = 2


def pose(matrix):
    return SimpleNamespace(transformation_matrix=matrix)


def ego(time):
    T = np.eye(4)
    T[:3, 3] = [1000 + SPEED * time, 500, 2]
    return T


def camera(name, model, **values):
    return SimpleNamespace(
        camera_name=name,
        camera_model=SimpleNamespace(name=model),
        camera_to_imu_se3=pose(T_IMU_CAM),
        height=24,
        width=32,
        **values,
    )


PINHOLE = SimpleNamespace(fx=40.0, fy=41.0, cx=16.0, cy=12.0, skew=0.0)
CAMERAS = {
    0: camera("front", "PINHOLE", intrinsics=PINHOLE, distortion=None, is_undistorted=True),
    1: camera(
        "left",
        "PINHOLE",
        intrinsics=PINHOLE,
        distortion=SimpleNamespace(k1=0.1, k2=-0.1, p1=0.01, p2=0.02, k3=0.03),
        is_undistorted=False,
    ),
    2: camera(
        "fish",
        "FISHEYE_MEI",
        mirror_parameter=2.2,
        distortion=SimpleNamespace(k1=0.01, k2=0.02, p1=0.0, p2=0.0),
        projection=SimpleNamespace(gamma1=13.0, gamma2=13.5, u0=16.0, v0=12.0),
    ),
    3: camera("polynomial", "FTHETA"),
}


class Scene:
    number_of_iterations = 3

    def __init__(self, log_name):
        self.log_name = log_name

    def get_timestamp_at_iteration(self, iteration):
        return SimpleNamespace(time_us=1_000_000 + 100_000 * iteration)

    def get_camera_metadatas(self):
        return CAMERAS

    def get_lidar_metadatas(self):
        return {Id.LIDAR_TOP: SimpleNamespace(segmentation_label_class=Label)}

    def get_lidar_at_iteration(self, iteration, lidar_id):
        if lidar_id != "lidar_top":
            return None
        return SimpleNamespace(
            point_cloud_3d=POINTS + iteration,
            intensity=np.arange(50, dtype=np.uint8),
            semantic=np.array([0, 1, 7, 1, 7] * 10, np.uint8),
            timestamps=1_000_000 + 100_000 * iteration - np.arange(50) * 1000,
        )

    def get_ego_state_se3_at_iteration(self, iteration):
        return SimpleNamespace(imu_se3=pose(ego(0.1 * iteration)))

    def get_camera_at_iteration(self, iteration, which):
        return SimpleNamespace(
            camera_to_global_se3=pose(ego(0.1 * iteration + DELAY) @ T_IMU_CAM),
            rgb_image=np.full((24, 32, 3), 10 * iteration + which, np.uint8),
        )


class Builder:
    def __init__(self, logs_root, maps_root):
        self.root = logs_root

    def get_scenes(self, wanted, executor):
        assert (self.root / wanted.split_names[0] / wanted.log_names[0] / "sync.arrow").is_file()
        return [Scene(name) for name in wanted.log_names]


@pytest.fixture
def package(monkeypatch):
    names = {
        "py123d.api.scene.arrow.arrow_scene_builder": {"ArrowSceneBuilder": Builder},
        "py123d.api.scene.scene_filter": {"SceneFilter": SimpleNamespace},
        "py123d.common.execution": {"SequentialExecutor": object},
    }
    for name, content in names.items():
        module = ModuleType(name)
        vars(module).update(content)
        for parent in ("py123d", *[name[:i] for i, c in enumerate(name) if c == "."]):
            monkeypatch.setitem(sys.modules, parent, sys.modules.get(parent, ModuleType(parent)))
        monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def root(tmp_path):
    for log in ("log_a", "log_b"):
        folder = tmp_path / "logs" / "wod_val" / log
        folder.mkdir(parents=True)
        (folder / "sync.arrow").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("below", ["", "logs", "logs/wod_val", "logs/wod_val/log_a"])
def test_logs_are_found_at_any_level(package, root, below):
    data = kit.open_dataset(root / below)
    assert len(data) == (3 if below.endswith("log_a") else 6)
    assert data.scenes[:3] == ["log_a"] * 3 and data.tokens[1] == "log_a_000001"


def test_a_keyframe_has_points_labels_pose_and_time(package, root):
    data = kit.open_dataset(root)
    keyframe = data[4]
    np.testing.assert_array_equal(keyframe.points, POINTS + 1)
    assert keyframe.intensity[3] == 3 and keyframe.timestamp == 1_100_000
    np.testing.assert_allclose(keyframe.time, -np.arange(50) / 1000, atol=1e-6)
    np.testing.assert_allclose(keyframe.T_global_lidar, ego(0.1))
    assert data.classes.names == ("road", "car")
    assert keyframe.labels[:5].tolist() == [kit.IGNORE, 0, 1, 0, 1]


def test_cameras_have_their_lenses_and_the_motion_of_the_car(package, root):
    data = kit.open_dataset(root)
    cameras = data[1].cameras
    assert set(cameras) == {"front", "left", "fish"} and data.other_cameras == ["polynomial"]
    assert cameras["left"].lens == BrownConrady(0.1, -0.1, 0.01, 0.02, 0.03)
    assert cameras["fish"].lens == Mei(2.2, 0.01, 0.02, 0.0, 0.0)
    assert cameras["front"].pixels()[0, 0, 0] == 10 and cameras["left"].pixels()[0, 0, 0] == 11
    # By hand: the car drives 0.2 m until the image is taken.
    uv, _, visible = kit.projection.project_into(cameras["front"], data[1].points)
    x, y, z = (POINTS + 1).T
    depth = x - SPEED * DELAY - 1.5
    expected = np.stack([40 * -y / depth + 16, 41 * (1.4 - z) / depth + 12], 1)
    assert visible.any()
    np.testing.assert_allclose(uv[visible], expected[visible.numpy()], atol=1e-3)


def test_a_lidar_that_is_not_there_is_named(package, root):
    with pytest.raises(ValueError, match="no lidar 'lidar_back'; there are lidar_top"):
        kit.open_dataset(root, lidar="lidar_back")


def test_without_the_package_the_message_says_how_to_install_it(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "py123d", None)
    with pytest.raises(ImportError, match=r"pip install -e '\.\[py123d\]'"):
        kit.open_dataset(root)


def two_frames(sequence, target):
    """A sequence of PandaSet whose only frame, 08, is there twice, as 00 and 01."""
    for file in sequence.rglob("*.*"):
        below = target / file.relative_to(sequence)
        below.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".json":
            content = json.loads(file.read_text())
            content = content[8:10] if isinstance(content, list) else content
            below.write_text(json.dumps(content))
        elif file.is_file():
            for number in ("00", "01"):
                below.with_name(file.name.replace("08", number)).symlink_to(file)
    return target


def convert(root, target):
    """Convert the sequence 002 of PandaSet with py123d."""
    from py123d.api.scene.arrow.arrow_log_writer import ArrowLogWriter, SyncConfig
    from py123d.api.scene.arrow.utils.log_writer_config import LogWriterConfig
    from py123d.parser.pandaset.pandaset_parser import PandasetParser

    (log,) = PandasetParser(["pandaset_train"], root, train_log_names=["002"]).get_log_parsers()
    stored = {"camera_store_option": "jpeg_binary", "lidar_store_option": "binary"}
    writer = ArrowLogWriter(
        LogWriterConfig(
            force_log_conversion=True, force_map_conversion=True, lidar_codec="ipc_zstd", **stored
        ),
        logs_root=target / "logs",
        sensors_root=target / "sensors",
        ipc_compression=None,
        ipc_compression_level=None,
        sync_config=SyncConfig("lidar.lidar_merged.timestamp_us", direction="forward"),
    )
    writer.reset(log.get_log_metadata())
    for moment in log.iter_modalities_sync():
        writer.write_sync(moment)
    writer.close()
    return target


@pytest.mark.skipif(not importlib.util.find_spec("py123d"), reason="py123d is not installed")
def test_a_log_that_py123d_wrote_agrees_with_the_reader_of_its_data_set(shared_data, tmp_path):
    sequence = two_frames(shared_data / "pandaset_native/002", tmp_path / "pandaset/002")
    ours = kit.open_dataset(sequence, lidar="both")[0]
    keyframe = kit.open_dataset(convert(Path(sequence.parent), tmp_path / "logs"))[0]
    T = kit.geometry.invert_rigid(ours.T_global_lidar) @ keyframe.T_global_lidar
    moved = kit.geometry.transform_points(T, keyframe.points)
    assert np.abs(moved - ours.points).max() < 1e-3
    assert np.array_equal(keyframe.intensity, ours.intensity)
    assert set(keyframe.cameras) == set(ours.cameras)
    for name, camera in keyframe.cameras.items():
        uv, _, visible = kit.projection.project_into(camera, keyframe.points)
        wanted, _, seen = kit.projection.project_into(ours.cameras[name], ours.points)
        both = visible & seen
        assert both.sum() > 0.99 * seen.sum()
        assert np.abs(uv[both] - wanted[both]).max() < 0.1
    cars = keyframe.labels == keyframe.classes.names.index("car")
    assert np.array_equal(cars, ours.labels == ours.classes.names.index("car"))
