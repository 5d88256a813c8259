"""Losses written again from their formulas with loops, and values by hand."""

import math

import numpy as np
import pytest
import scipy.special
import torch

from kit.distill.losses import (
    classwise,
    contrastive,
    patchwise,
    relational,
    similarities,
    superpixelwise,
)
from kit.distill.losses import von_mises_fisher as vmf


def features(count, width=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator, dtype=torch.float64)


def unit(vector):
    return vector / math.sqrt(float(vector @ vector))


def cross_entropy(logits, right):
    return math.log(sum(math.exp(v) for v in logits)) - logits[right]


def test_ppkt_by_loops():
    student, teacher = features(7), features(7, seed=1)
    rows = []
    for i in range(7):
        logits = [float(unit(student[i]) @ unit(teacher[j])) / 0.07 for j in range(7)]
        rows.append(cross_entropy(logits, i))
    torch.manual_seed(0)
    assert float(contrastive.ppkt_loss(student, teacher)) == pytest.approx(sum(rows) / 7)


def test_ppkt_draws_pairs_without_replacement():
    student = torch.eye(6, dtype=torch.float64)
    for count in (1, 2, 6, 100):
        drawn = min(count, 6)
        expected = math.log(1 + (drawn - 1) * math.exp(-1 / 0.07))
        loss = contrastive.ppkt_loss(student, student, num_pairs=count)
        assert float(loss) == pytest.approx(expected, abs=1e-9)


def test_equal_features_give_the_logarithm_of_their_number():
    same = torch.ones(9, 4, dtype=torch.float64)
    assert float(contrastive.ppkt_loss(same, same)) == pytest.approx(math.log(9))


def superpixels():
    return torch.tensor([3, 0, 0, 5, 5, 5, 3]), features(7), features(6, seed=1) / 3


def region_means(numbers, feat):
    means = {}
    for s in sorted(set(numbers.tolist())):
        inside = [unit(feat[i]) for i in range(len(feat)) if numbers[i] == s]
        means[s] = sum(inside) / (len(inside) + 1e-6)
    return means


def test_slidr_by_loops():
    numbers, student, pixels = superpixels()
    means = region_means(numbers, student)
    rows = []
    for right, s in enumerate(means):  # superpixels 1, 2, 4 hold no point
        logits = [float(means[s] @ pixels[t]) / 0.07 for t in means]
        rows.append(cross_entropy(logits, right))
    loss = superpixelwise.slidr_loss(student, numbers, pixels)
    assert float(loss) == pytest.approx(sum(rows) / 3)


@pytest.mark.parametrize("min_quantile", [None, 0.5])
@pytest.mark.parametrize("balanced", [False, True])
def test_st_slidr_by_loops(min_quantile, balanced):
    numbers, student, pixels = superpixels()
    means = region_means(numbers, student)
    ids = list(means)
    cosine = [[float(unit(pixels[s]) @ unit(pixels[t])) for t in ids] for s in ids]
    losses = []
    for i, s in enumerate(ids):
        factor = [1 - (c if balanced else min(max(c, 0), 1)) for c in cosine[i]]
        if min_quantile is not None:
            limit = np.quantile(factor, min_quantile)
            factor = [1.0 if f >= limit and f != 0 else 0.0 for f in factor]
        factor[i] = 1.0
        logits = [float(means[s] @ pixels[t]) / 0.07 * f for t, f in zip(ids, factor, strict=True)]
        losses.append(cross_entropy(logits, i))
    weights = [1.0] * 3
    if balanced:
        similar = [sum(c for c in row if c >= 0.5) for row in cosine]
        span = max(similar) - min(similar)
        weights = [1 - (v - min(similar)) / span if span > 1e-6 else 1.0 for v in similar]
    expected = sum(w * v for w, v in zip(weights, losses, strict=True)) / sum(weights)
    loss = superpixelwise.st_slidr_loss(
        student, numbers, pixels, min_quantile=min_quantile, balanced=balanced
    )
    assert float(loss) == pytest.approx(expected)


