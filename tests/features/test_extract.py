"""One way to features: teachers, students and baselines on one keyframe."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import kit
from kit.features import extract as module
from kit.features.spaces import Features, layer_space, space_of
from kit.projection import find_pairs
from kit.student.scans import nearest_kept, prepare_scan
from kit.student.student import DistilledFrom


@pytest.fixture(scope="module")
def keyframe():
    return kit.Street(1, 1, image_size=(64, 128))[0]


@pytest.fixture(scope="module")
def teacher():
    return kit.build_teacher(image_size=(64, 128))


@pytest.fixture(scope="module")
def student(teacher):
    return kit.build_student("wi-6-64", teacher.dim, depth=3, width=8).eval()


def by_hand(teacher, keyframe, occlusion=False):
    """Features by hand: the mean unit feature of all cameras that see a point."""
    total, count = torch.zeros(len(keyframe.points), teacher.dim), torch.zeros(len(keyframe.points))
    for camera in keyframe.cameras.values():
        pairs = find_pairs(keyframe.points, {camera.name: camera}, occlusion=occlusion)
        maps = teacher(camera.resized(teacher.image_size)[None])
        image = torch.zeros(len(pairs), dtype=torch.int64)
        feat = maps.sample(image, pairs.uv, camera.image_size)
        total[pairs.point] += F.normalize(feat, dim=1)
        count[pairs.point] += 1
    index = count.nonzero()[:, 0]
    return index, total[index] / count[index, None]


# --- teachers ------------------------------------------------------------------------------------


def test_a_teacher_gives_the_points_its_cameras_see_the_mean_over_cameras(teacher, keyframe):
    features = kit.extract(teacher, keyframe)
    index, feat = by_hand(teacher, keyframe)
    assert torch.equal(features.index, index) and torch.equal(index, kit.seen_points(keyframe))
    assert torch.allclose(features.feat, feat, atol=1e-5)
    assert features.space == space_of(teacher) and features.num_points == len(keyframe.points)
    pairs = find_pairs(keyframe.points, keyframe.cameras)
    assert len(pairs) > len(features)  # so some points are a mean of several cameras


def test_hidden_points_keep_a_feature_or_have_none_or_take_their_neighbours(teacher, keyframe):
    kept, left_out, filled = (
        kit.extract(teacher, keyframe, hidden=hidden)
        for hidden in ("kept", "left out", "from neighbours")
    )
    index, feat = by_hand(teacher, keyframe, occlusion=True)
    assert torch.equal(left_out.index, index) and 0 < len(left_out) < len(kept)
    assert torch.allclose(left_out.feat, feat, atol=1e-5)
    assert torch.equal(filled.index, kept.index)
    visible = torch.isin(filled.index, index)
    assert torch.equal(filled.feat[visible], left_out.feat)
    point = filled.index[~visible][0]
    distance = (keyframe.points[index] - keyframe.points[point]).norm(dim=1)
    nearest = distance.topk(module.NUM_NEIGHBOURS, largest=False).indices
    assert torch.allclose(filled.feat[~visible][0], left_out.feat[nearest].mean(0), atol=1e-5)


def test_a_teacher_at_another_layer_has_another_space(teacher, keyframe):
    features = kit.extract(teacher, keyframe, layer=3)
    built = kit.build_teacher(image_size=(64, 128), layer=3)
    assert features.space == space_of(built) != space_of(teacher)
    assert torch.equal(features.feat, kit.extract(built, keyframe).feat)
    assert features.feat.shape[1] < teacher.dim


def test_a_cache_saves_the_network_and_changes_nothing(teacher, keyframe, tmp_path, monkeypatch):
    cache = kit.FeatureCache(tmp_path)
    first = kit.extract(teacher, keyframe, cache=cache)

    def fail(images):
        raise AssertionError("an image was computed again")

    monkeypatch.setattr(teacher, "maps", fail)
    assert torch.equal(kit.extract(teacher, keyframe, cache=cache).feat, first.feat)
    with pytest.raises(AssertionError):
        kit.extract(teacher, keyframe)


def test_without_a_camera_no_point_has_a_feature(teacher, keyframe):
    blind = replace(keyframe, cameras={})
    for hidden in module.HIDDEN:
        features = kit.extract(teacher, blind, hidden=hidden)
        assert features.feat.shape == (0, teacher.dim)


def test_wrong_options_of_a_teacher_are_named(teacher, keyframe):
    with pytest.raises(ValueError, match="hidden must be one of 'kept', 'left out', .* 'dropped'"):
        kit.extract(teacher, keyframe, hidden="dropped")
    with pytest.raises(ValueError, match="numbers, counted from 0; got layer='layer 1'"):
        kit.extract(teacher, keyframe, layer="layer 1")
    with pytest.raises(ValueError, match="has 5 blocks or stages"):
        kit.extract(teacher, keyframe, layer=5)


# --- students ------------------------------------------------------------------------------------


def test_a_student_gives_all_points_the_features_of_its_head(student, keyframe):
    features = kit.extract(student, keyframe)
    assert torch.equal(features.index, torch.arange(len(keyframe.points)))
    last = kit.extract(student, keyframe, layer=student.layers[-1])
    with torch.no_grad():
        assert torch.allclose(features.feat, student.head(last.feat), atol=1e-6)


def test_points_left_out_of_the_scan_get_the_features_of_the_nearest_kept_one(student, keyframe):
    last = kit.extract(student, keyframe, layer=student.layers[-1], outside="nearest")
    inputs = student.config.inputs
    scan = prepare_scan(keyframe.points, keyframe.intensity, keyframe.sensor, inputs)
    assert len(scan.kept) < len(keyframe.points)
    with torch.no_grad():
        feat = student.features(kit.collate([scan], inputs))
    row = nearest_kept(keyframe.points, keyframe.points[scan.kept])
    assert torch.allclose(last.feat, feat[row], atol=1e-6)


def test_a_distilled_student_lies_in_the_space_of_its_teacher(teacher, student, keyframe):
    assert kit.extract(student, keyframe).space == space_of(student) != space_of(teacher)
    student.distilled_from = DistilledFrom(teacher.name, teacher.fingerprint)
    try:
        features = kit.extract(student, keyframe)
        assert features.space == space_of(teacher) == kit.extract(teacher, keyframe).space
        before_head = kit.extract(student, keyframe, layer=student.layers[-1])
        assert before_head.space == layer_space(student, student.layers[-1], 8) != features.space
    finally:
        student.distilled_from = None


def test_other_models_have_no_field_of_view(teacher, student, keyframe):
    for model in (teacher, kit.position):
        with pytest.raises(ValueError, match="outside='nearest' is for students"):
            kit.extract(model, keyframe, outside="nearest")
    with pytest.raises(
        ValueError, match="outside must be one of 'second pass', 'nearest', got 'x'"
    ):
        kit.extract(student, keyframe, outside="x")


def test_several_layers_come_from_one_pass(student, keyframe, monkeypatch):
    calls, features = [], student.features
    monkeypatch.setattr(
        student, "features", lambda batch, layers: calls.append(layers) or features(batch, layers)
    )
    names = ["head", "layer 1", "embedding"]
    found = kit.extract_layers(student, keyframe, names, outside="nearest")
    assert len(calls) == 1 and list(found) == names
    monkeypatch.undo()
    for name in names:
        alone = kit.extract(student, keyframe, layer=name, outside="nearest")
        assert torch.equal(found[name].feat, alone.feat) and found[name].space == alone.space
    assert len({each.space for each in found.values()}) == 3


@pytest.mark.parametrize("layer", ["layer 9", 2])
def test_an_unknown_layer_lists_the_students(student, keyframe, layer):
    with pytest.raises(
        ValueError, match=f"no layer '{layer}'; this student has embedding, layer 1"
    ):
        kit.extract(student, keyframe, layer=layer)


def test_no_layer_at_all_is_refused(student, keyframe):
    with pytest.raises(ValueError, match="no layer was named"):
        kit.extract_layers(student, keyframe, [])


def test_a_student_has_no_hidden_points(student, keyframe):
    with pytest.raises(ValueError, match="hidden='left out' is for teachers"):
        kit.extract(student, keyframe, hidden="left out")


def test_the_mode_and_the_statistics_of_a_student_stay(student, keyframe):
    student.train()
    try:
        before = {name: value.clone() for name, value in student.state_dict().items()}
        features = kit.extract(student, keyframe)
        assert student.training and not features.feat.requires_grad
        assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())
    finally:
        student.eval()
    assert torch.equal(features.feat, kit.extract(student, keyframe).feat)


def test_minkunet_is_extracted_like_any_student(keyframe):
    student = kit.build_student("minkunet-18", 12)
    features = kit.extract(student, keyframe)
    assert features.feat.shape == (len(keyframe.points), 12)


# --- baselines -----------------------------------------------------------------------------------


def height(keyframe):
    return keyframe.points[:, 2:]


def test_a_baseline_is_any_function_of_a_keyframe(keyframe):
    features = kit.extract(height, keyframe)
    assert torch.equal(features.feat, keyframe.points[:, 2:])
    assert torch.equal(features.index, torch.arange(len(keyframe.points)))
    assert features.space.name == "height" and features.space.dim == 1
    assert kit.extract(kit.position, keyframe).space != features.space


def test_wrong_baselines_and_options_are_named(keyframe):
    with pytest.raises(ValueError, match="a baseline has no layers, leave out layer='layer 1'"):
        kit.extract(height, keyframe, layer="layer 1")
    with pytest.raises(ValueError, match="hidden='left out' is for teachers"):
        kit.extract(height, keyframe, hidden="left out")
    for wrong in (lambda k: k.points[:-1], lambda k: k.points[:, 0]):
        with pytest.raises(ValueError, match="one row of features for each of the"):
            kit.extract(wrong, keyframe)


def test_any_other_network_is_refused(keyframe):
    with pytest.raises(ValueError, match="a Linear is neither a kit Teacher nor a kit Student"):
        kit.extract(nn.Linear(3, 3), keyframe)


# --- sources -------------------------------------------------------------------------------------


def test_a_source_extracts_with_its_options(student, teacher, keyframe):
    layer = kit.source(student, layer="layer 1")(keyframe)
    assert isinstance(layer, Features) and layer.space.name == "layer 1 of a student"
    left_out = kit.source(teacher, hidden="left out")(keyframe)
    assert len(left_out) < len(kit.source(teacher)(keyframe))
