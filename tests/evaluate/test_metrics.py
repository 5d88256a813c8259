"""Evaluation metrics against hand values and scikit-learn, and the annotations they need."""

import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score

from kit.data.annotations import Box
from kit.data.classes import IGNORE, NUSCENES
from kit.data.keyframe import Keyframe, Sensor
from kit.evaluate.annotated import annotated_foreground, annotated_objects
from kit.evaluate.metrics import average_precision, object_recall, overlap
from kit.street.dataset import Street


def test_average_precision_by_hand():
    # in order of the score: wanted, not wanted, wanted: (1/1 + 2/3) / 2
    score, wanted = torch.tensor([0.1, 0.9, 0.5]), torch.tensor([True, True, False])
    assert average_precision(score, wanted) == pytest.approx((1 + 2 / 3) / 2)
    assert torch.tensor(average_precision(score, torch.zeros(3, dtype=torch.bool))).isnan()


def test_overlap_agrees_with_scikit_learn_and_is_zero_for_nothing():
    generator = torch.Generator().manual_seed(0)
    predicted, wanted = (torch.rand(50, generator=generator) > t for t in (0.3, 0.6))
    found = overlap(predicted, wanted)
    assert found.f1 == pytest.approx(f1_score(wanted, predicted))
    assert found.iou == pytest.approx(jaccard_score(wanted, predicted))
    nothing = torch.zeros(50, dtype=torch.bool)
    assert overlap(nothing, nothing).f1 == overlap(nothing, wanted).iou == 0


def keyframe(labels=None, boxes=()):
    points = torch.tensor([[0.0, 0, 0], [5.0, 0, 0], [9.0, 0, 0]])
    labels = None if labels is None else torch.tensor(labels)
    sensor = Sensor("l", 0.0, 1.0)
    return Keyframe("t", "s", points, torch.zeros(3), {}, sensor, NUSCENES, labels, boxes=boxes)


def box(x, size):
    T = torch.eye(4, dtype=torch.float64)
    T[0, 3] = x
    return Box("thing", "", 3, T, (size, size, size), "a")


def test_foreground_is_read_from_labels_else_from_boxes():
    car, road = NUSCENES.names.index("car"), NUSCENES.names.index("driveable_surface")
    wanted, scored = annotated_foreground(keyframe([car, road, IGNORE], (box(9.0, 1.0),)))
    assert wanted.tolist() == [True, False, False] and scored.tolist() == [True, True, False]
    wanted, scored = annotated_foreground(keyframe(None, (box(9.0, 1.0),)))
    assert wanted.tolist() == [False, False, True] and scored.all()
    with pytest.raises(ValueError, match="neither labels nor boxes"):
        annotated_foreground(keyframe())
    street = Street(1, 1, image_size=(64, 128))[0]
    assert torch.equal(annotated_foreground(street)[0], street.annotations.object_of_point >= 0)


def test_a_point_in_two_boxes_belongs_to_the_smaller():
    assert annotated_objects(keyframe(None, (box(5.0, 1.0), box(4.0, 9.0)))).tolist() == [1, 0, -1]
    assert annotated_objects(keyframe(None, (box(4.0, 9.0), box(5.0, 1.0)))).tolist() == [0, 1, -1]


def test_an_object_is_found_if_half_of_both_agree():
    annotated = torch.tensor([0] * 4 + [1] * 4 + [2] + [-1] * 3)
    # Object 0: 3 of 4 points in found object 5, which has one more: 3/5. Object 1 is split in two.
    found = torch.tensor([5, 5, 5, -1, 6, 6, 7, 7, 8, 5, -1, -1])
    assert object_recall(found, annotated, min_points=2) == (2, 2)  # half of object 1 is 0.5
    assert object_recall(found, annotated, 0.55, min_points=2) == (1, 2)
    assert object_recall(found, annotated, min_points=1) == (3, 3)
    assert object_recall(torch.full((12,), -1), annotated, min_points=2) == (0, 2)
