"""Losses: pure functions from two sets of features, or logits and labels, to one number."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from kit.data.classes import IGNORE


def distillation_loss(
    student_feat: Float[Tensor, "M D"], teacher_feat: Float[Tensor, "M D"]
) -> Float[Tensor, ""]:
    """Mean distance between the unit vectors of every pair; in [0, 2].

    The distance is not squared, so every pair pulls equally hard however far it is off.
    With cosine c of a pair the distance is sqrt(2 - 2c): 1.0 stands for c = 0.5, 0.7 for 0.755.

    Args:
        student_feat: output of the distillation head at the M points.
        teacher_feat: frozen features at their pixels; same row, same pair.

    Source: ScaLR (arXiv:2310.17504), the distillation loss.
    """
    difference = F.normalize(student_feat, dim=1) - F.normalize(teacher_feat, dim=1)
    return difference.norm(dim=1).mean()


def cosine_loss(
    student_feat: Float[Tensor, "M D"], teacher_feat: Float[Tensor, "M D"]
) -> Float[Tensor, ""]:
    """Mean of 1 - cosine over the pairs; in [0, 2].

    Source: OpenScene (arXiv:2211.15654), distillation loss.
    """
    return 1 - F.cosine_similarity(student_feat, teacher_feat, dim=1).mean()


def squared_l2_loss(
    student_feat: Float[Tensor, "M D"], teacher_feat: Float[Tensor, "M D"]
) -> Float[Tensor, ""]:
    """Mean squared distance between the unit vectors, mean of 2 - 2 cosine; in [0, 4].

    Twice the cosine loss: near pairs pull less than far ones.
    """
    difference = F.normalize(student_feat, dim=1) - F.normalize(teacher_feat, dim=1)
    return difference.square().sum(1).mean()


LOSSES = {"l2": distillation_loss, "cosine": cosine_loss, "squared_l2": squared_l2_loss}


def lovasz_softmax(
    probability: Float[Tensor, "N C"], labels: Int[Tensor, " N"]
) -> Float[Tensor, ""]:
    """Lovasz extension of the mean Jaccard loss, over the classes present in `labels`; in [0, 1].

    Args:
        probability: softmax output; rows sum to one.
        labels: class indices without IGNORE.

    Source: Berman et al., The Lovasz-Softmax loss, CVPR 2018 (arXiv:1705.08790), equations 8 and 9.
    """
    present = labels.unique()
    target = (labels[:, None] == present).to(probability.dtype)  # (N, P)
    error, order = (target - probability[:, present]).abs().sort(dim=0, descending=True)
    target = target.gather(0, order)
    intersection = target.sum(0) - target.cumsum(0)
    union = target.sum(0) + (1 - target).cumsum(0)
    jaccard = 1 - intersection / union
    step = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
    return (error * step).sum(0).mean()


def segmentation_loss(logits: Float[Tensor, "N C"], labels: Int[Tensor, " N"]) -> Float[Tensor, ""]:
    """Cross-entropy plus Lovasz-softmax over the labelled points; zero when there is none.

    Source: linear probing of ScaLR (arXiv:2310.17504), both terms with weight one.
    """
    labelled = labels != IGNORE
    logits, labels = logits[labelled], labels[labelled].long()
    if len(labels) == 0:
        return logits.sum() * 0
    return F.cross_entropy(logits, labels) + lovasz_softmax(logits.softmax(1), labels)
