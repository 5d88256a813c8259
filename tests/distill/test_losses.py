"""Losses against the published implementation, values by hand, and properties."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from kit.data.classes import IGNORE
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


def test_segmentation_loss_equals_the_published_one_with_gradient(oracles):
    oracle = load_file(oracles / "segmentation_loss_metrics.safetensors")
    logits = oracle["logits"].requires_grad_()
    value = loss.segmentation_loss(logits, oracle["labels"].long())
    value.backward()
    assert torch.allclose(value, oracle["loss_ce_plus_lovasz"][0], atol=1e-5)
    assert torch.allclose(logits.grad, oracle["grad_logits"], atol=1e-6)


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


def test_lovasz_by_hand():
    # One class, one of two points missed: errors 1 and 0, Jaccard loss of the worst point 1/2.
    probability = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert loss.lovasz_softmax(probability, torch.tensor([0, 0])).item() == pytest.approx(0.5)


def test_lovasz_of_hard_predictions_is_one_minus_the_mean_iou():
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(3, (200,), generator=generator)
    predicted = torch.randint(3, (200,), generator=generator)
    iou = [
        ((predicted == c) & (labels == c)).sum() / ((predicted == c) | (labels == c)).sum()
        for c in range(3)
    ]
    value = loss.lovasz_softmax(F.one_hot(predicted, 3).float(), labels)
    assert value.item() == pytest.approx(1 - torch.stack(iou).mean().item(), abs=1e-5)


def test_points_without_label_change_nothing():
    generator = torch.Generator().manual_seed(2)
    logits, labels = torch.randn(20, 4, generator=generator), torch.arange(20) % 4
    more = torch.cat([logits, torch.full((5, 4), 9.0)])
    ignored = torch.cat([labels, torch.full((5,), IGNORE)])
    assert torch.equal(
        loss.segmentation_loss(logits, labels), loss.segmentation_loss(more, ignored)
    )


def test_no_labelled_point_gives_zero_with_a_gradient():
    logits = torch.randn(4, 3, requires_grad=True)
    value = loss.segmentation_loss(logits, torch.full((4,), IGNORE))
    value.backward()
    assert value.item() == 0 and torch.equal(logits.grad, torch.zeros(4, 3))
