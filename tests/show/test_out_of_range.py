"""Numbers out of range are named in one line by every picture, before anything is drawn."""

import math

import numpy as np
import pytest
import torch
import traitlets
from explorer_scene import keyframe

from kit import show
from kit.data.classes import NUSCENES
from kit.show.arrays import check_colour, robust_limits
from kit.show.picture import Scale
from kit.show.png.render import to_png

FRAME = keyframe(count=60)
POINTS, VALUES = FRAME.points, FRAME.points[:, 2]
LABELS, FEAT = torch.arange(60) % 16, torch.randn(60, 5)
CLOUDS = {
    "points": (POINTS, VALUES),
    "points_from_above": (POINTS, VALUES),
    "labels": (POINTS, LABELS, NUSCENES),
    "errors": (POINTS, LABELS, LABELS, NUSCENES),
}
NAN, INF = math.nan, math.inf


def refused(call, words, kind=ValueError):
    with pytest.raises(kind, match=words) as error:
        call()
    assert "\n" not in str(error.value).strip()


@pytest.mark.parametrize("function", CLOUDS)
@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        *[("size", value, "size must be .* got") for value in (0, -1, NAN, INF, -INF, 1e30)],
        *[("limit", value, "limit must be .* got") for value in (0, -1, NAN, -INF, 1e-30)],
        *[("max_points", value, "max_points must be at least 1, got") for value in (0, -1)],
    ],
)
def test_sizes_limits_and_counts(function, option, value, words):
    refused(lambda: getattr(show, function)(*CLOUDS[function], **{option: value}), words)


@pytest.mark.parametrize("limits", [(NAN, 1.0), (0.0, NAN), (-INF, 1.0), (0.0, INF), (1e30, 1e300)])
def test_ends_of_a_scale(limits):
    refused(lambda: show.points(POINTS, VALUES, limits=limits), "(low|high) must be .* got")


@pytest.mark.parametrize("value", [0.0, 1e30, -1e30, 1e36])
def test_a_scale_of_equal_numbers_has_two_ends(value):
    low, high = robust_limits(np.full(60, value, dtype=np.float32))
    assert low < value < high and np.float32(low) < np.float32(high)
    assert to_png(show.points(POINTS, torch.full((60,), value)), 200, 200)


def test_a_number_that_float32_does_not_hold_is_refused():
    refused(
        lambda: check_colour(np.array([1.0, 1e300]), 2), "colour: 1 of 2 numbers are NaN or inf"
    )
    refused(lambda: Scale("value", 0.0, 1e38), "high must be a number, at least -1e.37")


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"miou": "x", "iou": {}}, r"the IoU of mIoU must be in \[0, 1\] or None, got x"),
        ({"miou": NAN, "iou": {}}, "must be in .* got nan"),
        ({"miou": 0.1, "iou": [1]}, r"iou must be numbers by class, got \[1\]"),
    ],
)
def test_results_that_are_no_numbers(result, words):
    refused(lambda: show.iou_bars({"a": result}), words)


def test_a_result_without_scored_classes_is_drawn():
    figure = show.iou_bars({"a": {"miou": None, "iou": {"car": None}}})
    assert figure.data[0].name == "a, mIoU unknown" and to_png(figure, 300, 260)


@pytest.mark.parametrize(
    "view",
    [
        {},
        {"target": [0, 0, 0]},
        {"target": [NAN, 0, 0], "distance": 5, "azimuth": 0, "elevation": 0, "fov": 50},
        {"target": [0, 0], "distance": 5, "azimuth": 0, "elevation": 0, "fov": 50},
        {"target": [0, 0, 0], "distance": 0, "azimuth": 0, "elevation": 0, "fov": 50},
        {"target": [0, 0, 0], "distance": 5, "azimuth": INF, "elevation": 0, "fov": 50},
        {"target": [0, 0, 0], "distance": 5, "azimuth": 0, "elevation": 0, "fov": 180},
    ],
)
def test_views_of_the_explorer(view):
    refused(lambda: show.Explorer(FRAME, view=view), "view needs target", traitlets.TraitError)


@pytest.mark.parametrize("size", [(0, 0), (-1, 50), (100, 10**6)])
def test_sizes_of_the_explorers_picture(size, tmp_path):
    explorer = show.Explorer(FRAME)
    refused(lambda: explorer.save_png(tmp_path / "a.png", size), "image_size must be 16 to 16,384")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("channels", [0, -4, 3, 10**9])
def test_channels_of_the_explorer(channels):
    refused(lambda: show.Explorer(FRAME, {"a": FEAT}, channels=channels), "channels must be")
