"""The loss on image patches: the correlation of channels instead of their cosine."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from kit.distill.losses.groups import group_mean, numbered

WEIGHT = 10.0  # Concerto and Utonia


def pearson_loss(
    student_feat: Float[Tensor, "M D"],
    teacher_feat: Float[Tensor, "M D"],
    patches: Int[Tensor, " M"],
) -> Float[Tensor, ""]:
    """10 * mean of 1 - Pearson correlation of the two features of each patch; in [0, 20].

    The features of the points that fall into one patch of the image are averaged. Then each vector
    loses its own mean over the channels: a constant added to all channels changes nothing.

    Args:
        student_feat: of the points of M pairs.
        teacher_feat: of their pixels.
        patches: the patch of each pixel, unique over the images of the batch.

    Source: the image term of Concerto (arXiv:2510.23607). Differs: the teacher's feature of a patch
        is the mean of its values, interpolated at the pairs, and not the value at its centre.
    """
    present, number = numbered(patches)
    centred = []
    for feat in (student_feat, teacher_feat):
        mean = group_mean(feat, number, len(present))
        centred.append(mean - mean.mean(1, keepdim=True))
    return WEIGHT * (1 - F.cosine_similarity(*centred, dim=1)).mean()