def test_a_left_out_negative_keeps_the_logit_zero():
    """Two superpixels with the same teacher feature: log(e^a + 1) - a, not 0."""
    student = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    loss = superpixelwise.st_slidr_loss(student, torch.tensor([0, 1]), student)
    a = 1 / (1 + 1e-6) / 0.07
    assert float(loss) == pytest.approx(math.log(math.exp(a) + 1) - a, abs=1e-12)


def test_balance_weights_by_hand():
    cosine = torch.tensor([[1.0, 0.9, 0.0], [0.9, 1.0, 0.4], [0.0, 0.4, 1.0]])
    assert superpixelwise.balance_weights(cosine).tolist() == pytest.approx([0, 0, 1])
    assert superpixelwise.balance_weights(torch.eye(3)).tolist() == [1, 1, 1]


def test_pearson_agrees_with_numpy():
    student, teacher = features(6), features(6, seed=1) + 5
    patches = torch.tensor([0, 0, 0, 4, 4, 9])
    correlation = [
        np.corrcoef(student[patches == p].mean(0), teacher[patches == p].mean(0))[0, 1]
        for p in (0, 4, 9)
    ]
    loss = patchwise.pearson_loss(student, teacher, patches)
    assert float(loss) == pytest.approx(10 * (1 - np.mean(correlation)), rel=1e-4)
    shifted = patchwise.pearson_loss(student + 3, teacher - 2, patches)
    assert float(shifted) == pytest.approx(float(loss), rel=1e-4)


def test_relational_by_loops():
    student, teacher = features(5), features(5, seed=1)

    def softmax(rows, columns, i):
        logits = [float(unit(rows[i]) @ unit(columns[j])) / 0.07 for j in range(5)]
        return [math.exp(v) / sum(map(math.exp, logits)) for v in logits]

    total = 0.0
    for i in range(5):
        target = softmax(teacher, teacher, i)
        for predicted in (softmax(student, student, i), softmax(student, teacher, i)):
            total += sum(p * math.log(p / q) for p, q in zip(target, predicted, strict=True)) / 5
    assert float(relational.relational_loss(student, teacher)) == pytest.approx(total)
    assert float(relational.relational_loss(teacher, 2 * teacher)) == pytest.approx(0, abs=1e-12)


def test_supervised_contrast_by_loops():
    rows, columns = features(6), features(6, seed=1)
    classes = torch.tensor([0, 0, 1, 2, 2, 2])
    losses = []
    for i in range(6):
        terms = [math.exp(float(rows[i] @ columns[j]) / 0.07) for j in range(6)]
        losses.append(
            -math.log(sum(terms[j] for j in range(6) if classes[j] == classes[i]) / sum(terms))
        )
    loss = contrastive.supervised_contrast(rows, columns, classes)
    assert float(loss) == pytest.approx(np.mean(losses))
    alone = contrastive.supervised_contrast(rows, columns, torch.arange(6))
    assert float(alone) == pytest.approx(float(contrastive.info_nce(rows, columns)))


def test_a_balanced_draw_evens_out_classes_and_distances():
    generator = torch.Generator().manual_seed(0)
    ranges = torch.cat(
        [
            torch.rand(9000, generator=generator) * 10,
            10 + torch.rand(1000, generator=generator) * 10,
        ]
    )
    classes = (torch.arange(10_000) % 10 == 0).long()  # a tenth is of class 1
    torch.manual_seed(0)
    drawn = contrastive.balanced_draw(ranges, classes, 500)
    assert len(drawn.unique()) == 500
    assert 0.4 < (ranges[drawn] > 10).double().mean() < 0.6
    assert 0.4 < classes[drawn].double().mean() < 0.6
    assert len(contrastive.balanced_draw(torch.ones(3), torch.zeros(3, dtype=torch.long), 9)) == 3


