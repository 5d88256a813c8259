"""Features know their space, and features of different spaces are never compared."""

import pytest
import torch
from handmade import features

import kit
from kit.features.spaces import Space, baseline_space, layer_space, space_of
from kit.student.student import DistilledFrom


@pytest.fixture(scope="module")
def teacher():
    return kit.build_teacher(image_size=(64, 128), weights="random")


def test_unit_features_have_unit_length_and_zero_stays_zero():
    f = features([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    assert torch.allclose(f.unit, torch.tensor([[0.6, 0.0, 0.8], [0.0, 0.0, 0.0]]))
    assert f.feat.tolist() == [[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]]


def test_centred_features_lose_what_they_have_in_common():
    """By hand: the mean of (1, 0), (0, 1), (1, 0), (0, 1) at unit length is (1/2, 1/2)."""
    f = features([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    half = 0.5**0.5
    expected = [[half, -half, 0.0], [-half, half, 0.0]] * 2
    assert torch.allclose(f.centred, torch.tensor(expected), atol=1e-6)
    common = torch.tensor([3.0, 1.0, 2.0])
    generator = torch.Generator().manual_seed(0)
    near = features((common + 0.1 * torch.randn(50, 3, generator=generator)).tolist())
    plain, centred = near.unit @ near.unit.T, near.centred @ near.centred.T
    assert plain.min() > 0.9 and centred.min() < -0.9 and abs(centred.mean()) < 0.1


def test_a_zero_feature_and_the_mean_itself_stay_zero_when_centred():
    f = features([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert f.centred[1].tolist() == [0.0, 0.0, 0.0]
    same = features([[1.0, 0.0, 0.0]] * 3)
    assert not same.centred.any()


def test_points_are_found_by_their_number_in_the_keyframe():
    f = features([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]], index=[2, 5], num_points=7)
    assert f.of_points(torch.tensor([5, 2])).tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    assert f.row_of(torch.tensor([5, 0, 2])).tolist() == [1, -1, 0]
    with pytest.raises(ValueError, match=r"points \[3\] have no feature here, no camera sees them"):
        f.of_points(torch.tensor([2, 3]))
    with pytest.raises(ValueError, match="must be 0 to 6"):
        f.of_points(torch.tensor([7]))


def test_features_are_restricted_to_points_and_points_without_a_feature_are_skipped():
    f = features([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]], index=[2, 5], num_points=7)
    some = f.restrict(torch.tensor([6, 5]))
    assert some.index.tolist() == [5] and some.feat.tolist() == [[0.0, 1.0, 0.0]]
    assert some.num_points == 7 and some.space == f.space
    assert len(f.restrict(torch.tensor([0]))) == 0


@pytest.mark.parametrize("feat", [[[1.0, 2.0]], [[float("nan"), 0.0, 0.0]]])
def test_another_width_or_nan_is_refused(feat):
    with pytest.raises(ValueError, match="features must be"):
        features(feat)


def test_the_first_point_whose_feature_is_not_finite_is_named():
    feat = [[1.0, 0.0, 0.0], [0.0, float("inf"), 0.0], [float("nan"), 0.0, 0.0]]
    with pytest.raises(ValueError, match="2 of 3 in the space .* the first one of point 4"):
        features(feat, index=[2, 4, 5], num_points=7)


def test_spaces_of_one_width_are_told_apart(teacher):
    other = kit.build_teacher(image_size=(128, 256), weights="random")
    assert space_of(teacher).dim == space_of(other).dim
    with pytest.raises(ValueError, match="features of different spaces cannot be compared"):
        space_of(teacher).check(space_of(other), "that")
    space_of(teacher).check(space_of(teacher), "the same")


def test_the_head_of_a_distilled_student_has_the_space_of_its_teacher(teacher):
    student = kit.build_student("wi-6-64", teacher.dim, depth=2, width=8)
    assert space_of(student) != space_of(teacher)
    student.distilled_from = DistilledFrom(teacher.name, teacher.fingerprint)
    assert space_of(student) == space_of(teacher)
    assert layer_space(student, "layer 2", 8) != space_of(teacher)


def test_a_space_changes_with_the_weights():
    student = kit.build_student("wi-6-64", 8, depth=2, width=8)
    before = space_of(student)
    assert space_of(student) == before
    with torch.no_grad():
        student.classif.bias.add_(1)
    changed = space_of(student)
    assert changed != before
    weights = {name: value.clone() for name, value in student.state_dict().items()}
    weights["classif.bias"] = torch.full_like(weights["classif.bias"], 7.0)
    student.load_state_dict(weights, assign=True)  # replaces the tensors
    assert space_of(student) not in (before, changed)


def test_a_baseline_is_identified_by_its_module_and_name():
    def position():
        pass

    class Callable:
        def __call__(self):
            pass

    space = baseline_space(kit.position, 6)
    assert space == Space("position", 6, "kit.evaluate.baselines.position")
    assert baseline_space(position, 6) != space and baseline_space(position, 6).name == "position"
    assert baseline_space(Callable(), 6).name == "Callable"
