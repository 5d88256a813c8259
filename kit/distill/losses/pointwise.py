"""Losses that compare the two features of each pair, independently of all other pairs."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def distillation_loss(
    student_feat: Float[Tensor, "M D"], teacher_feat: Float[Tensor, "M D"]
) -> Float[Tensor, ""]:
    """Mean distance between the normalised features of each pair; in [0, 2].

    The distance is not squared, so the gradient of a pair has the same length however large its
    distance is. A pair with cosine c has the distance sqrt(2 - 2c): 1.0 for c = 0.5, 0.7 for 0.755.

    Args:
        student_feat: output of the distillation head at the M points.
        teacher_feat: features of the frozen teacher at their pixels; same row, same pair.

    Source: ScaLR (arXiv:2310.17504), the distillation loss.
    """
    difference = F.normalize(student_feat, dim=1) - F.normalize(teacher_feat, dim=1)
    return difference.norm(dim=1).mean()


def cosine_loss(
    student_feat: Float[Tensor, "M D"], teacher_feat: Float[Tensor, "M D"]
) -> Float[Tensor, ""]:
    """Mean of 1 - cosine similarity over the pairs; in [0, 2].

    Source: OpenScene (arXiv:2211.15654), distillation loss.
    """
    return 1 - F.cosine_similarity(student_feat, teacher_feat, dim=1).mean()


def squared_l2_loss(
    student_feat: Float[Tensor, "M D"], teacher_feat: Float[Tensor, "M D"]
) -> Float[Tensor, ""]:
    """Mean squared distance between the normalised features of each pair; in [0, 4].

    It is twice the cosine loss. The gradient of a pair is smaller if its distance is smaller.
    """
    difference = F.normalize(student_feat, dim=1) - F.normalize(teacher_feat, dim=1)
    return difference.square().sum(1).mean()


def smooth_l1_loss(
    student_feat: Float[Tensor, "M D"], teacher_feat: Float[Tensor, "M D"]
) -> Float[Tensor, ""]:
    """Mean Huber distance between the channels of the normalised features; quadratic below 1.

    Source: torch's smooth_l1_loss with beta 1, on unit vectors.
    """
    return F.smooth_l1_loss(F.normalize(student_feat, dim=1), F.normalize(teacher_feat, dim=1))
