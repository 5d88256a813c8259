"""Augmentations: what they must keep and what they must change."""

import torch

from kit.data.keyframe import Sensor
from kit.student.augment import rotate_flip_scale, vary_sensor


def draw(seed, points):
    return rotate_flip_scale(points, torch.Generator().manual_seed(seed))


def test_shape_is_kept_up_to_one_scale_between_0_9_and_1_1():
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    before = torch.pdist(points)
    for seed in range(50):
        ratio = torch.pdist(draw(seed, points)) / before
        assert torch.allclose(ratio, ratio[0].expand_as(ratio), rtol=1e-4)
        assert 0.9 <= ratio[0] <= 1.1


def test_z_is_only_scaled():
    points = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, -6.0]])
    for seed in range(20):
        ratio = draw(seed, points)[:, 2] / points[:, 2]
        assert torch.allclose(ratio[0], ratio[1]) and ratio[0] > 0


def test_two_of_three_scans_are_mirrored():
    corner = torch.eye(3)
    mirrored = [torch.linalg.det(draw(seed, corner)) < 0 for seed in range(600)]
    assert 0.6 < sum(mirrored) / 600 < 0.73


def test_every_direction_is_reached():
    ahead = torch.tensor([[0.0, 1.0, 0.0]])
    turned = torch.cat([draw(seed, ahead) for seed in range(400)])
    quadrant = (turned[:, 0] > 0).long() * 2 + (turned[:, 1] > 0)
    assert torch.bincount(quadrant, minlength=4).min() > 60


def test_the_same_seed_gives_the_same_points():
    points = torch.randn(5, 3)
    assert torch.equal(draw(3, points), draw(3, points))
    assert not torch.equal(draw(3, points), draw(4, points))


SENSOR = Sensor("lidar", intensity_mean=20.0, intensity_std=10.0)


def varied(seed):
    generator = torch.Generator().manual_seed(0)
    points = 20 * torch.randn(500, 3, generator=generator)
    intensity = 100 * torch.rand(500, generator=generator) ** 3
    before = points.clone(), intensity.clone()
    changed = vary_sensor(points, intensity, SENSOR, torch.Generator().manual_seed(seed))
    assert torch.equal(points, before[0]) and torch.equal(intensity, before[1])
    return points, intensity, *changed


def test_another_sensor_keeps_distances_and_the_order_of_intensities():
    for seed in range(40):
        points, intensity, moved, changed = varied(seed)
        assert torch.allclose(torch.pdist(moved), torch.pdist(points), atol=1e-3)
        assert (changed[intensity.argsort()].diff() >= -1e-4).all()


def test_another_sensor_is_tilted_by_2_degrees_and_lifted_by_30_cm():
    changes = [(moved - points, points) for points, _, moved, _ in map(varied, range(300))]
    lift = torch.stack([change[:, 2].median() for change, _ in changes])
    slope = torch.stack(
        [torch.linalg.lstsq(p[:, :2], (c[:, 2:] - c[:, 2].median()))[0][0, 0] for c, p in changes]
    )
    assert 0.25 < lift.std() < 0.35 and abs(lift.mean()) < 0.06
    assert 1.6 < slope.std().atan().rad2deg() < 2.4


def test_a_fifth_of_other_sensors_has_no_intensity():
    changed = [varied(seed)[3] for seed in range(300)]
    constant = sum(bool((each == SENSOR.intensity_mean).all()) for each in changed)
    assert 40 < constant < 80
    others = torch.cat([each for each in changed if each.std() > 0])
    assert 15 < others.mean() < 25 and 9 < others.std() < 14
