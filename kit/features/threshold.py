"""A threshold for scores that come without one."""

import numpy as np
from jaxtyping import Float
from skimage.filters import threshold_otsu
from torch import Tensor


def otsu(score: Float[Tensor, " S"]) -> float:
    """Otsu's threshold: splits scores into two groups with the least variance inside each group.

    The lowest and the highest half percent are left out, so that a few extreme scores do not decide
    the bins. If the other scores are all equal, the threshold is the highest score: no score is
    above it.

    Args:
        score: at least one.

    Source: Otsu, A Threshold Selection Method from Gray-Level Histograms (1979); scikit-image's,
        256 bins.
    """
    values = score.double().numpy()
    low, high = np.percentile(values, [0.5, 99.5])
    if not high > low:
        return float(values.max())
    return float(threshold_otsu(values.clip(low, high)))
