"""Features know their space; nothing is compared across spaces."""

import pytest
import torch

import kit
from kit.evaluate.baselines import position
from kit.features.extract import backbone, look
from kit.features.spaces import Features, Space, space_of
from kit.street.dataset import Street

SPACE = Space("a", 3, "key-of-a")


def features(feat, rows=None, num_points=None, space=SPACE):
    feat = torch.tensor(feat)
    rows = torch.arange(len(feat)) if rows is None else torch.tensor(rows)
    return Features(space, feat, rows, num_points or len(feat))


@pytest.fixture(scope="module")
def keyframe():
    return Street(1, 1, image_size=(64, 128))[0]


@pytest.fixture(scope="module")
def teacher():
    return kit.build_teacher(image_size=(64, 128), weights="random")


def test_features_become_unit_and_zero_stays_zero():
    f = features([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    assert torch.allclose(f.feat, torch.tensor([[0.6, 0.0, 0.8], [0.0, 0.0, 0.0]]))


def test_points_are_found_by_their_number_in_the_keyframe():
    f = features([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], rows=[2, 5], num_points=7)
    assert f.of_points(torch.tensor([5, 2])).tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    with pytest.raises(ValueError, match=r"points \[3\] have no feature here, no camera sees them"):
        f.of_points(torch.tensor([2, 3]))
    with pytest.raises(ValueError, match="must be 0 to 6"):
        f.of_points(torch.tensor([7]))


@pytest.mark.parametrize("feat", [[[1.0, 2.0]], [[float("nan"), 0.0, 0.0]]])
def test_another_width_or_nan_is_refused(feat):
    with pytest.raises(ValueError, match="features must be"):
        features(feat)


def test_spaces_of_one_width_are_told_apart(teacher):
    other = kit.build_teacher(image_size=(128, 256), weights="random")
    assert space_of(teacher).dim == space_of(other).dim
    with pytest.raises(ValueError, match="features of different spaces cannot be compared"):
        space_of(teacher).check(space_of(other), "that")
    space_of(teacher).check(space_of(teacher), "the same")


def test_a_teacher_looks_where_its_cameras_do_and_a_student_everywhere(keyframe, teacher):
    student = kit.build_student("wi-6-64", teacher.dim).eval()
    seen, everywhere = look(teacher, keyframe), look(student, keyframe, space_of(teacher))
    pairs = kit.find_pairs(keyframe.points, keyframe.cameras)
    assert torch.equal(seen.rows, pairs.seen_points())
    assert len(everywhere) == len(keyframe.points) and everywhere.space == seen.space
    feat = kit.keyframe_features(teacher, keyframe, pairs)[1]
    assert torch.allclose(seen.feat, torch.nn.functional.normalize(feat, dim=1), atol=1e-6)


def test_an_untaught_student_and_its_backbone_have_spaces_of_their_own(keyframe, teacher):
    student = kit.build_student("wi-6-64", teacher.dim).eval()
    again = kit.build_student("wi-6-64", teacher.dim, seed=1).eval()
    spaces = [look(student, keyframe).space, backbone(student, keyframe).space]
    spaces += [space_of(again), space_of(teacher), position(keyframe).space]
    assert len(set(spaces)) == 5


def test_a_students_head_must_be_as_wide_as_the_space(keyframe, teacher):
    student = kit.build_student("wi-6-64", 16).eval()
    with pytest.raises(ValueError, match="one row a point"):
        look(student, keyframe, space_of(teacher))
