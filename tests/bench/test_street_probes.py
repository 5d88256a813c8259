"""The bench of the street: the points and the stages that its probes are scored with."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from kit.bench import street as bench
from kit.data.annotations import ExactAnnotations
from kit.data.classes import NUSCENES
from kit.data.keyframe import Camera, Keyframe, Sensor
from kit.data.split import split
from kit.evaluate.probe import ProbeResult
from kit.features.spaces import Features, Space
from kit.street.dataset import Street
from kit.teacher.presets import build_teacher


def ahead(name, turn):
    """A camera at the lidar, directed along y (turn 1) or against y (turn -1)."""
    T = np.eye(4)
    T[:3, :3] = [[turn, 0, 0], [0, 0, -1], [0, turn, 0]]  # right, down, forward of the lidar's axes
    K = torch.tensor([[50.0, 0, 50], [0, 50, 30], [0, 0, 1]], dtype=torch.float64)
    return Camera(name, torch.from_numpy(T), K, (60, 100), lambda: np.zeros((60, 100, 3), np.uint8))


def test_points_that_some_camera_sees_and_nothing_hides():
    # Ahead and free, ahead and hidden, behind and free, outside of both views.
    points = torch.tensor([[0.0, 9, 0], [1, 20, 0], [0, -9, 1], [9, 0, 0]])
    hidden = {
        "FRONT": torch.tensor([False, True, False, False]),
        "BACK": torch.tensor([False, False, False, True]),
    }
    cameras = {"FRONT": ahead("FRONT", 1), "BACK": ahead("BACK", -1)}
    exact = ExactAnnotations(torch.full((4,), -1), hidden, lambda name: None)
    sensor = Sensor("lidar", 0.0, 1.0)
    keyframe = Keyframe(
        "t", "s", points, torch.zeros(4), cameras, sensor, NUSCENES, annotations=exact
    )
    assert bench.seen_points(keyframe).tolist() == [0, 1, 2]
    assert bench.unhidden_points(keyframe).tolist() == [0, 2]
    hidden["FRONT"][1] = False
    assert bench.unhidden_points(keyframe).tolist() == [0, 1, 2]


def test_a_class_that_does_not_occur_has_no_row():
    car, bus = (NUSCENES.names.index(name) for name in ("car", "bus"))
    confusion = torch.zeros(16, 16, dtype=torch.int64)
    confusion[car, car], confusion[car, bus], confusion[bus, car] = 3, 1, 4
    rows = list(bench._class_rows("street", ProbeResult(confusion, NUSCENES)))
    # Car: 3 hits of 3 + 1 missed + 4 predicted wrongly. No truck is labelled, so it has no row.
    assert {row.name: row.value for row in rows} == {"street, car": 37.5, "street, bus": 0.0}


def test_features_are_scored_on_the_unhidden_points_of_held_out_scenes():
    street = Street(num_scenes=2, keyframes_per_scene=1, image_size=(56, 112))

    def labels_as_features(keyframe):
        """Perfect on un-hidden points, and zero on hidden ones."""
        feat = torch.eye(17)[keyframe.labels.clamp(min=-1)]
        blank = torch.ones(len(feat), dtype=torch.bool)
        blank[bench.unhidden_points(keyframe)] = False
        feat[blank] = 0
        return Features(Space("labels", 17, "k"), feat, torch.arange(len(feat)), len(feat))

    whole, *classes = bench._probed("street, labels", labels_as_features, street, ">= 60")
    assert whole.name == "street, labels, un-hidden points" and whole.target == ">= 60"
    both = [set(street[i].labels[bench.unhidden_points(street[i])].tolist()) for i in (0, 1)]
    # Classes of both scenes are learned and found. Classes of the second alone are not.
    learned = {NUSCENES.names[c] for c in both[0] & both[1] if c >= 0}
    found = {row.name.removeprefix("street, labels, ") for row in classes if row.value > 99}
    assert found == learned and len(classes) == len({c for c in both[1] if c >= 0})


def test_signed_square_roots_keep_signs_and_points():
    feat = torch.tensor([[4.0, -9.0, 0.0], [0.25, 1.0, -100.0]])
    points, sensor = torch.zeros(6, 3), Sensor("lidar", 0.0, 1.0)
    keyframe = Keyframe("t", "s", points, torch.zeros(6), {}, sensor, NUSCENES)
    original = Features(Space("a", 3, "a"), feat, torch.tensor([2, 5]), 6)
    roots = bench.signed_sqrt(lambda keyframe: original)(keyframe)
    assert roots.index.tolist() == [2, 5] and roots.num_points == 6
    assert roots.feat.tolist() == [[2.0, -3.0, 0.0], [0.5, 1.0, -10.0]]


def test_the_teacher_at_two_scales_has_finer_cells_of_the_same_stages():
    usual, two_scales = build_teacher(), build_teacher(bench.TWO_SCALES)
    assert two_scales.dim == 2 * usual.dim and two_scales.image_size == usual.image_size
    image = torch.rand(1, 3, *usual.image_size, generator=torch.Generator().manual_seed(0))
    cells = [each.shape[-1] for each in two_scales(image).maps]
    assert [896 // count for count in cells] == [16, 32, 8, 16]


def test_the_street_of_the_probes_holds_out_other_scenes():
    street = Street(**bench.PROBE_SCENES)
    parts = split(street)
    train, held_out = ({street.scenes[i] for i in part} for part in (parts.train, parts.held_out))
    assert len(train) == 105 and len(held_out) == 35 and not train & held_out


def test_the_probe_that_is_transferred_learns_from_the_same_street_and_more():
    street, larger = Street(**bench.PROBE_SCENES), Street(**bench.TRANSFER_SCENES)
    assert larger.moments[: len(street)] == street.moments and len(larger) == 240
    assert len(set(bench.SEEDS)) == 3


def test_transferred_probes_are_scored_one_by_one_and_on_average(monkeypatch, tmp_path):
    heads = [torch.nn.Linear(16, 16, bias=False) for _ in bench.SEEDS]
    for head, right in zip(heads, (16, 8, 0), strict=True):
        torch.nn.init.zeros_(head.weight)
        # The first `right` classes are predicted right, the others as the next class.
        for label in range(16):
            head.weight.data[label if label < right else (label + 1) % 16, label] = 1.0
    given = iter(heads)
    feat = torch.eye(16)
    monkeypatch.setattr(bench, "linear_probe", lambda *_: SimpleNamespace(head=next(given)))
    monkeypatch.setattr(bench, "labelled_features", lambda *_: (feat, torch.arange(16)))
    monkeypatch.setattr(bench, "_labelled_keyframes", lambda *_: iter([(feat, torch.arange(16))]))
    rows = bench._transfer_of_probes(
        Street(), Street(), build_teacher(), bench.FeatureCache(tmp_path)
    )
    found = {row.name.removeprefix("street to street, efficientnet_lite0, "): row for row in rows}
    # Half right: class 0 is also predicted for 15, so 1 / 2; 1 to 7 have 1, the others 0.
    half = 100 * 7.5 / 16
    for hidden in ("kept", "from neighbours", "left out"):
        points = f"hidden points {hidden}"
        for seed, wanted in enumerate((100, half, 0)):
            assert found[f"{points}, probe {seed}"].value == pytest.approx(wanted)
        mean = found[f"{points}, mean"]
        assert mean.value == pytest.approx((100 + half) / 3) and mean.target == ">= 35"
