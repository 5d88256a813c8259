import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_root
import torch
from by_hand import ByHand
from scipy.spatial.transform import Rotation

import kit
from kit.data.sweeps import Accumulated, Sweep, accumulate, find_sweeps, sweep_of

SPEED, TURN = 12.0, 0.3  # of the car: m/s and rad/s
CAR_SPEED = 7.0  # of the other car, m/s along x of the world
NORTH = 5_400_000  # metres, where the world begins: UTM; float32 has steps of 0.5 m there


def pose(time):
    """T_global_lidar of a car on a curve, far from the origin."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("zy", [TURN * time, 0.02 * time]).as_matrix()
    T[:3, 3] = [1000 + SPEED * time, NORTH + 700 - 3 * time, 0.1 * time]
    return torch.from_numpy(T)


def scan(time):
    """A wall at x = 1040 m of the world, and a car that moves; both in the lidar frame."""
    y, z = np.meshgrid(np.linspace(NORTH + 680, NORTH + 720, 30), np.linspace(0, 5, 10))
    wall = np.stack([np.full(y.size, 1040.0), y.ravel(), z.ravel()], 1)
    car = np.array([[1015.0 + CAR_SPEED * time, NORTH + 705.0, 1.0]])
    world = np.concatenate([wall, car])
    T = np.linalg.inv(pose(time).numpy())
    return (world @ T[:3, :3].T + T[:3, 3]).astype(np.float32)


class Recording(ByHand):
    """Keyframes every 0.5 s, and sweeps every 0.1 s."""

    classes, sensor = kit.NUSCENES, kit.Sensor("lidar", 0.0, 1.0)
    has_labels = True

    def __init__(self, keyframes=3, has_poses=True):
        self.tokens = [f"k{i}" for i in range(keyframes)]
        self.scenes = ["a"] * keyframes
        self.has_poses = has_poses

    def __getitem__(self, index):
        index %= len(self)
        points = torch.from_numpy(scan(0.5 * index))
        return kit.Keyframe(
            token=self.tokens[index],
            scene=self.scenes[index],
            points=points,
            intensity=torch.full((len(points),), float(index)),
            cameras={},
            sensor=self.sensor,
            classes=self.classes,
            labels=torch.zeros(len(points), dtype=torch.long),
            timestamp=int(5e5 * index),
            T_global_lidar=pose(0.5 * index) if self.has_poses else None,
        )


class WithSweeps(Recording):
    def sweeps(self, index, count):
        last = 0.5 * index
        times = [last - 0.1 * number for number in range(1, count + 1) if last >= 0.1 * number]
        return [
            Sweep(torch.from_numpy(scan(t)), torch.zeros(301), pose(t), round(1e6 * t))
            for t in times
        ]


def in_world(keyframe):
    T = keyframe.T_global_lidar.numpy()
    return keyframe.points.numpy().astype(np.float64) @ T[:3, :3].T + T[:3, 3]


@pytest.mark.parametrize("kind", [Recording, WithSweeps])
def test_a_wall_stays_a_wall_to_a_millimetre(kind):
    joined = accumulate(kind(), 2, 2)
    assert len(joined.points) == 3 * 301
    x = in_world(joined)[:, 0].reshape(3, 301)[:, :300]
    assert np.abs(x - 1040).max() < 1e-3


def test_what_moves_smears_by_its_speed_times_the_difference_in_time():
    joined = accumulate(WithSweeps(), 2, 4)
    car = in_world(joined)[300::301]
    time = joined.time[300::301].numpy()
    np.testing.assert_allclose(time, [0, -0.1, -0.2, -0.3, -0.4], atol=1e-6)
    np.testing.assert_allclose(car[:, 0] - car[0, 0], CAR_SPEED * time, atol=1e-3)


def test_only_the_points_of_the_keyframe_have_labels_and_they_come_first():
    data = WithSweeps()
    joined = accumulate(data, 1, 3)
    assert torch.equal(joined.points[:301], data[1].points)
    assert (joined.labels[:301] == 0).all() and (joined.labels[301:] == kit.IGNORE).all()
    assert (joined.time[:301] == 0).all() and (joined.time[301:] < 0).all()
    assert joined.token == "k1 + 3 sweeps"


def test_without_time_stamps_the_times_of_points_are_unknown():
    data = Recording()
    frames = [replace(data[index], timestamp=0) for index in range(3)]
    data.__class__ = type("T", (Recording,), {"__getitem__": lambda _, i: frames[i]})
    joined = accumulate(data, 2, 2)
    assert joined.token == "k2 + 2 sweeps" and joined.time is None
    assert np.abs(in_world(joined)[:, 0].reshape(3, 301)[:, :300] - 1040).max() < 1e-3
    assert Accumulated(data, 2)[2].time is None
    with pytest.raises(ValueError, match="max_age: keyframe k2 .*one time stamp, 0"):
        accumulate(data, 2, 2, max_age=1.0)


def test_each_point_keeps_its_own_time():
    data = Recording()
    keyframe = replace(data[1], time=torch.linspace(-0.1, 0, 301))
    early = replace(data[0], time=torch.linspace(-0.1, 0, 301))
    data.__class__ = type("T", (Recording,), {"__getitem__": lambda _, i: (early, keyframe)[i]})
    joined = accumulate(data, 1, 1)
    assert torch.equal(joined.time[:301], keyframe.time)
    torch.testing.assert_close(joined.time[301:], early.time - 0.5)


def test_fewer_sweeps_than_wanted_are_normal():
    data = WithSweeps()
    assert accumulate(data, 0, 10).token == "k0"
    assert accumulate(data, 1, 10).token == "k1 + 5 sweeps"
    assert accumulate(Recording(), 2, 10).token == "k2 + 2 sweeps"
    assert accumulate(data, 1, 0).time.abs().max() == 0


def test_earlier_keyframes_of_another_scene_are_no_sweeps():
    data = Recording(4)
    data.scenes = ["a", "a", "b", "b"]
    assert [len(find_sweeps(data, index, 5)) for index in range(4)] == [0, 1, 0, 1]


def test_old_turns_can_be_left_out():
    assert accumulate(Recording(5), 4, 10, max_age=1.0).token == "k4 + 2 sweeps"


def test_poses_are_needed():
    data = Recording(has_poses=False)
    assert accumulate(data, 1, 1).token == "k1"
    with pytest.raises(ValueError, match="k1 has no T_global_lidar"):
        kit.data.sweeps.join_sweeps(data[1], [sweep_of(Recording()[0])])
    with pytest.raises(ValueError, match="0 or more, got -1"):
        accumulate(data, 1, -1)


def test_an_accumulated_data_set_is_a_data_set():
    data = Accumulated(WithSweeps(), 2)
    assert isinstance(data, kit.data.Dataset)
    assert data[1].token == "k1" and len(data[1].points) == 3 * 301
    assert "2 sweeps" in data.content() and "2 are added" in repr(data)


def test_a_data_set_without_sweeps_is_refused():
    with pytest.raises(ValueError, match="no turn of the lidar with a pose was found .* 3 keyfr"):
        Accumulated(Recording(has_poses=False), 2)
    alone = Recording()
    alone.scenes = ["a", "b", "c"]
    with pytest.raises(ValueError, match="several keyframes a scene"):
        kit.open_dataset(alone, sweeps=1)
    mixed = kit.open_dataset([Recording(), WithSweeps()])
    with pytest.raises(ValueError, match="add the sweeps to each data set, then mix"):
        Accumulated(mixed, 2)


def test_a_keyframe_without_a_pose_stays_alone():
    class Gap(Recording):
        def __getitem__(self, index):
            keyframe = super().__getitem__(index)
            return replace(keyframe, T_global_lidar=None) if index == 1 else keyframe

    data = Accumulated(Gap(), 5)
    assert [len(data[i].points) // 301 for i in range(3)] == [1, 1, 2]


def test_each_data_set_of_a_mixture_gets_its_sweeps():
    mixed = kit.open_dataset([Recording(), WithSweeps()], sweeps=2)
    assert [len(part[2].points) // 301 for part in mixed.parts] == [3, 3]
    assert [part[2].time[-301:].mean() for part in mixed.parts] == pytest.approx([-1.0, -0.2])


@pytest.fixture(scope="module")
def street():
    return kit.open_dataset("street", num_scenes=1, keyframes_per_scene=2, image_size=(28, 56))


def test_the_street_has_sweeps_down_to_its_start(street, monkeypatch):
    one = {"points": torch.ones(1, 3), "intensity": torch.ones(1)}
    monkeypatch.setattr("kit.street.dataset._rendered_sweep", lambda moment, number: one)
    sweeps = street.sweeps(1, 20)
    assert [sweep.timestamp for sweep in sweeps] == [450_000 - 50_000 * i for i in range(10)]
    assert street.sweeps(0, 3) == []


def test_moving_cars_smear_in_the_street_and_walls_do_not(street):
    joined = kit.accumulate(street, 1, 2)
    keyframe = street[1]
    wall = keyframe.labels == kit.NUSCENES.names.index("manmade")
    # The nearest points of the sweeps to those of buildings are about as near as in one scan.
    added = joined.points[joined.time < 0]
    distance, _ = kit.geometry.k_nearest(added, keyframe.points[wall], 1)
    assert distance.median() < 0.2
    moving = [box for box in keyframe.boxes if box.speed > 3]
    for box in moving:
        behind = replace(box, T_lidar_box=_moved(box, -0.1 * box.speed))
        own, later = (b.contains(keyframe.points, 0.1).sum() for b in (box, behind))
        if own > 50:  # two turns earlier, the car was 0.1 s of driving behind
            last = joined.points[joined.time < -0.075]
            assert behind.contains(last, 0.1).sum() > 0.5 * own


def _moved(box, along):
    T = box.T_lidar_box.clone()
    T[:3, 3] += along * T[:3, 0]
    return T


# --- nuScenes ------------------------------------------------------------------------------------


def root_with_sweeps(root):
    """Two keyframes 1 s apart, with 3 sweeps in between, 2 m/s."""
    found = small_root.tables(keyframes=2)
    for number in (1, 2, 3):
        name, time = f"sweep-{number}", 250_000 * number
        found["ego_pose"].append(
            {"token": name, "rotation": [1.0, 0, 0, 0], "translation": [0.5 * number, 0, 0]}
        )
        found["sample_data"].append(
            {
                "token": name,
                "sample_token": "sample-0-1",
                "ego_pose_token": name,
                "calibrated_sensor_token": "calibration-LIDAR_TOP",
                "timestamp": time,
                "is_key_frame": False,
                "filename": f"sweeps/LIDAR_TOP/{name}.pcd.bin",
            }
        )
    small_root.write_root(root, found)
    (root / "sweeps" / "LIDAR_TOP").mkdir(parents=True)
    for number in (1, 2, 3):
        rows = np.column_stack([small_root.scan(9 + number), np.zeros(small_root.NUM_POINTS)])
        rows.astype("<f4").tofile(root / "sweeps" / "LIDAR_TOP" / f"sweep-{number}.pcd.bin")
    return root


def test_sweeps_of_nuscenes_come_latest_first_with_their_poses(tmp_path):
    data = kit.open_dataset(root_with_sweeps(tmp_path))
    sweeps = data.sweeps(1, 10)
    assert [sweep.timestamp for sweep in sweeps] == [750_000, 500_000, 250_000, 0]
    expected = small_root.T_EGO_LIDAR + [1.5, 0, 0]
    np.testing.assert_allclose(sweeps[0].T_global_lidar[:3, 3], expected)
    np.testing.assert_allclose(sweeps[0].points, small_root.scan(12)[:, :3], atol=1e-5)
    assert [sweep.timestamp for sweep in data.sweeps(1, 2)] == [750_000, 500_000]
    assert data.sweeps(0, 10) == []
    joined = kit.accumulate(data, 1, 1)
    added = joined.points[small_root.NUM_POINTS :].numpy()
    # The car drove 0.5 m along its x axis, which is the lidar's y axis.
    np.testing.assert_allclose(added, small_root.scan(12)[:, :3] - [0, 0.5, 0], atol=1e-4)


def test_sweeps_that_are_not_on_disk_are_skipped(tmp_path):
    root = root_with_sweeps(tmp_path)
    (root / "sweeps" / "LIDAR_TOP" / "sweep-3.pcd.bin").unlink()
    data = kit.open_dataset(root)
    assert [sweep.timestamp for sweep in data.sweeps(1, 2)] == [500_000, 250_000]


def test_the_folder_of_sweeps_is_listed_once(tmp_path, monkeypatch):
    listed, iterdir = [], Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: listed.append(path.name) or iterdir(path))
    data = kit.open_dataset(root_with_sweeps(tmp_path), sweeps=2)
    listed.clear()
    for _ in range(3):
        assert [data[index].token for index in range(2)] == list(data.tokens)
    assert listed == []  # it was listed when the sweeps were looked for
    copy = pickle.loads(pickle.dumps(data))
    for _ in range(3):
        assert len(copy[1].points) == 3 * small_root.NUM_POINTS
    assert listed == ["LIDAR_TOP"]


def test_a_sweep_outside_of_the_root_is_refused(tmp_path):
    root = root_with_sweeps(tmp_path)
    file = root / small_root.VERSION / "sample_data.json"
    file.write_text(file.read_text().replace("sweeps/LIDAR_TOP/sweep-2", "../../outside"))
    with pytest.raises(ValueError, match="sweep-2.*filename.*below"):
        kit.open_dataset(root).sweeps(1, 2)


@pytest.mark.dataset
def test_the_scan_of_pandaset_gets_denser_and_stays_sharp(shared_data):
    data = kit.open_dataset(shared_data / "pandaset")
    joined = kit.accumulate(data, 5, 2)
    assert joined.token.endswith("+ 2 sweeps")
    keyframe = data[5]
    static = keyframe.labels == kit.NUSCENES.names.index("manmade")
    added = joined.points[joined.time < 0]
    distance, _ = kit.geometry.k_nearest(added, keyframe.points[static], 1)
    assert distance.median() < 0.1
