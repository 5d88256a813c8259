"""The example point: on the class where labels are known, else about a metre above the ground."""

from dataclasses import replace

import pytest
import torch

from kit.data import open_dataset
from kit.data.examples import example_point


@pytest.fixture(scope="module")
def keyframe():
    return open_dataset("street", num_scenes=1, image_size=(28, 56))[0]


def test_it_is_the_point_on_a_car_nearest_to_12_metres(keyframe):
    index = example_point(keyframe)
    assert keyframe.classes.names[keyframe.labels[index]] == "car"
    on_cars = keyframe.points[keyframe.labels == keyframe.classes.names.index("car")]
    off = (on_cars[:, :2].norm(dim=1) - 12).abs()
    found = (keyframe.points[index, :2].norm() - 12).abs()
    assert found == pytest.approx(float(off.min()), abs=1e-4)


def test_it_is_among_the_points_that_may_be_chosen(keyframe):
    among = torch.arange(100, 200)
    assert 100 <= example_point(keyframe, among) < 200


def test_without_labels_it_is_about_a_metre_above_the_road(keyframe):
    unlabelled = replace(keyframe, labels=None)
    index = example_point(unlabelled)
    near = keyframe.points[keyframe.points[:, :2].norm(dim=1) < 20, 2]
    assert 0.6 < keyframe.points[index, 2] - near.quantile(0.1) < 1.4


def test_on_a_slope_it_is_about_a_metre_above_the_ground_below_it(keyframe):
    slope = torch.tensor([0.0, 0.0, 1.0]) * 0.12 * keyframe.points[:, 1:2]
    sloping = replace(keyframe, labels=None, points=keyframe.points + slope)
    far = (keyframe.points[:, 1] > 10).nonzero()[:, 0]  # where the slope matters
    index = example_point(sloping, far, distance=15.0)
    near = keyframe.points[keyframe.points[:, :2].norm(dim=1) < 20, 2]
    assert 0.5 < keyframe.points[index, 2] - near.quantile(0.1) < 1.5
