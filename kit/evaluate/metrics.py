"""Evaluation metrics: scores, classes and objects of points against annotations."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from sklearn.metrics import average_precision_score
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from kit.data.classes import IGNORE


def average_precision(score: Float[Tensor, " N"], wanted: Bool[Tensor, " N"]) -> float:
    """Average precision of a score; chance gives the ratio of wanted points.

    Args:
        score: higher where a point is more likely to be wanted.
        wanted: the annotation.

    Returns:
        In [0, 1]; NaN if no point is wanted.

    Source: scikit-learn's.
    """
    if not wanted.any():
        return float("nan")
    return float(average_precision_score(wanted.numpy(), score.numpy()))


@dataclass(frozen=True)
class Overlap:
    """Precision, recall, F1 and intersection over union of two masks, each in [0, 1]."""

    precision: float
    recall: float
    f1: float
    iou: float


def overlap(predicted: Bool[Tensor, " N"], wanted: Bool[Tensor, " N"]) -> Overlap:
    """Compare a predicted mask with the wanted one; a metric is 0 where its denominator is 0."""
    both, union = (predicted & wanted).sum().item(), (predicted | wanted).sum().item()
    num_predicted, num_wanted = predicted.sum().item(), wanted.sum().item()
    return Overlap(
        precision=both / max(num_predicted, 1),
        recall=both / max(num_wanted, 1),
        f1=2 * both / max(num_predicted + num_wanted, 1),
        iou=both / max(union, 1),
    )


def foreground_metrics(
    scores: Sequence[Float[Tensor, " _"]],
    annotations: Sequence[tuple[Bool[Tensor, " _"], Int[Tensor, " _"]]],
) -> dict[str, float]:
    """Compare scores of foreground with annotations, over the points of all keyframes together.

    Args:
        scores: of every point, by keyframe; above 0 for foreground.
        annotations: by keyframe: which points are foreground, and the index of those to score on.

    Returns:
        "AP", the average precision; "F1" and "IoU" of the points with a score above 0.
    """
    score = torch.cat([s[points] for s, (_, points) in zip(scores, annotations, strict=True)])
    wanted = torch.cat([wanted[points] for wanted, points in annotations])
    found = overlap(score > 0, wanted)
    return {"AP": average_precision(score, wanted), "F1": found.f1, "IoU": found.iou}


def object_recall(
    found: Int[Tensor, " N"],
    annotated: Int[Tensor, " N"],
    min_iou: float = 0.5,
    min_points: int = 20,
) -> tuple[int, int]:
    """Count the annotated objects that were found.

    An object is found if the discovered object that shares most points with it has an IoU of points
    of at least `min_iou`.

    Args:
        found: discovered object of each point, -1 for none.
        annotated: annotated object of each point, -1 for none.
        min_iou: in [0, 1].
        min_points: annotated objects with fewer points do not count.

    Returns:
        The number of objects found, and of all that count.
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
            hits += bool(both / (inside.sum() + (found == best).sum() - both) >= min_iou)
    return hits, len(wanted)


def confusion_matrix(
    predicted: Int[Tensor, " N"], labels: Int[Tensor, " N"], num_classes: int
) -> Int[Tensor, "C C"]:
    """Confusion matrix of the labelled points: counts [label, prediction]."""
    return multiclass_confusion_matrix(predicted, labels, num_classes, ignore_index=IGNORE)


def class_iou(confusion: Int[Tensor, "C C"]) -> Float[Tensor, " C"]:
    """Intersection over union by class, in [0, 1]; NaN where neither labelled nor predicted."""
    hits = confusion.diagonal()
    return hits / (confusion.sum(0) + confusion.sum(1) - hits)


def r_precision(feat: Float[Tensor, "N C"], labels: Int[Tensor, " N"], index: int) -> float:
    """R-precision of a search by one example: the ratio of its class among the most similar points.

    The number of most similar points is the number of other points of the class. So a perfect
    search gives 1, and chance the ratio of the class. Points without a class are left out.

    Args:
        feat: features; similarity is the cosine.
        labels: classes; IGNORE for none.
        index: row of the example.

    Returns:
        In [0, 1]; NaN if the example has no class, or is the only point of its class.

    Source: R-precision, Manning, Raghavan & Schuetze, Introduction to Information Retrieval, 8.4.
    """
    others = labels != IGNORE
    others[index] = False
    wanted = labels[others] == labels[index]
    cosine = F.cosine_similarity(feat[others], feat[index][None], dim=1)
    most_similar = cosine.topk(int(wanted.sum())).indices
    return wanted[most_similar].float().mean().item()  # the mean of none is NaN
