"""Sources of features and the two ways to probe them, on a small street."""

from dataclasses import replace

import pytest
import torch

import kit
from kit.data import open_dataset
from kit.evaluate import protocols as evaluate
from kit.evaluate.probe import ProbeConfig
from kit.features.extract import embed
from kit.projection import find_pairs
from kit.student.presets import build_student
from kit.student.scans import nearest_kept, prepare_scan

QUICK = ProbeConfig(steps=20, batch_points=512, points_per_keyframe=500, lr=3e-2, epochs=2)


@pytest.fixture(scope="module")
def street():
    return open_dataset("street", num_scenes=1, keyframes_per_scene=3, image_size=(28, 56))


@pytest.fixture(scope="module")
def student():
    return build_student("wi-6-64", 12, depth=2, width=8)


def test_labels_as_features_are_found_perfectly(street):
    def source(keyframe):
        rows = (keyframe.labels != 255).nonzero().squeeze(1)
        return rows, torch.nn.functional.one_hot(keyframe.labels[rows], 16).float()

    # all points, for some classes have a handful
    config = replace(QUICK, steps=150, batch_points=8192, points_per_keyframe=40_000)
    assert evaluate.probe_dataset(source, street, [0, 1], [2], config).miou > 0.99


def test_learning_from_a_held_out_keyframe_is_refused(street, student):
    with pytest.raises(ValueError, match=r"keyframes \[1\]"):
        evaluate.probe_dataset(evaluate.position_source, street, [0, 1], [1, 2])
    with pytest.raises(ValueError, match=r"keyframes \[0\]"):
        evaluate.probe_student(student, street, [0], [0])


def test_all_sources_are_judged_on_the_points_cameras_see(street, student):
    scored = [
        evaluate.probe_dataset(source, street, [0], [1], QUICK, evaluate.seen_points).confusion
        for source in (evaluate.position_source, evaluate.student_source(student))
    ]
    labels = street[1].labels[evaluate.seen_points(street[1])]
    assert scored[0].sum() == scored[1].sum() == (labels != 255).sum()


def test_hidden_points_keep_what_hides_them_or_take_their_neighbours_or_are_left_out(street):
    teacher, keyframe = kit.build_teacher(image_size=(32, 64)), street[0]
    kept, left_out, filled = (
        evaluate.teacher_source(teacher, hidden=hidden)(keyframe)
        for hidden in ("kept", "left out", "from neighbours")
    )
    seen = evaluate.seen_points(keyframe)
    assert torch.equal(kept[0], seen) and torch.equal(filled[0], seen)
    pairs = find_pairs(keyframe.points, keyframe.cameras)
    assert torch.equal(kept[1], kit.keyframe_features(teacher, keyframe, pairs)[1])
    bare = find_pairs(keyframe.points, keyframe.cameras, occlusion=True).seen_points()
    assert torch.equal(left_out[0], bare) and 0 < len(bare) < len(seen)
    visible = torch.isin(seen, bare)
    assert torch.equal(filled[1][visible], left_out[1])
    one = (~visible).nonzero()[0, 0]
    distance = (keyframe.points[bare] - keyframe.points[seen[one]]).norm(dim=1)
    near = distance.topk(evaluate.NEAREST, largest=False).indices
    assert torch.allclose(filled[1][one], left_out[1][near].mean(0), atol=1e-5)
    with pytest.raises(ValueError, match="hidden must be"):
        evaluate.teacher_source(teacher, hidden="dropped")


def test_the_papers_probe_scores_every_labelled_point_and_leaves_the_student(street, student):
    before = {name: value.clone() for name, value in student.state_dict().items()}
    result = evaluate.probe_student(student, street, [0, 1], [2], QUICK)
    assert result.confusion.sum() == (street[2].labels != 255).sum()
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())


def test_all_points_get_the_features_of_the_nearest_kept_one(street, student):
    keyframe = street[0]
    point_feat, head_feat = embed(student, keyframe)
    assert len(point_feat) == len(head_feat) == len(keyframe.points)
    scan = prepare_scan(keyframe.points, keyframe.intensity, keyframe.sensor, student.config.inputs)
    rows = nearest_kept(keyframe.points, keyframe.points[scan.kept])
    assert torch.equal(point_feat, point_feat[scan.kept][rows])
    with torch.no_grad():
        assert torch.allclose(head_feat, student.eval().head(point_feat), atol=1e-6)


def test_embedding_leaves_the_mode_and_statistics_alone(street, student):
    student.train()
    before = student.embed.norm.running_mean.clone()
    embed(student, street[0])
    assert student.training and torch.equal(before, student.embed.norm.running_mean)
