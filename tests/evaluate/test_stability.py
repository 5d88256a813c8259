"""Changes of a scan, and features whose change is known."""

import pytest
import torch

from kit.data import open_dataset
from kit.evaluate.stability import CHANGES, moved, self_similarity
from kit.features.spaces import Features, Space
from kit.projection import find_pairs


@pytest.fixture(scope="module")
def keyframe():
    return open_dataset("street", num_scenes=1, keyframes_per_scene=2, image_size=(56, 112))[0]


def features_by(function, dim):
    def source(keyframe):
        feat, count = function(keyframe), len(keyframe.points)
        return Features(Space("made", dim, "made"), feat, torch.arange(count), count)

    return source


def test_a_moved_keyframe_has_the_same_pairs_and_global_points(keyframe):
    angle = torch.tensor(0.7, dtype=torch.float64)
    T = torch.eye(4, dtype=torch.float64)
    T[:2, :2] = torch.stack(
        [torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])]
    )
    T[:3, 3] = torch.tensor([3.0, -2.0, 0.5])
    other = moved(keyframe, T)
    assert (other.points - keyframe.points).norm(dim=1).median() > 1
    before, after = (find_pairs(k.points, k.cameras) for k in (keyframe, other))
    assert len(before) > 1000 and abs(len(after) - len(before)) < 5
    if torch.equal(before.point, after.point):
        assert (before.uv - after.uv).abs().max() < 0.01

    def in_world(k):
        return k.points.double() @ k.T_global_lidar[:3, :3].T + k.T_global_lidar[:3, 3]

    assert (in_world(keyframe) - in_world(other)).abs().max() < 1e-3


def test_features_of_the_height_do_not_change_when_the_scan_is_turned_or_moved(keyframe):
    source = features_by(lambda k: torch.stack([k.points[:, 2], torch.ones(len(k.points))], 1), 2)
    found = self_similarity(source, keyframe)
    assert found.keys() == CHANGES.keys()
    assert all(value == pytest.approx(1, abs=1e-5) for value in found.values())


def test_features_of_the_place_change_as_computed_by_hand(keyframe):
    found = self_similarity(features_by(lambda k: k.points, 3), keyframe)
    x, y, z = keyframe.points.double().unbind(1)
    square = x**2 + y**2 + z**2
    turned = ((z**2 - x**2 - y**2) / square).mean()
    assert found["turned by 180 degrees"] == pytest.approx(float(turned), abs=1e-4)
    assert found["turned by 90 degrees"] == pytest.approx(float((z**2 / square).mean()), abs=1e-4)
    assert found["every second beam"] == pytest.approx(1, abs=1e-5)


def test_every_second_beam_is_half_of_the_points(keyframe):
    thinned, kept = CHANGES["every second beam"](keyframe)
    assert 0.35 < len(kept) / len(keyframe.points) < 0.65
    assert torch.equal(thinned.points, keyframe.points[kept])


def test_one_decibel_is_a_quarter_more(keyframe):
    brighter, _ = CHANGES["1 dB more intensity"](keyframe)
    assert torch.allclose(brighter.intensity, keyframe.intensity * 1.2589, rtol=1e-4)
