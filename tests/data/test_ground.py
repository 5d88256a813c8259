"""Heights above a ground that is not a plane, where the ground is known."""

import math

import pytest
import torch
from handmade import ground, shell

from kit.data.ground import Ground, height_above_ground
from kit.discover.settings import DiscoverConfig
from kit.discover.shape import Geometry, shape_score


def hill(x, y):
    """A hill of 1.5 m, 60 m long, on a slope; and an embankment beside the road."""
    return 0.75 * torch.cos(2 * math.pi * x / 60) + 0.04 * y + 0.8 * torch.sigmoid((y - 14) / 1.5)


def bent(points):
    """The points, moved up and down with the ground under them."""
    points = points.clone()
    points[:, 2] += hill(points[:, 0], points[:, 1])
    return points


def scene():
    """Ground, two cars on it; and which points are on the ground."""
    parts = [ground(half=40.0), shell(20.0, 5.0, count=1500), shell(-15.0, -8.0, count=1500)]
    on_ground = torch.cat([torch.full((len(part),), i == 0) for i, part in enumerate(parts)])
    return torch.cat(parts), on_ground


def test_heights_on_a_bent_ground_are_those_of_the_flat_scene():
    points, on_ground = scene()
    flat, height = height_above_ground(points), height_above_ground(bent(points))
    assert height[on_ground].abs().quantile(0.99) < 0.1
    assert (height - flat)[~on_ground].abs().max() < 0.2


def test_a_plane_alone_is_wrong_there_by_half_a_metre():
    points, on_ground = scene()
    height = height_above_ground(bent(points), Ground(stiffness=1e9))
    assert height[on_ground].abs().quantile(0.99) > 0.5


def test_echoes_far_below_the_ground_do_not_bend_it():
    points, on_ground = scene()
    below = points[on_ground][::997] - torch.tensor([0.0, 0.0, 4.0])
    height = height_above_ground(torch.cat([bent(points), bent(below)]))
    assert height[: len(points)][on_ground].abs().quantile(0.99) < 0.1


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.37, -0.81), (3.0, 2.0)])
def test_heights_hardly_depend_on_where_the_grid_lies(offset):
    points, on_ground = scene()
    moved = points + torch.tensor([*offset, 0.0])
    difference = height_above_ground(bent(moved)) - height_above_ground(moved)
    assert difference.abs().quantile(0.99) < 0.2


def test_a_long_low_wall_is_no_foreground_and_a_car_is():
    car, wall = shell(5.0, 5.0, count=1500), shell(0.0, 12.0, 30.0, 0.4, 1.5, count=20000)
    points = torch.cat([ground(), car, wall])
    score = shape_score(Geometry.of(points))
    of_car, of_wall = score[-21500:-20000], score[-20000:]
    assert (of_car > 0).float().mean() > 0.5 and (of_wall > 0).float().mean() < 0.01
    longer = DiscoverConfig(max_component_length=40.0)
    assert (shape_score(Geometry.of(points, longer))[-20000:] > 0).float().mean() > 0.5
