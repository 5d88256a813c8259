"""Feature sets in an order, with one slider: layers of a student, or steps of a training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from kit.features.pca import PcaBasis
from kit.features.spaces import Features

SAMPLE = 2_000  # points, for the signs of components


@dataclass(frozen=True, eq=False)
class Steps:
    """Feature sets in an order, which share a button and a slider in the explorer.

    For example `kit.show.Steps(kit.extract_layers(student, keyframe, student.layers), "layer")`, as
    one of the `features` of `kit.Explorer`.

    Args:
        sets: by label, in the order of the slider: what `Explorer` takes for a feature set.
        what: one of them is, e.g. "layer" or "step"; before the label.

    Raises:
        ValueError: fewer than two sets.
    """

    sets: Mapping[str, Any]
    what: str = ""

    def __post_init__(self):
        if len(self.sets) < 2:
            raise ValueError(f"Steps need at least two feature sets, got {list(self.sets)}")


@dataclass(frozen=True)
class Step:
    """The place of a feature set among its steps.

    Attributes:
        group: name of the feature set that has steps.
        label: of this one, e.g. "layer 3".
    """

    group: str
    label: str


def spread_steps(
    features: Mapping[str, Any] | None,
) -> tuple[dict[str, Any], dict[str, Step]]:
    """Make every step a feature set of its own.

    Returns:
        sets: by name; a step is called "GROUP: LABEL".
        steps: the place of those sets that are steps.

    Raises:
        ValueError: a step has the name of another set.
    """
    sets: dict[str, Any] = {}
    steps: dict[str, Step] = {}
    for name, value in (features or {}).items():
        parts = {name: value}
        if isinstance(value, Steps):
            labels = {f"{value.what} {label}".strip(): each for label, each in value.sets.items()}
            parts = {f"{name}: {label}": each for label, each in labels.items()}
            steps |= {f"{name}: {label}": Step(name, label) for label in labels}
        if twice := parts.keys() & sets.keys():
            raise ValueError(f"two feature sets are called {sorted(twice)[0]!r}")
        sets |= parts
    return sets, steps


def with_signs_of(basis: PcaBasis, own: Features, before: PcaBasis, other: Features) -> PcaBasis:
    """The basis with the signs for which its coordinates are most like those of the step before.

    The sign of a principal component has no meaning; without this, colours would flip from step to
    step.
    """
    rows = np.linspace(0, len(own.index) - 1, min(SAMPLE, len(own.index))).astype(np.int64)
    points = own.index[torch.from_numpy(rows)]
    common = other.row_of(points) >= 0
    count = min(basis.components.shape[1], before.components.shape[1])
    if common.sum() < 2 or not count:
        return basis
    mine, theirs = (
        by.project(of.feat[of.row_of(points[common])])[:, :count]
        for by, of in ((basis, own), (before, other))
    )
    turned = ((mine - mine.mean(0)) * (theirs - theirs.mean(0))).sum(0) < 0  # (count,)
    sign = torch.ones(basis.components.shape[1])
    sign[:count][turned] = -1
    low, high = basis.low * sign, basis.high * sign
    return replace(
        basis,
        components=basis.components * sign,
        low=torch.minimum(low, high),
        high=torch.maximum(low, high),
    )
