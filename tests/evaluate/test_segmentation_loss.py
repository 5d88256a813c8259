"""The classifier's loss against the published implementation, values by hand, and properties."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from kit.data.classes import IGNORE
from kit.evaluate import segmentation_loss as loss


def test_segmentation_loss_equals_the_published_one_with_gradient(oracles):
    oracle = load_file(oracles / "segmentation_loss_metrics.safetensors")
    logits = oracle["logits"].requires_grad_()
    value = loss.segmentation_loss(logits, oracle["labels"].long())
    value.backward()
    assert torch.allclose(value, oracle["loss_ce_plus_lovasz"][0], atol=1e-5)
    assert torch.allclose(logits.grad, oracle["grad_logits"], atol=1e-6)


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
