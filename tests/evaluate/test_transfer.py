"""Common classes of data sets, and scores of a probe on parts of other scans."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from kit.data import open_dataset
from kit.data.annotations import Box
from kit.data.class_maps import ARGOVERSE2, KITTI_OBJECTS, PANDASET, RELLIS, SEMANTIC_KITTI
from kit.data.classes import IGNORE, NUSCENES
from kit.data.keyframe import Keyframe, Sensor
from kit.evaluate.annotated import annotated_foreground, common_labels, groups_to_find
from kit.evaluate.common_classes import GROUPS, MOVABLE, OTHER, group_of_class
from kit.evaluate.metrics import average_precision
from kit.evaluate.transfer import (
    Extracted,
    Reading,
    changed_scores,
    confusions,
    extractor,
    fit_common,
    parts_of,
)
from kit.features.spaces import Features, Space


@pytest.fixture(scope="module")
def street():
    return open_dataset("street", num_scenes=1, keyframes_per_scene=2, image_size=(56, 112))


def keyframe(points, labels=None, boxes=(), classes=NUSCENES):
    points = torch.tensor(points, dtype=torch.float32)
    labels = None if labels is None else torch.tensor(labels)
    sensor = Sensor("made", 1.0, 1.0)
    return Keyframe(
        "k", "s", points, torch.ones(len(points)), {}, sensor, classes, labels, boxes=boxes
    )


def box(x, label):
    T = torch.eye(4, dtype=torch.float64)
    T[0, 3] = x
    return Box("b", "", label, T, (2.0, 2.0, 2.0), "b")


def features_of(function):
    """Features by a function of a keyframe, as an extractor gives them."""

    def get(keyframe):
        feat, count = function(keyframe), len(keyframe.points)
        found = Features(Space("made", feat.shape[1], "m"), feat, torch.arange(count), count)
        return Extracted(found, found)

    return get


def one_hot(keyframe):
    return nn.functional.one_hot(common_labels(keyframe).clamp(max=OTHER), OTHER + 1).float()


@pytest.mark.parametrize(
    ("classes", "name", "group"),
    [
        (NUSCENES, "driveable_surface", "road"),
        (NUSCENES, "construction_vehicle", "truck"),
        (NUSCENES, "traffic_cone", None),
        (SEMANTIC_KITTI, "traffic-sign", "built"),
        (SEMANTIC_KITTI, "bicyclist", "two-wheeler"),
        (SEMANTIC_KITTI, "other-ground", None),
        (RELLIS, "bush", "vegetation"),
        (PANDASET, "driveway", "sidewalk"),
        (KITTI_OBJECTS, "person sitting", "person"),
        (ARGOVERSE2, "BOX_TRUCK", "truck"),
        (ARGOVERSE2, "REGULAR_VEHICLE", "car"),
    ],
)
def test_classes_belong_to_groups(classes, name, group):
    found = int(group_of_class(classes)[classes.names.index(name)])
    assert found == (OTHER if group is None else GROUPS.index(group))
    assert group_of_class(classes)[IGNORE] == IGNORE


def test_common_labels_come_from_labels_or_from_boxes(street):
    car, cone = NUSCENES.names.index("car"), NUSCENES.names.index("traffic_cone")
    labelled = keyframe([[0.0, 0, 0]] * 3, [car, cone, IGNORE])
    assert common_labels(labelled).tolist() == [GROUPS.index("car"), OTHER, IGNORE]
    assert groups_to_find(labelled) == GROUPS
    boxed = keyframe([[5.0, 0, 0], [9.0, 0, 0], [20.0, 0, 0]], None, (box(5, car), box(9, cone)))
    assert common_labels(boxed).tolist() == [GROUPS.index("car"), OTHER, OTHER]
    assert groups_to_find(boxed) == MOVABLE
    with pytest.raises(ValueError, match="neither labels nor boxes"):
        common_labels(keyframe([[0.0, 0, 0]]))


def test_boxes_of_one_image_say_nothing_about_points_outside_of_it(street):
    camera = {"CAM_FRONT": street[0].cameras["CAM_FRONT"]}
    boxes = (box(1e3, 0),)
    alone = replace(street[0], cameras=camera, labels=None, boxes=boxes, annotations=None)
    alone = replace(alone, classes=KITTI_OBJECTS)
    labels = common_labels(alone)
    parts = parts_of(alone)
    assert torch.equal(labels == IGNORE, parts["seen by no camera"])
    assert (labels[parts["seen by a camera"]] == OTHER).all()


def test_movable_things_of_every_data_set_are_foreground():
    names = SEMANTIC_KITTI.names
    labels = [names.index(n) for n in ("person", "other-vehicle", "bicyclist", "pole")] + [IGNORE]
    wanted, scored = annotated_foreground(
        keyframe([[0.0, 0, 0]] * 5, labels, classes=SEMANTIC_KITTI)
    )
    assert wanted.tolist() == [True, True, True, False, False]
    assert scored.tolist() == [True] * 4 + [False]


def test_parts_divide_the_points(street):
    parts = parts_of(street[0])
    count = len(street[0].points)
    distance = street[0].points.norm(dim=1)
    assert int(parts["within 15 m"].sum()) == int((distance < 15).sum()) > 0
    for names in (
        ("within 15 m", "15 to 50 m", "beyond 50 m"),
        ("seen by a camera", "seen by no camera"),
        ("in the field of view", "outside of it"),
    ):
        assert torch.stack([parts[name] for name in names]).sum(0).eq(1).all()
    assert parts["all points"].sum() == count
    assert "seen by a camera" not in parts_of(keyframe([[0.0, 0, 0]], [0]))


def test_a_probe_of_one_keyframe_is_read_on_another(street):
    head = fit_common(features_of(one_hot), [street[0]])
    reading = Reading({"x": head}, {"car": lambda f: f.feat[:, GROUPS.index("car")]})
    get = features_of(one_hot)
    reading.add(street[1], get(street[1]))
    assert reading.probe("x").miou > 0.99
    assert reading.probe("x", "beyond 50 m").miou > 0.99
    assert reading.probe("x", "no such part") is None and reading.probe("y") is None
    labels = common_labels(street[1])
    assert reading.probe("x").confusion.sum() == (labels < OTHER).sum()
    if "car" in reading.precision():
        assert reading.precision()["car"] == 1.0


def test_confusions_count_known_points_of_each_part():
    class Head(nn.Module):
        def forward(self, feat):
            return feat

    feat = torch.zeros(4, len(GROUPS))
    feat[[0, 1, 2, 3], [0, 1, 0, 5]] = 1.0
    features = Features(Space("s", len(GROUPS), "s"), feat, torch.tensor([0, 2, 3, 5]), 6)
    labels = torch.tensor([0, 4, 0, OTHER, 4, 5])
    near = torch.tensor([True, True, True, True, False, False])
    found = confusions(Head(), features, labels, {"near": near, "far": ~near})
    assert found["near"].nonzero().tolist() == [[0, 0], [0, 1]]  # label 0 twice, one as group 1
    assert found["far"].nonzero().tolist() == [[5, 5]]


def test_a_query_without_annotated_group_is_left_out():
    points = [[float(i), 0.0, 0.0] for i in range(200)]
    found = keyframe(points, None, (box(5.0, NUSCENES.names.index("car")),))
    score = torch.rand(200)
    reading = Reading({}, {"car": lambda f: score, "road": lambda f: score})
    get = features_of(lambda k: torch.ones(len(k.points), 2))
    reading.add(found, get(found))
    assert reading.precision() == {}  # three points on the car
    wide = replace(found, boxes=tuple(box(3.0 * i, found.boxes[0].label) for i in range(30)))
    reading = Reading({}, {"car": lambda f: score, "road": lambda f: score})
    reading.add(wide, get(wide))
    labels = common_labels(wide)
    wanted, known = labels == GROUPS.index("car"), labels != IGNORE
    assert torch.equal(~known, torch.arange(200) <= 2)  # on the vehicle that carries the lidar
    expected = average_precision(score[known], wanted[known])
    assert reading.precision() == {"car": pytest.approx(expected)}


def test_features_of_a_place_lose_their_probe_when_the_scan_is_turned(street):
    stable = features_of(one_hot)
    head = fit_common(stable, [street[0]])
    found = changed_scores(stable, [street[1]], head)
    assert all(c == pytest.approx(1, abs=1e-5) and miou > 0.99 for c, miou in found.values())
    place = features_of(lambda k: k.points)
    found = changed_scores(place, [street[0]], fit_common(place, [street[0]]))
    assert found["turned by 180 degrees"][0] < 0 < found["moved by 1 m"][0]
    assert found["turned by 180 degrees"][1] < found["1 dB more intensity"][1]


def test_an_extractor_gives_the_last_layer_and_the_head(street):
    import kit

    student = kit.build_student("wi-6-64", 16, depth=2, width=8).eval()
    found = extractor(student)(street[0])
    assert found.inner.feat.shape[1] == 8 and found.head.feat.shape[1] == 16
    assert torch.equal(found.head.feat, kit.extract(student, street[0]).feat)
    both = extractor(kit.position)(street[0])
    assert both.inner is both.head


def test_a_probe_without_labelled_points_is_named():
    get = features_of(lambda k: torch.ones(len(k.points), 2))
    with pytest.raises(ValueError, match="labelled points to train on"):
        fit_common(get, [keyframe([[0.0, 0, 0]], [IGNORE])])
