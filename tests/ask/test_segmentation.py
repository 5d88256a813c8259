"""Segmentation: the best query or none, features of images too, and neighbours."""

import pytest
import torch
from handmade import SPACE, features

from kit.ask.queries import Query
from kit.ask.segmentation import segment
from kit.data.classes import IGNORE, NUSCENES
from kit.data.keyframe import Keyframe, Sensor
from kit.features.spaces import Space


def keyframe_of(count):
    points = torch.arange(3.0 * count).reshape(count, 3)
    return Keyframe("t", "s", points, torch.zeros(count), {}, Sensor("l", 0.0, 1.0), NUSCENES)


def along(axis, bias=0.0, space=SPACE):
    return Query(f"axis {axis}", space, torch.eye(3)[axis], bias, "by hand")


QUERIES = {"car": along(0, -0.5), "bus": along(1, -0.5)}


def test_the_best_query_above_zero_wins_else_none_of_these():
    f = features([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    found = segment(keyframe_of(3), QUERIES, f)
    assert found.labels.tolist() == [0, 1, 2]
    assert found.scores[1].tolist() == pytest.approx([0.1, 0.3])
    assert found.to_classes(NUSCENES).tolist() == [3, 2, IGNORE]
    assert segment(keyframe_of(3), QUERIES, f, threshold=None).labels.tolist()[2] in (0, 1)
    assert segment(keyframe_of(3), QUERIES, f, threshold=0.4).labels.tolist() == [0, 2, 2]


def test_points_without_a_feature_are_ignored():
    f = features([[1.0, 0.0, 0.0]], index=[1], num_points=3)
    assert segment(keyframe_of(3), QUERIES, f).labels.tolist() == [IGNORE, 0, IGNORE]


def test_where_a_point_has_image_features_the_mean_of_both_counts():
    f = features([[0.8, 0.6, 0.0]] * 3)
    seen = features([[0.0, 1.0, 0.0], [0.6, 0.6, 0.5]], index=[0, 2], num_points=3)
    found = segment(keyframe_of(3), QUERIES, f, image_features=seen)
    assert found.labels.tolist() == [1, 0, 0]
    assert found.scores[0].tolist() == pytest.approx([(0.3 - 0.5) / 2, (0.1 + 0.5) / 2])
    only_seen = features([[0.8, 0.6, 0.0]], index=[1], num_points=3)
    assert segment(keyframe_of(3), QUERIES, only_seen, image_features=seen).labels.tolist() == [
        1,
        0,
        0,
    ]


def test_neighbours_outvote_a_point():
    f = features([[1.0, 0.0, 0.0], [0.4, 0.8, 0.0], [1.0, 0.0, 0.0]])
    assert segment(keyframe_of(3), QUERIES, f).labels.tolist() == [0, 1, 0]
    assert segment(keyframe_of(3), QUERIES, f, neighbours=3).labels.tolist() == [0, 0, 0]


def test_otsus_threshold_splits_the_best_scores():
    feat = [[1.0, 0.1 * i, 0.0] for i in range(3)] + [[0.1, 0.1 * i, 1.0] for i in range(3)]
    found = segment(keyframe_of(6), {"car": along(0)}, features(feat), threshold="otsu")
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_wrong_calls_are_named():
    f = features([[1.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="at least one query, got none"):
        segment(keyframe_of(1), {}, f)
    with pytest.raises(ValueError, match="a keyframe with 1 points, this one has 4"):
        segment(keyframe_of(4), QUERIES, f)
    with pytest.raises(ValueError, match="cannot be compared"):
        segment(keyframe_of(1), {"car": along(0, space=Space("b", 3, "b"))}, f)
    with pytest.raises(ValueError, match="threshold must be"):
        segment(keyframe_of(1), QUERIES, f, threshold="best")
    with pytest.raises(ValueError, match="threshold must be .* got NaN"):
        segment(keyframe_of(1), QUERIES, f, threshold=float("nan"))
    with pytest.raises(ValueError, match="neighbours must be at least 0, got -1"):
        segment(keyframe_of(1), QUERIES, f, neighbours=-1)
    with pytest.raises(ValueError, match="at most 254 queries, got 255"):
        segment(keyframe_of(1), {str(n): along(0) for n in range(255)}, f)
    with pytest.raises(ValueError, match=r"\['axis'\] are no classes"):
        segment(keyframe_of(1), {"axis": along(0)}, f).to_classes(NUSCENES)


def test_queries_may_have_other_names_than_classes():
    f = features([[1.0, 0.0, 0.0]])
    found = segment(keyframe_of(1), {"road": along(0)}, f)
    wanted = NUSCENES.names.index("driveable_surface")
    assert found.to_classes(NUSCENES, {"road": "driveable_surface"}).tolist() == [wanted]
