"""Losses against the published implementation, values by hand, and properties."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from kit.distill.losses import LOSSES, LossInputs, compute_loss, needs
from kit.distill.losses import pointwise as loss

ALL = [loss.distillation_loss, loss.cosine_loss, loss.squared_l2_loss]


def random_pairs(count=50, width=8):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, count, width, generator=generator)


def test_distillation_loss_equals_the_published_one_with_gradient(oracles):
    oracle = load_file(oracles / "distillation_loss.safetensors")
    student = oracle["student"].requires_grad_()
    value = loss.distillation_loss(student, oracle["teacher"])
    value.backward()
    assert torch.allclose(value, oracle["loss"][0], atol=1e-6)
    assert torch.allclose(student.grad, oracle["grad_student"], atol=1e-7)


@pytest.mark.parametrize("function", ALL)
def test_zero_for_the_same_direction_whatever_the_length(function):
    student, _ = random_pairs()
    assert function(student, 3 * student).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("function", "right_angle", "opposite"),
    [
        (loss.distillation_loss, 2**0.5, 2),
        (loss.cosine_loss, 1, 2),
        (loss.squared_l2_loss, 2, 4),
    ],
)
def test_known_values_by_hand(function, right_angle, opposite):
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]])
    assert function(a, b).item() == pytest.approx(right_angle)
    assert function(a, -a).item() == pytest.approx(opposite)


def test_squared_l2_agrees_with_torch():
    student, teacher = random_pairs()
    expected = F.mse_loss(F.normalize(student), F.normalize(teacher), reduction="none").sum(1)
    assert torch.allclose(loss.squared_l2_loss(student, teacher), expected.mean())


def test_squared_l2_is_twice_the_cosine_loss():
    student, teacher = random_pairs()
    ratio = loss.squared_l2_loss(student, teacher) / loss.cosine_loss(student, teacher)
    assert ratio.item() == pytest.approx(2, abs=1e-5)


@pytest.mark.parametrize("function", ALL)
def test_gradient_agrees_with_finite_differences(function):
    student, teacher = random_pairs(5, 4).double()
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: function(s, teacher), (student,))


def test_gradient_is_finite_where_both_agree_exactly():
    student = torch.ones(3, 4, requires_grad=True)
    loss.distillation_loss(student, torch.ones(3, 4)).backward()
    assert student.grad.isfinite().all()


def some_inputs(**more):
    student, teacher = random_pairs(6)
    return LossInputs(student, teacher, torch.tensor([0, 0, 0, 1, 1, 1]), **more)


@pytest.mark.parametrize("name", ["l2", "cosine", "squared_l2", "smooth_l1"])
def test_a_loss_by_name_equals_its_function(name):
    inputs = some_inputs()
    assert needs(name) == {"student_feat", "teacher_feat"}
    expected = LOSSES[name](inputs.student_feat, inputs.teacher_feat)
    assert torch.equal(compute_loss(name, inputs), expected)


def test_a_loss_gets_what_its_parameters_name(monkeypatch):
    got = {}

    def scratch(superpixels, student_feat, classes, image_of_pair, temperature=0.5):
        got.update(locals())
        return student_feat.sum()

    monkeypatch.setitem(LOSSES, "scratch", scratch)
    inputs = some_inputs(superpixels=torch.arange(6), classes=torch.ones(6).long())
    compute_loss("scratch", inputs)
    assert got.pop("temperature") == 0.5 and "teacher_feat" not in got
    assert needs("scratch") == {"superpixels", "student_feat", "classes", "image_of_pair"}
    for name in needs("scratch"):
        assert got[name] is getattr(inputs, name)


def test_an_input_that_is_not_there_is_named_with_what_to_try(monkeypatch):
    monkeypatch.setitem(LOSSES, "regions", lambda student_feat, superpixels: student_feat.sum())
    monkeypatch.setitem(LOSSES, "labelled", lambda student_feat, classes: student_feat.sum())
    monkeypatch.setitem(LOSSES, "odd", lambda student_feat, weather: student_feat.sum())
    with pytest.raises(ValueError, match="'regions' needs superpixels, .* TrainingBatches"):
        compute_loss("regions", some_inputs())
    with pytest.raises(ValueError, match="'labelled' needs classes, .* has no labels"):
        compute_loss("labelled", some_inputs())
    with pytest.raises(ValueError, match="'odd' needs weather, .* LossInputs, it has student_feat"):
        compute_loss("odd", some_inputs())


def test_an_unknown_loss_lists_those_there_are():
    with pytest.raises(
        ValueError, match="no loss 'l1'; choose one of l2, cosine, squared_l2, smooth_l1"
    ):
        needs("l1")
