"""Probes and metrics against published values, scikit-learn's neighbours, and properties."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from kit.data.class_maps import numbered_classes
from kit.data.classes import IGNORE, ClassMap
from kit.evaluate import metrics, probe

CLASSES = ClassMap("three", ("a", "b", "c"), ((0, 0, 0),) * 3, (0, 1, 2))
QUICK = probe.ProbeConfig(steps=60, batch_points=256, lr=3e-2)


def clusters(count=300, seed=0, spread=0.3):
    """Three separable clouds of features in 4-D, and their labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=generator)
    centres = torch.tensor([[4.0, 0, 0, 1], [0, 4.0, 0, -1], [0, 0, 4.0, 1]])
    return centres[labels] + spread * torch.randn(count, 4, generator=generator), labels


def test_confusion_and_iou_equal_the_published_ones(oracles):
    oracle = load_file(oracles / "segmentation_loss_metrics.safetensors")
    confusion = metrics.confusion_matrix(oracle["logits"].argmax(1), oracle["labels"].long(), 16)
    assert torch.equal(confusion, oracle["confusion"].long())
    assert torch.allclose(metrics.class_iou(confusion), oracle["iou"], equal_nan=True)


def test_iou_by_hand_counts_only_classes_that_are_labelled():
    # Class a: 2 of 3 found, one point of b called a; c is predicted once but never labelled.
    confusion = torch.tensor([[2, 0, 1], [1, 3, 0], [0, 0, 0]])
    result = probe.ProbeResult(confusion, CLASSES)
    assert result.iou == {"a": pytest.approx(2 / 4), "b": pytest.approx(3 / 4), "c": None}
    assert result.miou == pytest.approx((2 / 4 + 3 / 4) / 2)
    assert result.accuracy == pytest.approx(5 / 7)


def test_a_new_head_predicts_no_class():
    head = probe.new_head(4, numbered_classes(["car", "road", "tree"], "made up")).eval()
    assert torch.equal(head(torch.randn(5, 4)), torch.zeros(5, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be a whole number from 1 to 1,000,000,000, got 0"),
        ({"points_per_keyframe": -1}, "points_per_keyframe must be a whole number .* got -1"),
        ({"lr": 1e-6}, "min_lr must be a number, at least 0 and at most 1e-06, got 1e-05"),
        ({"lr": 0.0, "min_lr": 0.0}, "lr must be a number, above 0 and at most 10, got 0.0"),
        ({"lr": float("nan")}, "lr must be .* got nan"),
        ({"lr": float("inf")}, "lr must be .* got inf"),
        ({"min_lr": float("nan")}, "min_lr must be .* got nan"),
        ({"weight_decay": -0.1}, "weight_decay must be a number, at least 0 .* got -0.1"),
        ({"weight_decay": float("inf")}, "weight_decay must be .* got inf"),
        ({"warmup": 1.5}, "warmup must be a number, at least 0 and at most 1, got 1.5"),
        ({"seed": -1}, "seed must be a whole number from 0 to 4,294,967,295, got -1"),
    ],
)
def test_settings_out_of_range_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        probe.ProbeConfig(**change)


def test_a_probe_that_diverged_is_an_error_and_gives_no_figure():
    feat, labels = clusters()
    with pytest.raises(ValueError, match="the probe diverged with lr 0.03: .* smaller lr"):
        probe.linear_probe((feat * 1e30, labels), [clusters(seed=1)], CLASSES, QUICK)


def test_probe_finds_separable_classes_and_fails_on_shuffled_labels():
    feat, labels = clusters()
    found = probe.linear_probe((feat, labels), [clusters(seed=1)], CLASSES, QUICK)
    assert found.miou > 0.98
    shuffled = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(3))]
    lost = probe.linear_probe((feat, shuffled), [clusters(seed=1)], CLASSES, QUICK)
    assert lost.miou < 0.6


def test_probe_is_repeatable_and_its_seed_matters():
    train, held_out = clusters(spread=3.0), [clusters(seed=1, spread=3.0)]

    def weights(seed):
        config = probe.ProbeConfig(steps=5, batch_points=32, seed=seed)
        return probe.linear_probe(train, held_out, CLASSES, config).head[1].weight

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_points_without_label_are_neither_learned_nor_scored():
    feat, labels = clusters()
    labels[:100] = IGNORE
    result = probe.linear_probe((feat, labels), [(feat, labels)], CLASSES, QUICK)
    assert result.confusion.sum() == 200


def test_no_labelled_point_is_an_error():
    feat, labels = clusters(20)
    with pytest.raises(ValueError, match="labelled points"):
        probe.linear_probe((feat, torch.full_like(labels, IGNORE)), [], CLASSES, QUICK)


def test_rows_that_do_not_match_are_named():
    feat, labels = clusters(20)
    with pytest.raises(ValueError, match="20 rows of features for 19 labels"):
        probe.linear_probe((feat, labels[:-1]), [], CLASSES, QUICK)


def test_nearest_neighbours_agree_with_scikit_learn():
    train, (feat, _) = clusters(spread=2.0), clusters(seed=1, spread=2.0)
    unit = torch.nn.functional.normalize(train[0])

    def weights(distance):  # of unit vectors: cosine = 1 - d^2 / 2
        return np.exp((1 - distance**2 / 2) / 0.07)

    reference = KNeighborsClassifier(20, weights=weights, algorithm="brute")
    reference.fit(unit.double().numpy(), train[1].numpy())
    expected = reference.predict(torch.nn.functional.normalize(feat).double().numpy())
    agree = probe.knn_predict(train, feat, 3).numpy() == expected
    assert agree.mean() > 0.99  # float32 may break a tie the other way


def test_search_by_one_example_by_hand():
    # Cosines of rows 1 to 5 to row 0: 1, 0.8, 0.6, 0, -1. Two others are of its class: 2 and 4.
    feat = torch.tensor([[1.0, 0], [2, 0], [4, 3], [3, 4], [0, 1], [-1, 0]])
    labels = torch.tensor([0, IGNORE, 0, 1, 0, 1])
    assert metrics.r_precision(feat, labels, 0) == 0.5  # rows 2 and 3 are nearest, row 2 is right
    assert labels.tolist() == [0, IGNORE, 0, 1, 0, 1]
    labels = torch.tensor([0, IGNORE, 0, 0, 1, 1])  # row 1 is most similar, but has no class
    assert metrics.r_precision(feat, labels, 0) == 1.0


def test_search_agrees_with_scikit_learns_ranking():
    feat, labels = clusters(200, spread=3.0)
    index = 7
    order = NearestNeighbors(metric="cosine").fit(feat.numpy())
    ranked = order.kneighbors(feat[[index]].numpy(), 200, return_distance=False)[0]
    ranked = ranked[ranked != index]
    count = int((labels == labels[index]).sum()) - 1
    expected = (labels[ranked[:count]] == labels[index]).float().mean()
    assert metrics.r_precision(feat, labels, index) == pytest.approx(expected.item())
    assert 0.4 < expected < 0.95  # neither chance nor trivial


def test_search_ignores_the_length_of_features_and_finds_separable_classes():
    feat, labels = clusters()
    stretched = feat * torch.linspace(0.1, 10, len(feat))[:, None]
    assert metrics.r_precision(feat, labels, 0) == 1.0
    assert metrics.r_precision(stretched, labels, 0) == 1.0


@pytest.mark.parametrize("labels", [[IGNORE, 0, 0], [1, 0, 0]])
def test_search_for_nothing_is_nan(labels):
    assert math.isnan(metrics.r_precision(torch.randn(3, 4), torch.tensor(labels), 0))
