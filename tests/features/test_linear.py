"""The classifier against scikit-learn's own balancing, and its properties."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from kit.features.linear import draw, fit_classifier


def examples(seed=0, count=60, dim=5):
    generator = torch.Generator().manual_seed(seed)
    positive = torch.randn(count, dim, generator=generator) + 1.0
    negative = torch.randn(4 * count, dim, generator=generator)
    return positive, negative


def test_it_is_scikit_learns_balanced_regression():
    positive, negative = examples()
    weight, bias = fit_classifier(positive, negative)
    target = np.r_[np.ones(len(positive)), np.zeros(len(negative))]
    feat = torch.cat([draw(positive, 6000), draw(negative, 6000)]).numpy()
    theirs = LogisticRegression(C=1.0, class_weight="balanced", max_iter=200).fit(feat, target)
    assert np.allclose(weight, theirs.coef_[0], atol=1e-3)
    assert bias == pytest.approx(theirs.intercept_[0], abs=1e-3)


def test_unbalanced_is_scikit_learns_plain_regression():
    positive, negative = examples()
    weight, bias = fit_classifier(positive, negative, balanced=False)
    target = np.r_[np.ones(len(positive)), np.zeros(len(negative))]
    feat = torch.cat([positive, negative]).numpy()
    theirs = LogisticRegression(C=1.0, max_iter=200).fit(feat, target)
    assert np.allclose(weight, theirs.coef_[0], atol=1e-3)
    assert bias == pytest.approx(theirs.intercept_[0], abs=1e-3)


def test_the_number_of_negatives_does_not_move_the_border():
    positive, negative = examples()
    once = fit_classifier(positive, negative)
    thrice = fit_classifier(positive, negative.repeat(3, 1), inverse_decay=1 / 2.2)
    assert torch.nn.functional.cosine_similarity(once[0], thrice[0], dim=0) > 0.99


def test_the_size_of_the_background_does_not_change_its_weight():
    """Whether the background is given once or ten times over, the classifier is the same."""
    positive, negative = examples()
    background = torch.randn(50, 5, generator=torch.Generator().manual_seed(9)) - 1
    # The decay is for examples of weight 1, so it is divided by the number of examples.
    few = fit_classifier(positive, negative, background, inverse_decay=1.0)
    many = fit_classifier(positive, negative, background.repeat(10, 1), inverse_decay=350 / 800)
    assert torch.allclose(few[0], many[0], atol=5e-3)


def test_drawing_is_repeatable_and_without_repetition():
    feat = torch.arange(100.0)[:, None]
    assert torch.equal(draw(feat, 10), draw(feat, 10))
    assert not torch.equal(draw(feat, 10), draw(feat, 10, seed=1))
    assert len(draw(feat, 10).unique()) == 10 and len(draw(feat, 1000)) == 100
