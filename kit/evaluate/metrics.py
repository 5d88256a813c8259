"""Evaluation metrics: scores, classes and objects of points against annotations."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from sklearn.metrics import average_precision_score
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from kit.data.classes import IGNORE


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


def object_recall(
    found: Int[Tensor, " N"],
    annotated: Int[Tensor, " N"],
    overlap: float = 0.5,
    min_points: int = 20,
) -> tuple[int, int]:
    """How many annotated objects were found, and of how many.

    Found is an object for which some discovered one has a point IoU of at least `overlap`.

    Args:
        found, annotated: object of each point, -1 for none.
        min_points: annotated objects with fewer points do not count.
    """
    wanted, sizes = annotated[annotated >= 0].unique(return_counts=True)
    wanted = wanted[sizes >= min_points]
    hits = 0
    for number in wanted:
        inside = annotated == number
        touching = found[inside & (found >= 0)]
        if len(touching):
            best = touching.mode().values
            both = (touching == best).sum()
            hits += bool(both / (inside.sum() + (found == best).sum() - both) >= overlap)
    return hits, len(wanted)


def confusion_matrix(
    predicted: Int[Tensor, " N"], labels: Int[Tensor, " N"], num_classes: int
) -> Int[Tensor, "C C"]:
    """Counts [label, prediction] of the labelled points."""
    return multiclass_confusion_matrix(predicted, labels, num_classes, ignore_index=IGNORE)


def class_iou(confusion: Int[Tensor, "C C"]) -> Float[Tensor, " C"]:
    """Intersection over union by class, in [0, 1]; NaN where neither labelled nor predicted."""
    hits = confusion.diagonal()
    return hits / (confusion.sum(0) + confusion.sum(1) - hits)


def r_precision(feat: Float[Tensor, "N C"], labels: Int[Tensor, " N"], index: int) -> float:
    """Score a search by one example: of the most similar points, the share of the example's class.

    As many points are looked at as the class has others, so a perfect search scores 1 and chance
    the share of the class. Points without a class take no part.

    Args:
        feat: similarity is the cosine.
        labels: classes; IGNORE for none.
        index: row of the example.

    Returns:
        In [0, 1]; NaN if the example has no class, or is the only one of it.

    Source: R-precision, Manning, Raghavan & Schuetze, Introduction to Information Retrieval, 8.4.
    """
    others = labels != IGNORE
    others[index] = False
    wanted = labels[others] == labels[index]
    cosine = F.cosine_similarity(feat[others], feat[index][None], dim=1)
    most_similar = cosine.topk(int(wanted.sum())).indices
    return wanted[most_similar].float().mean().item()  # the mean of none is NaN
