"""What an answer is worth: scores per point against annotations, objects against boxes."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from sklearn.metrics import average_precision_score
from torch import Tensor

from kit.data.classes import IGNORE, NUSCENES
from kit.data.keyframe import Keyframe

THINGS = NUSCENES.names[:10]  # what can move or be moved; nuScenes puts boxes around them


def average_precision(score: Float[Tensor, " N"], wanted: Bool[Tensor, " N"]) -> float:
    """Mean precision over the wanted points, most certain first; chance gives their share.

    NaN if nothing is wanted.
    """
    if not wanted.any():
        return float("nan")
    return float(average_precision_score(wanted.numpy(), score.numpy()))


@dataclass(frozen=True)
class Overlap:
    """How well a yes-or-no answer covers what is wanted, each in [0, 1]."""

    precision: float
    recall: float
    f1: float
    iou: float


def overlap(said: Bool[Tensor, " N"], wanted: Bool[Tensor, " N"]) -> Overlap:
    """Compare a mask with the wanted one; 0 where a denominator is."""
    both, union = (said & wanted).sum().item(), (said | wanted).sum().item()
    num_said, num_wanted = said.sum().item(), wanted.sum().item()
    return Overlap(
        precision=both / max(num_said, 1),
        recall=both / max(num_wanted, 1),
        f1=2 * both / max(num_said + num_wanted, 1),
        iou=both / max(union, 1),
    )


def annotated_foreground(
    keyframe: Keyframe,
) -> tuple[Bool[Tensor, " N"], Bool[Tensor, " N"]]:
    """Points on things, and the points whose annotation is known.

    From the simulation where there is one, else from labels (`THINGS`), else from boxes.

    Raises:
        ValueError: the keyframe has none of them.
    """
    everywhere = torch.ones(len(keyframe.points), dtype=torch.bool)
    if keyframe.truth is not None:
        return keyframe.truth.foreground, everywhere
    if keyframe.labels is not None:
        things = [i for i, name in enumerate(keyframe.classes.names) if name in THINGS]
        scored = keyframe.labels != IGNORE
        return torch.isin(keyframe.labels, torch.tensor(things)), scored
    if not keyframe.boxes:
        raise ValueError(f"keyframe {keyframe.token} has neither labels nor boxes to compare with")
    return annotated_objects(keyframe) >= 0, everywhere


def annotated_objects(keyframe: Keyframe) -> Int[Tensor, " N"]:
    """The annotated object of each point, -1 for none; in several boxes, the smallest counts."""
    if keyframe.truth is not None:
        return keyframe.truth.object_of_point
    inside = torch.full((len(keyframe.points),), -1)
    largest_first = sorted(
        range(len(keyframe.boxes)), key=lambda i: -torch.tensor(keyframe.boxes[i].size).prod()
    )
    for index in largest_first:
        inside[keyframe.boxes[index].contains(keyframe.points)] = index
    return inside


def object_recall(
    found: Int[Tensor, " N"], truth: Int[Tensor, " N"], overlap: float = 0.5, min_points: int = 20
) -> tuple[int, int]:
    """How many annotated objects were found, and of how many.

    Found is an object for which some discovered one has a point IoU of at least `overlap`.

    Args:
        found, truth: object of each point, -1 for none.
        min_points: annotated objects with fewer points do not count.
    """
    wanted, sizes = truth[truth >= 0].unique(return_counts=True)
    wanted = wanted[sizes >= min_points]
    hits = 0
    for number in wanted:
        inside = truth == number
        touching = found[inside & (found >= 0)]
        if len(touching):
            best = touching.mode().values
            both = (touching == best).sum()
            hits += bool(both / (inside.sum() + (found == best).sum() - both) >= overlap)
    return hits, len(wanted)
