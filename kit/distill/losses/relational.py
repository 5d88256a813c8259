"""The relational loss: points must be as similar to each other as their pixels are."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kit.distill.losses.contrastive import NUM_PAIRS, TEMPERATURE
from kit.distill.losses.similarities import like, mean_over_rows


def relational_loss(
    student_feat: Float[Tensor, "M D"],
    teacher_feat: Float[Tensor, "M D"],
    num_pairs: int = NUM_PAIRS,
    temperature: float = TEMPERATURE,
) -> Float[Tensor, ""]:
    """KL divergence from the teacher's similarities to those of points, and of points to pixels.

    For each pixel, a softmax of its cosines to all pixels says which are similar. The same softmax
    of a point to all points, and of a point to all pixels, should agree with it; zero if both do.

    Args:
        student_feat: of the points of M pairs.
        teacher_feat: of their pixels.
        num_pairs: how many pairs are drawn, without replacement; all of them if there are fewer.
        temperature: divides the cosines.

    Source: our reading of relational distillation between images and points (arXiv:2409.00845),
        whose exact formula we could not confirm.
    """
    drawn = torch.randperm(len(student_feat), device=student_feat.device)[:num_pairs]
    student, teacher = (F.normalize(feat[drawn], dim=1) for feat in (student_feat, teacher_feat))
    target = like(teacher, temperature)
    to_points = mean_over_rows(student, student, temperature, target)
    return to_points + mean_over_rows(student, teacher, temperature, target)
