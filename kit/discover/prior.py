"""A prior of foreground: a linear score of features, learned from exact annotations of streets.

The shape of a scan alone takes hedges and fences for cars, and cars beside a hedge for the hedge.
The prior is high for features of movable things, and low for others. It is learned from simulated
streets only, where every object is known; no label of a recording is used.
`kit/discover/street_prior.json` holds the one of the teacher that comes with the kit, and so of
every student that was distilled from it; `python -m kit.commands.prior` makes it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kit.features.linear import draw, fit_classifier
from kit.features.spaces import Features, Space
from kit.store import files as store

FILE = Path(__file__).parent / "street_prior.json"
EXAMPLES = 1500  # points drawn from each side of a keyframe
BACKGROUND, UNDECIDED = -1.0, -0.1  # initial scores, as `shape_score` gives them


@dataclass(frozen=True, eq=False)
class Prior:
    """A linear score of unit features, above 0 for movable things.

    Attributes:
        key: of the feature space, `Space.key`.
        weight: (D,)
        bias: the score is `unit @ weight + bias`, in log-odds.
    """

    key: str
    weight: Float[Tensor, " D"]
    bias: float

    def score(self, features: Features) -> Float[Tensor, " S"]:
        """The score of every feature.

        Raises:
            ValueError: features of another space.
        """
        if features.space.key != self.key:
            raise ValueError(
                f"the prior is of the space {self.key[:8]}, these features are of "
                f"{features.space.name} ({features.space.key[:8]})"
            )
        return features.unit @ self.weight + self.bias


def street_prior(space: Space) -> Prior | None:
    """The prior that comes with the kit; None if it is of another feature space."""
    prior = _stored()
    return prior if prior is not None and prior.key == space.key else None


@cache
def _stored() -> Prior | None:
    if not FILE.exists():
        return None
    content = store.read_json(FILE)
    return Prior(content["key"], torch.tensor(content["weight"]), float(content["bias"]))


def fit_prior(annotated: Iterable[tuple[Features, Bool[Tensor, " N"]]]) -> Prior:
    """Fit a prior to keyframes whose foreground is known.

    Args:
        annotated: features of a keyframe, all of one space, and which of its points are foreground.

    Raises:
        ValueError: no keyframe, or one of them has another feature space.
    """
    positive, negative, keys = [], [], []
    for features, foreground in annotated:
        wanted = foreground[features.index]
        positive.append(draw(features.unit[wanted], EXAMPLES))
        negative.append(draw(features.unit[~wanted], EXAMPLES))
        keys.append(features.space.key)
    if len(set(keys)) != 1:
        raise ValueError(f"a prior needs features of one space, got {len(set(keys))}")
    weight, bias = fit_classifier(torch.cat(positive), torch.cat(negative))
    return Prior(keys[0], weight, bias)


def change_initial(
    initial: Float[Tensor, " S"], prior: Float[Tensor, " S"], kind: str
) -> Float[Tensor, " S"]:
    """Change initial foreground scores where a prior contradicts them.

    Args:
        initial: above 0 foreground, below -0.5 background, see `kit.discover.shape.shape_score`.
        prior: log-odds of foreground, averaged over components.
        kind: "veto": foreground with a negative prior becomes undecided, so that nothing is learned
            from it. "both": it becomes background, and background with a positive prior becomes
            undecided.
    """
    score = initial.clone()
    score[(initial > 0) & (prior < 0)] = UNDECIDED if kind == "veto" else BACKGROUND
    if kind == "both":
        score[(initial < -0.5) & (prior > 0)] = UNDECIDED
    return score
