"""Balanced pairs: rare kinds of things count more in the loss.

Most points of a view are near, on the road and on walls. People and far cars are a few of thousands
of pairs, so an average over pairs hardly depends on them. Here pairs are of one kind if their
teacher features are in one cluster and their points in one interval of range. Kinds with few pairs
are drawn more often than those with many. No labels are needed. A pair that is drawn twice is its
own negative in losses that compare all pairs ("ppkt", "relational"): choose a low exponent there.

Source: OLIVINE (arXiv:2405.14271), sampling by density and class. Differs: clusters of the
    teacher's features instead of classes, intervals of range instead of an estimated density.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from kit.distill.clusters import kmeans, nearest_centre
from kit.distill.losses import LossInputs

RANGES = (4.0, 8.0, 15.0, 25.0, 40.0, 60.0)  # metres, between two intervals
NUM_CLUSTERS = 32
ROUNDS = 4  # of k-means
CLUSTERED = 4096  # pairs at most from which the clusters are made
OF_PAIRS = (
    "student_feat", "teacher_feat", "image_of_pair", "superpixels", "patches", "ranges", "classes",
    "moments",
)  # fmt: skip


def balance(inputs: LossInputs, exponent: float) -> LossInputs:
    """As many pairs as before, drawn with repetition so that rare kinds are more frequent.

    Args:
        inputs: with `ranges`.
        exponent: 0 leaves the pairs as they are; with 1 all kinds are equally frequent.
    """
    if exponent == 0:
        return inputs
    row = draw_balanced(kinds(inputs.teacher_feat, inputs.ranges), exponent)
    values = {name: getattr(inputs, name) for name in OF_PAIRS}
    return replace(inputs, **{n: None if v is None else v[row] for n, v in values.items()})


def kinds(teacher_feat: Float[Tensor, "M D"], ranges: Float[Tensor, " M"]) -> Int[Tensor, " M"]:
    """The kind of each pair: its cluster of teacher features and its interval of range."""
    unit = F.normalize(teacher_feat, dim=1)
    _, centres = kmeans(unit[:: -(-len(unit) // CLUSTERED)], NUM_CLUSTERS, ROUNDS)
    interval = torch.bucketize(ranges.contiguous(), torch.tensor(RANGES, device=ranges.device))
    return nearest_centre(unit, centres) * (len(RANGES) + 1) + interval


def draw_balanced(kind: Int[Tensor, " M"], exponent: float) -> Int[Tensor, " M"]:
    """Draw M rows so that a kind with n rows gets a part in proportion to n ** (1 - exponent).

    Nothing is random: a row whose expected number is between 1 and 2 is drawn once or twice.
    """
    weight = torch.bincount(kind)[kind].double() ** -exponent
    total = weight.cumsum(0)
    place = (torch.arange(len(kind), device=kind.device) + 0.5) * (total[-1] / len(kind))
    return torch.searchsorted(total, place)
