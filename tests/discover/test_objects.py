"""Objects: clusters in space, boxes around them, and classes without names."""

import math

import numpy as np
import pytest
import torch
from handmade import block, features, ground

from kit.data.classes import IGNORE
from kit.discover.objects import box_around, find_objects, object_features, unsupervised_classes


def scene():
    """Two cars on the ground, and a foreground that includes the ground below them."""
    parts = [ground(), block(5.0, 5.0, seed=1), block(-6.0, 3.0, angle=0.5, seed=2)]
    points = torch.cat(parts)
    number = torch.cat([torch.full((len(p),), i - 1) for i, p in enumerate(parts)])
    under = (number < 0) & (points[:, :2].abs() < 8).all(1)
    return points, number, (number >= 0) | under


def test_two_cars_are_two_objects_though_the_ground_joins_them():
    points, number, foreground = scene()
    objects = find_objects(points, foreground)
    assert len(objects) == 2
    for car in (0, 1):
        upper = (number == car) & (points[:, 2] > -1.8 + 0.3)
        found = objects.object_of_point[upper]
        assert (found >= 0).float().mean() > 0.95 and found[found >= 0].unique().numel() == 1
    assert (objects.object_of_point[number < 0] == -1).all()


def test_the_vehicle_that_carries_the_lidar_is_no_object():
    points, _, foreground = scene()
    own = block(0.0, 0.0, length=1.2, width=1.0, height=1.7)
    beside = block(-2.1, 0.0, length=0.6, width=0.6, height=1.0, count=100)
    with_own = torch.cat([points, beside, own])
    objects = find_objects(with_own, torch.cat([foreground, torch.ones(len(own) + 108) > 0]))
    assert len(objects) == 3 and (objects.object_of_point[-len(own) :] == -1).all()


def test_a_box_has_the_size_the_place_and_the_heading_of_a_block():
    points = block(5.0, -3.0, length=4.0, width=2.0, height=1.5, angle=0.5)
    box = box_around(points, "b")
    assert box.size == pytest.approx((4.0, 2.0, 1.5), abs=0.02)
    assert box.T_lidar_box[:3, 3].tolist() == pytest.approx([5.0, -3.0, -1.05], abs=0.02)
    heading = math.atan2(box.T_lidar_box[1, 0], box.T_lidar_box[0, 0]) % math.pi
    assert heading == pytest.approx(0.5, abs=0.01)
    assert box.contains(points, 0.02).all() and box.label == IGNORE


def test_no_other_heading_gives_a_smaller_box():
    """By trying every heading, in steps of a tenth of a degree."""
    flat = torch.randn(40, 2, generator=torch.Generator().manual_seed(3)) * torch.tensor([3.0, 1.0])
    points = torch.cat([flat + 20, torch.zeros(40, 1)], 1)
    box = box_around(points, "b")
    angles = torch.arange(0, torch.pi, 0.001745)
    x = flat @ torch.stack([angles.cos(), angles.sin()])  # (40, A)
    y = flat @ torch.stack([-angles.sin(), angles.cos()])
    area = (x.amax(0) - x.amin(0)) * (y.amax(0) - y.amin(0))
    assert box.size[0] * box.size[1] == pytest.approx(area.min().item(), rel=2e-3)
    assert box.size[0] >= box.size[1] and box.contains(points, 0.001).all()


@pytest.mark.parametrize("points", [[[1.0, 2, 3]], [[0.0, 0, 0], [1, 1, 0], [2, 2, 0], [3, 3, 0]]])
def test_points_in_a_line_have_a_thin_box(points):
    box = box_around(torch.tensor(points), "b")
    assert box.contains(torch.tensor(points), 0.05).all() and min(box.size) >= 0.05


def test_no_foreground_has_no_object_and_all_foreground_the_same_two():
    points, _, _ = scene()
    nothing = find_objects(points, torch.zeros(len(points), dtype=torch.bool))
    assert len(nothing) == 0 and (nothing.object_of_point == -1).all()
    everything = find_objects(points, torch.ones(len(points), dtype=torch.bool))
    assert len(everything) == 2


def test_long_walls_and_few_points_are_no_objects():
    wall = block(0.0, 10.0, length=38.0, width=0.3, count=6000)
    few = block(3.0, -5.0, length=0.2, width=0.2, height=0.6, count=4)
    points = torch.cat([ground(), wall, few])
    foreground = torch.arange(len(points)) >= len(ground())
    assert len(find_objects(points, foreground)) == 0


def test_features_of_an_object_are_the_mean_of_its_points():
    points, number, foreground = scene()
    objects = find_objects(points, foreground)
    feat = torch.zeros(len(points), 3)
    feat[:, 2] = 1.0
    feat[objects.object_of_point == 0] = torch.tensor([1.0, 0.0, 0.0])
    feat[objects.object_of_point == 1] = torch.tensor([0.0, 1.0, 0.0])
    found = object_features(objects, features(feat.tolist()))
    assert torch.allclose(found, torch.eye(3)[:2])


def test_similar_objects_share_a_class_across_keyframes():
    noise = 0.05 * torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    feat = torch.eye(3)[[0, 1, 0, 2, 1, 2, 0, 1]] + noise
    first, second = unsupervised_classes([feat[:3], feat[3:]], num_classes=3)
    assert len(first) == 3 and len(second) == 5
    together = torch.cat([first, second])
    kinds = np.array([0, 1, 0, 2, 1, 2, 0, 1])
    for kind in range(3):
        assert together[kinds == kind].unique().numel() == 1
    assert together.unique().numel() == 3
    assert unsupervised_classes([feat[:1]])[0].tolist() == [0]
    with pytest.raises(ValueError, match="no object"):
        unsupervised_classes([feat[:0]])
