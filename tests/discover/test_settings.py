"""Settings of discovery: every field is documented, checked, and changes a result."""

import inspect
import re
from dataclasses import fields, replace

import pytest
import torch
from handmade import block, features, ground, shell

from kit.data.classes import NUSCENES
from kit.data.keyframe import Keyframe, Sensor
from kit.discover import DiscoverConfig, find_foreground, find_objects
from kit.features.spaces import Space


def test_every_field_is_documented_by_itself():
    text = inspect.getdoc(DiscoverConfig).partition("Attributes:")[2].partition("Raises:")[0]
    documented = re.findall(r"^    (\w+): ", text, re.MULTILINE)
    assert documented == [field.name for field in fields(DiscoverConfig)]


@pytest.mark.parametrize("field", [field.name for field in fields(DiscoverConfig)])
def test_a_value_below_its_range_is_named(field):
    if field == "seed":
        assert DiscoverConfig(seed=-1).seed == -1
        return
    kind = type(getattr(DiscoverConfig(), field))
    for value in (-1, "nan") if kind is float else (-1,):
        with pytest.raises(ValueError, match=f"^{field} must be "):
            DiscoverConfig(**{field: kind(value)})


@pytest.mark.parametrize("field", [field.name for field in fields(DiscoverConfig)])
def test_a_value_above_its_range_is_named(field):
    kind = type(getattr(DiscoverConfig(), field))
    for value in ("inf", 1e30) if kind is float else (10**30,):
        with pytest.raises(ValueError, match=f"^{field} must be .* got "):
            DiscoverConfig(**{field: kind(value)})


def test_the_heights_of_movable_objects_are_in_order():
    with pytest.raises(ValueError, match="max_height must be above min_height = 2.0, got 1.0"):
        DiscoverConfig(min_height=2.0, max_height=1.0)


def scene():
    """Inclined ground, cars, a hedge, a wall, a tree, the own vehicle, a small and a long thing."""
    parts = [
        ground(60.0, 1.0),
        shell(5.0, 5.0, count=1500),
        shell(5.0, 7.4, count=600, seed=1),
        block(-6.0, 3.0, 6.0, 1.5, 1.6, count=1500),
        shell(0.0, 12.0, 30.0, 0.4, 3.6, count=3000),
        block(-8.0, -8.0, 2.0, 2.0, 4.5, count=900),
        block(0.0, 0.0, 1.2, 1.0, 1.7, count=200),
        block(8.0, -5.0, 0.4, 0.4, 0.7, count=10),
        shell(-10.0, -14.0, 20.0, 0.3, 1.2, count=900),
        shell(30.0, 30.0, 4.0, 1.8, 1.5, count=120),
    ]
    points = torch.cat(parts)
    number = torch.cat([torch.full((len(part),), i) for i, part in enumerate(parts)])
    noise = torch.randn(len(points), 3, generator=torch.Generator().manual_seed(0))
    points = points + 0.03 * noise
    points[:, 2] += 0.0005 * points[:, :2].norm(dim=1) ** 2  # the ground bends up
    return points, number


CHANGES = {
    "ground_radius": 8.0,
    "ground_cell": 6.0,
    "ground_node": 20.0,
    "ground_stiffness": 1e6,
    "ground_tolerance": 0.4,
    "column_cell": 2.0,
    "min_height": 0.9,
    "max_height": 1.2,
    "max_top": 1.0,
    "tall_top": 1.2,
    "max_surface_variation": 0.005,
    "component_floor": 0.6,
    "component_gap": 1.2,
    "component_gap_per_metre": 0.1,
    "max_component_length": 3.0,
    "component_neighbours": 2,
    "surface_neighbours": 6,
    "surface_voxel": 0.6,
    "rounds": 0,
    "examples": 5,
    "seed": 1,
}
OBJECT_CHANGES = {
    "ground_stiffness": 1e6,
    "object_floor": 0.8,
    "own_radius": 0.1,
    "object_gap": 2.0,
    "object_min_points": 5,
    "max_object_length": 15.0,
}


@pytest.fixture(scope="module")
def keyframe():
    points, number = scene()
    generator = torch.Generator().manual_seed(1)
    feat = torch.eye(10)[number] + 0.8 * torch.randn(len(number), 10, generator=generator)
    sensor = Sensor("l", 0.0, 1.0)
    frame = Keyframe("t", "s", points, torch.zeros(len(points)), {}, sensor, NUSCENES)
    return frame, features(feat.tolist(), space=Space("a", 10, "a"))


def test_every_field_is_tried_below():
    others = {"prior"}  # needs features of the teacher's space: tests/discover/test_prior.py
    known = {*CHANGES, *OBJECT_CHANGES} | others
    assert known == {field.name for field in fields(DiscoverConfig)}


@pytest.mark.parametrize("field", CHANGES)
def test_every_setting_changes_the_foreground(keyframe, field):
    frame, feat = keyframe
    # Few examples, for a draw to matter.
    config = DiscoverConfig(examples=500)
    changed = find_foreground(frame, feat, replace(config, **{field: CHANGES[field]}))
    assert not torch.equal(changed, find_foreground(frame, feat, config))


@pytest.mark.parametrize("field", OBJECT_CHANGES)
def test_every_setting_of_objects_changes_them(field):
    points, number = scene()
    config = DiscoverConfig()
    found = find_objects(points, number > 0, config)
    changed = find_objects(points, number > 0, replace(config, **{field: OBJECT_CHANGES[field]}))
    assert not torch.equal(changed.object_of_point, found.object_of_point)
