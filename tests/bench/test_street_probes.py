"""The bench of the street: on which points, and with which stages, its probes are judged."""

import numpy as np
import pytest
import torch

from kit.bench import street as bench
from kit.data.classes import NUSCENES
from kit.data.keyframe import Camera, Keyframe, Sensor
from kit.data.split import split
from kit.data.street import Street
from kit.data.truth import Truth
from kit.probe import ProbeResult


def ahead(name, turn):
    """A camera at the lidar's place that looks along y (turn 1) or back (turn -1)."""
    T = np.eye(4)
    T[:3, :3] = [[turn, 0, 0], [0, 0, -1], [0, turn, 0]]  # right, down, forward of the lidar's axes
    K = torch.tensor([[50.0, 0, 50], [0, 50, 30], [0, 0, 1]], dtype=torch.float64)
    return Camera(name, torch.from_numpy(T), K, (60, 100), lambda: np.zeros((60, 100, 3), np.uint8))


def test_points_that_some_camera_really_sees():
    # ahead free, ahead behind something, behind free, beside both views
    points = torch.tensor([[0.0, 9, 0], [1, 20, 0], [0, -9, 1], [9, 0, 0]])
    hidden = {
        "FRONT": torch.tensor([False, True, False, False]),
        "BACK": torch.tensor([False, False, False, True]),
    }
    cameras = {"FRONT": ahead("FRONT", 1), "BACK": ahead("BACK", -1)}
    truth = Truth(torch.full((4,), -1), hidden, lambda name: None)
    sensor = Sensor("lidar", 0.0, 1.0)
    keyframe = Keyframe("t", "s", points, torch.zeros(4), cameras, sensor, NUSCENES, truth=truth)
    assert bench.seen_points(keyframe).tolist() == [0, 1, 2]
    assert bench.unhidden_points(keyframe).tolist() == [0, 2]
    hidden["FRONT"][1] = False
    assert bench.unhidden_points(keyframe).tolist() == [0, 1, 2]


def test_a_class_that_does_not_occur_has_no_row():
    car, bus = (NUSCENES.names.index(name) for name in ("car", "bus"))
    confusion = torch.zeros(16, 16, dtype=torch.int64)
    confusion[car, car], confusion[car, bus], confusion[bus, car] = 3, 1, 4
    rows = list(bench._class_rows("street", ProbeResult(confusion, NUSCENES)))
    # car: 3 hits of 3 + 1 missed + 4 wrongly called so; no truck is labelled, so it has no row
    assert {row.name: row.value for row in rows} == {"street, car": 37.5, "street, bus": 0.0}


def test_rooted_features_keep_their_signs_and_rows():
    feat = torch.tensor([[4.0, -9.0, 0.0], [0.25, 1.0, -100.0]])
    points, sensor = torch.zeros(6, 3), Sensor("lidar", 0.0, 1.0)
    keyframe = Keyframe("t", "s", points, torch.zeros(6), {}, sensor, NUSCENES)
    rows, roots = bench.rooted(lambda keyframe: (torch.tensor([5, 2]), feat))(keyframe)
    assert rows.tolist() == [5, 2]
    assert roots.tolist() == [[2.0, -3.0, 0.0], [0.5, 1.0, -10.0]]


@pytest.mark.parametrize("stages, dim", [((3, 4), 432), (bench.FINE, 496)])
def test_the_finer_teacher_adds_the_stages_of_stride_4_and_8(stages, dim):
    # EfficientNet-Lite0: 16, 24, 40, 112, 320 channels at strides 2 to 32
    teacher = bench.Teacher(layer=stages)
    assert teacher.dim == dim
    strides = [teacher.network.feature_info[index]["reduction"] for index in stages]
    assert strides == [4, 8, 16, 32][-len(stages) :]


def test_the_wide_street_holds_out_scenes_that_are_not_learned_from():
    wide = Street(**bench.WIDE)
    parts = split(wide)
    learned, held_out = ({wide.scenes[i] for i in part} for part in (parts.train, parts.held_out))
    assert len(learned) == 105 and len(held_out) == 35 and not learned & held_out