def test_superflow_is_the_sum_of_its_terms():
    student, teacher, dense = features(9), features(9, seed=1), features(4, seed=2)
    classes = torch.tensor([0, 1, 2, 0, 1, 1, 0, 2, -1])
    moments = torch.tensor([-1, -1, -1, 0, 0, 0, 1, 1, 1])
    dense_classes = torch.tensor([0, 0, 1, 2])

    def means(feat, classes, chosen):
        return region_means(classes[chosen], feat[chosen])

    def contrast(one, other):
        shared = [c for c in one if c in other]
        losses = [
            cross_entropy([float(one[c] @ other[d]) / 0.07 for d in shared], i)
            for i, c in enumerate(shared)
        ]
        return sum(losses) / len(shared)

    known = classes >= 0
    points = {m: means(student, classes, known & (moments == m)) for m in (-1, 0, 1)}
    pixels = {m: means(teacher, classes, known & (moments == m)) for m in (-1, 0, 1)}
    of_dense = means(dense, dense_classes, dense_classes >= 0)
    expected = sum(contrast(points[m], pixels[m]) for m in points) / 3
    expected += contrast(points[0], of_dense)
    expected += (contrast(points[0], points[-1]) + contrast(points[0], points[1])) / 2
    loss = classwise.superflow_loss(student, teacher, classes, moments, dense, dense_classes)
    assert float(loss) == pytest.approx(expected)


@pytest.mark.parametrize("dim", [4, 64, 432])
def test_von_mises_fisher_is_close_to_its_bessel_functions(dim):
    concentration = torch.tensor([0.5, 5.0, 50.0, 500.0], dtype=torch.float64)
    k = concentration.numpy()
    bessel = [scipy.special.ive(order, k) for order in (dim / 2, dim / 2 - 1)]
    valid = bessel[1] > 0  # the others underflow
    ours = vmf.mean_length(concentration, dim).numpy()
    assert valid.any()
    assert np.allclose(ours[valid], bessel[0][valid] / bessel[1][valid], rtol=0.03)
    slope = torch.autograd.functional.jacobian(
        lambda c: vmf.log_normaliser(c, dim).sum(), concentration
    )
    assert torch.allclose(-slope, vmf.mean_length(concentration, dim))


def test_fitting_a_distribution_inverts_its_mean_length():
    direction = torch.nn.functional.normalize(features(3), dim=1)
    concentration = torch.tensor([0.1, 3.0, 40.0], dtype=torch.float64)
    mean = direction * vmf.mean_length(concentration, 6)[:, None]
    found = vmf.fitted(mean)
    assert torch.allclose(found.concentration, concentration)
    assert torch.allclose(found.direction, direction)
    assert torch.allclose(vmf.kl_divergence(found, found), torch.zeros(3, dtype=torch.float64))
    opposite = vmf.VonMisesFisher(-found.direction, concentration)
    expected = 2 * concentration * vmf.mean_length(concentration, 6)
    assert torch.allclose(vmf.kl_divergence(found, opposite), expected)


@pytest.mark.parametrize("name", ["own_column", "own_class", "like"])
def test_blocks_of_rows_change_nothing(name, monkeypatch):
    """Values and gradients of whole matrices by torch, and of blocks of two rows."""
    rows, columns = (features(7, seed=seed).requires_grad_() for seed in (0, 1))
    classes, teacher = torch.tensor([0, 1, 0, 2, 2, 0, 1]), features(7, seed=2)
    logits, given = rows @ columns.T / 0.3, teacher @ teacher.T / 0.3
    log_q, log_p = logits.log_softmax(1), given.log_softmax(1)
    same = classes[:, None] == classes
    expected = {
        "own_column": -log_q.diagonal().mean(),
        "own_class": -(log_q.exp() * same).sum(1).log().mean(),
        "like": (log_p.exp() * (log_p - log_q)).sum(1).mean(),
    }[name]
    row_loss = {
        "own_column": similarities.own_column,
        "own_class": similarities.own_class(classes),
        "like": similarities.like(teacher, 0.3),
    }[name]
    wanted = torch.autograd.grad(expected, (rows, columns))
    for block in (14, 2**20):  # two rows, all rows
        monkeypatch.setattr(similarities, "BLOCK", block)
        loss = similarities.mean_over_rows(rows, columns, 0.3, row_loss)
        assert torch.allclose(loss, expected, atol=1e-12)
        for ours, theirs in zip(torch.autograd.grad(loss, (rows, columns)), wanted, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-12)
