"""One linear classifier between two sets of features: all that queries and discovery ever learn."""

import warnings

import numpy as np
import torch
from jaxtyping import Float
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Generator, Tensor

MOST = 6000  # examples of a side; more only take time


def fit(
    positive: Float[Tensor, "P D"],
    negative: Float[Tensor, "M D"],
    background: Float[Tensor, "B D"] | None = None,
    strength: float = 1.0,
    balanced: bool = True,
) -> tuple[Float[Tensor, " D"], float]:
    """A linear classifier between examples and counter-examples.

    Args:
        positive: unit features of what is asked for.
        negative: of what it is not.
        background: of anything; it shares the weight of the counter-examples with `negative`,
            half and half.
        strength: inverse of the pull to zero, C of scikit-learn.
        balanced: both sides weigh the same; else every example does, and 0 is where a point is as
            likely one as the other.

    Returns:
        weight (D,) and bias of the log-odds.

    Source: balanced logistic regression, as in IGLOSS.
    """
    positive, negative = draw(positive, MOST), draw(negative, MOST)
    groups = [g for g in (negative, background) if g is not None and len(g)]
    feat = torch.cat([positive, *groups]).numpy()
    count = len(feat)
    sample_weight = _weights(len(positive), [len(g) for g in groups], balanced)
    target = np.r_[np.ones(len(positive)), np.zeros(count - len(positive))]
    model = LogisticRegression(C=strength, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits do not matter
        model.fit(feat, target, sample_weight=sample_weight)
    return torch.from_numpy(model.coef_[0]).float(), float(model.intercept_[0])


def _weights(num_positive: int, of_groups: list[int], balanced: bool) -> np.ndarray:
    """Weights of mean 1: of the positives, then of each group of negatives."""
    count = num_positive + sum(of_groups)
    share = 0.5 if balanced else num_positive / count
    rest = [np.full(n, (1 - share) / len(of_groups) / n) for n in of_groups]
    return np.concatenate([np.full(num_positive, share / num_positive), *rest]) * count


def draw(feat: Float[Tensor, "N D"], count: int, seed: int = 0) -> Float[Tensor, "M D"]:
    """At most `count` rows, drawn at random."""
    generator = Generator().manual_seed(seed)
    return feat[torch.randperm(len(feat), generator=generator)[:count]]
