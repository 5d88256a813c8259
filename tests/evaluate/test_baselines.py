"""The baselines: one position for every comparison, and random weights."""

import pytest
import torch

import kit
from kit.data.classes import NUSCENES
from kit.data.keyframe import Keyframe, Sensor
from kit.evaluate.probe import ProbeConfig
from kit.student.scans import point_features


@pytest.fixture(scope="module")
def street():
    return kit.Street(1, 2, image_size=(28, 56))


def test_position_by_hand(street):
    keyframe = street[0]
    feat = kit.position(keyframe)
    x, y, z = keyframe.points.T
    distance = keyframe.points.norm(dim=1)
    intensity = (
        keyframe.intensity - keyframe.sensor.intensity_mean
    ) / keyframe.sensor.intensity_std
    expected = torch.stack([intensity, x / 64, y / 64, z / 8, distance / 64, torch.ones(len(x))], 1)
    assert torch.allclose(feat, expected, atol=1e-6)


def test_position_at_unit_length_still_tells_near_from_far():
    """Two points in the same direction, 5 m and 50 m away: without the constant they are equal."""
    points = torch.tensor([[3.0, 4.0, 0.0], [30.0, 40.0, 0.0]])
    sensor = Sensor("lidar", 0.0, 1.0)
    keyframe = Keyframe("t", "s", points, torch.zeros(2), {}, sensor, NUSCENES)
    near, far = kit.extract(kit.position, keyframe).unit
    assert near @ far < 0.8


def raw_inputs(keyframe):
    return point_features(keyframe.points, keyframe.intensity, keyframe.sensor)


def test_a_linear_probe_does_not_see_the_scaling(street):
    """BatchNorm undoes it, and the constant has no variance: the mIoU is that of the raw inputs."""
    config = ProbeConfig(steps=100, points_per_keyframe=20_000)
    miou = [
        kit.probe_dataset(kit.source(baseline), street, [0], [1], config).miou
        for baseline in (kit.position, raw_inputs)
    ]
    assert miou[0] == pytest.approx(miou[1], abs=0.003)
    assert miou[0] > 0.1


def test_a_random_student_has_the_settings_and_other_weights():
    student = kit.build_student("wi-6-64", 12, depth=2, width=8, seed=5)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    state = torch.random.get_rng_state()
    random = kit.random_student(student)
    assert random.config == student.config and not random.training
    assert not torch.equal(random.classif.weight, student.classif.weight)
    assert torch.equal(random.classif.weight, kit.random_student(student).classif.weight)
    assert not torch.equal(random.classif.weight, kit.random_student(student, 1).classif.weight)
    assert random.distilled_from is None
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())
    assert torch.equal(state, torch.random.get_rng_state())
