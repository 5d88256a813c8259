"""Losses: pure functions from two sets of features, or logits and labels, to one number."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


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
