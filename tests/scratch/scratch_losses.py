"""Two new losses: one compares pairs, the other the means of superpixels."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def smooth_l1(
    student_feat: Float[Tensor, "M D"], teacher_feat: Float[Tensor, "M D"]
) -> Float[Tensor, ""]:
    """Smooth L1 distance of the unit vectors of every pair."""
    return F.smooth_l1_loss(F.normalize(student_feat, dim=1), F.normalize(teacher_feat, dim=1))


def superpixel_cosine(
    student_feat: Float[Tensor, "M D"],
    teacher_feat: Float[Tensor, "M D"],
    superpixels: Int[Tensor, " M"],
) -> Float[Tensor, ""]:
    """Mean of 1 - cosine between the mean features of every superpixel."""
    _, number = superpixels.unique(return_inverse=True)
    student, teacher = (
        torch.zeros(int(number.max()) + 1, feat.shape[1]).index_add(0, number, feat)
        for feat in (student_feat, teacher_feat)
    )
    return 1 - F.cosine_similarity(student, teacher, dim=1).mean()
