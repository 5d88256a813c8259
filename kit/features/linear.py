"""A linear classifier on features, which queries and discovery train."""

import warnings

import numpy as np
import torch
from jaxtyping import Float
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Generator, Tensor

MAX_EXAMPLES = 6000  # positives, and as many negatives; more only take time


def fit_classifier(
    positive: Float[Tensor, "P D"],
    negative: Float[Tensor, "M D"],
    background: Float[Tensor, "B D"] | None = None,
    inverse_decay: float = 1.0,
    balanced: bool = True,
) -> tuple[Float[Tensor, " D"], float]:
    """Fit a logistic regression that separates positive from negative examples.

    Args:
        positive: unit features of what is searched.
        negative: unit features of other things.
        background: unit features of anything. If given, it has half of the negatives' weight, and
            `negative` has the other half.
        inverse_decay: inverse strength of the weight decay, `C` of scikit-learn.
        balanced: balance the classes; otherwise every example has weight 1.

    Returns:
        weight (D,) and bias of the log-odds.

    Source: balanced logistic regression, as in IGLOSS.
    """
    positive, negative = draw(positive, MAX_EXAMPLES), draw(negative, MAX_EXAMPLES)
    groups = [g for g in (negative, background) if g is not None and len(g)]
    feat = torch.cat([positive, *groups]).numpy()
    count = len(feat)
    sample_weight = _weights(len(positive), [len(g) for g in groups], balanced)
    target = np.r_[np.ones(len(positive)), np.zeros(count - len(positive))]
    model = LogisticRegression(C=inverse_decay, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits do not matter
        model.fit(feat, target, sample_weight=sample_weight)
    return torch.from_numpy(model.coef_[0]).float(), float(model.intercept_[0])


def _weights(num_positive: int, nums_negative: list[int], balanced: bool) -> np.ndarray:
    """Weights with mean 1, of the positives and then of each group of negatives."""
    count = num_positive + sum(nums_negative)
    positive = 0.5 if balanced else num_positive / count
    each = (1 - positive) / len(nums_negative)
    negatives = [np.full(number, each / number) for number in nums_negative]
    return np.concatenate([np.full(num_positive, positive / num_positive), *negatives]) * count


def draw(feat: Float[Tensor, "N D"], count: int, seed: int = 0) -> Float[Tensor, "M D"]:
    """At most `count` rows, drawn at random without repetition."""
    generator = Generator().manual_seed(seed)
    return feat[torch.randperm(len(feat), generator=generator)[:count]]
