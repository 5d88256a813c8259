"""Losses on classes of pixels, of SuperFlow and OLIVINE; the masks come from a segmenter or labels.

The simulated street knows the class of every point exactly. So it shows how good these losses are
with perfect masks.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from kit.distill.losses.contrastive import (
    NUM_PAIRS,
    TEMPERATURE,
    balanced_draw,
    info_nce,
    supervised_contrast,
)
from kit.distill.losses.groups import group_mean, numbered
from kit.distill.losses.von_mises_fisher import fitted, kl_divergence


def superflow_loss(
    student_feat: Float[Tensor, "M D"],
    teacher_feat: Float[Tensor, "M D"],
    classes: Int[Tensor, " M"],
    moments: Int[Tensor, " M"],
    dense_feat: Float[Tensor, "K D"],
    dense_classes: Int[Tensor, " K"],
    temperature: float = TEMPERATURE,
) -> Float[Tensor, ""]:
    """InfoNCE between class means: points and pixels, one scan and several, moment and moment.

    Three terms of weight 1: the mean of points against the mean of pixels, averaged over the
    moments; the points of the middle moment against those of several scans in one frame; and the
    points of the middle moment against those of the moments before and after it.

    Args:
        student_feat: of the points of M pairs.
        teacher_feat: of their pixels.
        classes: of each pair; negative ones are left out.
        moments: the moment of each pair: -1, 0 or 1.
        dense_feat: the student's features of K points of several scans in the middle one's frame.
        dense_classes: of these points.
        temperature: divides the products.

    Source: SuperFlow (arXiv:2407.06190): spatial, dense-to-sparse and temporal terms, without
        stopping gradients. Differs: the mean of pixels is taken over those with a point.
    """
    points = {m: _class_means(student_feat, classes, moments == m) for m in (-1, 0, 1)}
    pixels = {m: _class_means(teacher_feat, classes, moments == m) for m in (-1, 0, 1)}
    dense = _class_means(dense_feat, dense_classes, dense_classes >= 0)
    spatial = sum(_between(points[m], pixels[m], temperature) for m in (-1, 0, 1)) / 3
    temporal = sum(_between(points[0], points[m], temperature) for m in (-1, 1)) / 2
    return spatial + _between(points[0], dense, temperature) + temporal


def class_mean_loss(
    student_feat: Float[Tensor, "M D"],
    teacher_feat: Float[Tensor, "M D"],
    classes: Int[Tensor, " M"],
    temperature: float = TEMPERATURE,
) -> Float[Tensor, ""]:
    """The spatial term of `superflow_loss` for one moment.

    Source: SuperFlow (arXiv:2407.06190), spatial term.
    """
    chosen = torch.ones_like(classes, dtype=torch.bool)
    means = (_class_means(feat, classes, chosen) for feat in (student_feat, teacher_feat))
    return _between(*means, temperature)


def olivine_loss(
    student_feat: Float[Tensor, "M D"],
    teacher_feat: Float[Tensor, "M D"],
    classes: Int[Tensor, " M"],
    ranges: Float[Tensor, " M"],
    num_pairs: int = NUM_PAIRS,
    temperature: float = TEMPERATURE,
) -> Float[Tensor, ""]:
    """Half of InfoNCE plus half of supervised contrast, on pairs drawn by `balanced_draw`.

    Args:
        student_feat: of the points of M pairs.
        teacher_feat: of their pixels.
        classes: of each pair; negative ones are left out.
        ranges: distance of each point to the sensor, metres.
        num_pairs: how many pairs are drawn.
        temperature: divides the cosines.

    Source: OLIVINE (arXiv:2405.14271). Differs: both terms share the student's head, and the term
        with a distribution of each class, used there after 10,000 steps, is `class_spread_loss`.
    """
    known = (classes >= 0).nonzero().squeeze(1)
    if len(known) == 0:
        return student_feat.sum() * 0.0
    drawn = known[balanced_draw(ranges[known], classes[known], num_pairs)]
    student, teacher = (F.normalize(feat[drawn], dim=1) for feat in (student_feat, teacher_feat))
    supervised = supervised_contrast(student, teacher, classes[drawn], temperature)
    return (info_nce(student, teacher, temperature) + supervised) / 2


def class_spread_loss(
    student_feat: Float[Tensor, "M D"],
    teacher_feat: Float[Tensor, "M D"],
    classes: Int[Tensor, " M"],
) -> Float[Tensor, ""]:
    """KL divergence per channel between each class's distributions of points and of pixels.

    Each class is fitted by a von Mises-Fisher distribution, which has a mean direction and a
    concentration. The result is the mean over the classes with two pairs or more.

    Source: our reading of the third term of OLIVINE (arXiv:2405.14271).
    """
    present, number = numbered(classes)
    size = torch.bincount(number)
    used = (present >= 0) & (size >= 2)
    if not used.any():
        return student_feat.sum() * 0.0
    student, teacher = (
        fitted(group_mean(F.normalize(feat, dim=1), number, len(present))[used])
        for feat in (student_feat, teacher_feat)
    )
    return kl_divergence(student, teacher).mean() / student_feat.shape[1]


def _class_means(
    feat: Tensor, classes: Int[Tensor, " M"], chosen: Tensor
) -> tuple[Int[Tensor, " G"], Float[Tensor, "G D"]]:
    chosen = chosen & (classes >= 0)
    present, number = numbered(classes[chosen])
    return present, group_mean(F.normalize(feat[chosen], dim=1), number, len(present))


def _between(
    one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor], temperature: float
) -> Tensor:
    """InfoNCE of the classes that both have; zero if there is none."""
    shared = one[0][torch.isin(one[0], other[0])]
    if len(shared) == 0:
        return one[1].sum() * 0.0
    rows, columns = (mean[torch.searchsorted(ids, shared)] for ids, mean in (one, other))
    return info_nce(rows, columns, temperature)
