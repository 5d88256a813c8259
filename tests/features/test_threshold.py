"""Otsu's threshold against the definition, and on scores without two groups."""

import numpy as np
import torch

from kit.features.threshold import otsu


def two_groups(seed=0):
    generator = torch.Generator().manual_seed(seed)
    groups = [torch.randn(500, generator=generator) * 0.3 + centre for centre in (-1, 2)]
    return torch.cat(groups)


def test_two_groups_are_split_between_them():
    assert -0.3 < otsu(two_groups()) < 1.3


def test_no_other_threshold_has_less_variance_inside_the_groups():
    """Overlapping groups of unequal size, by trying every threshold."""
    generator = torch.Generator().manual_seed(1)
    score = torch.cat(
        [torch.randn(900, generator=generator), 3 + torch.randn(200, generator=generator)]
    )
    values = score.double().numpy()
    values = values.clip(*np.percentile(values, [0.5, 99.5]))

    def variance(threshold):
        groups = values[values <= threshold], values[values > threshold]
        return sum(len(group) * group.var() for group in groups)

    best = min(variance(threshold) for threshold in np.unique(values)[:-1])
    assert variance(otsu(score)) < 1.003 * best  # a bin is as fine as it gets


def test_a_few_extreme_scores_do_not_move_it():
    extreme = torch.cat([two_groups(), torch.tensor([1e6, -1e6])])
    assert -0.3 < otsu(extreme) < 1.3


def test_equal_scores_are_not_above_it():
    same = torch.full((9,), 0.7)
    assert otsu(same) == np.float32(0.7)
    mostly = torch.cat([torch.full((999,), 0.7), torch.tensor([0.2])])
    assert not (mostly > otsu(mostly)).any()
