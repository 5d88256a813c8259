"""Otsu's threshold, for scores that have no threshold of their own."""

import numpy as np
from jaxtyping import Float
from skimage.filters import threshold_otsu
from torch import Tensor

BINS = 256


def otsu(score: Float[Tensor, " S"]) -> float:
    """Otsu's threshold: splits scores into two groups with the least variance inside each group.

    The lowest and the highest half percent are left out, so that a few extreme scores do not decide
    the bins. If the other scores are all equal, the threshold is the highest score: no score is
    above it.

    Args:
        score: at least one.

    Source: Otsu, A Threshold Selection Method from Gray-Level Histograms (1979); scikit-image's.
    """
    values = score.double().numpy()
    low, high = np.percentile(values, [0.5, 99.5])
    if not high > low:
        return float(values.max())
    counts, edges = np.histogram(values.clip(low, high), BINS)
    # Upper edges instead of centres, so that a bin is either below the threshold or above it.
    return float(threshold_otsu(hist=(counts, edges[1:])))
