"""Contrastive losses on pairs: a pair's own pixel against the pixels of other pairs.

The loss is the cross-entropy of a softmax over all pixels, in which a point's own pixel is the
right class. The cosine similarities are divided by a temperature, 0.07 in all of this family.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from kit.distill.losses.similarities import mean_over_rows, own_class, own_column

NUM_PAIRS = 4096  # that are drawn from a batch, PPKT and OLIVINE
TEMPERATURE = 0.07


def info_nce(
    rows: Float[Tensor, "G D"], columns: Float[Tensor, "G D"], temperature: float = TEMPERATURE
) -> Float[Tensor, ""]:
    """Mean cross entropy of row i with column i, among all columns; log G if all are equal.

    Source: InfoNCE (arXiv:1807.03748).
    """
    return mean_over_rows(rows, columns, temperature, own_column)


def ppkt_loss(
    student_feat: Float[Tensor, "M D"],
    teacher_feat: Float[Tensor, "M D"],
    num_pairs: int = NUM_PAIRS,
    temperature: float = TEMPERATURE,
) -> Float[Tensor, ""]:
    """InfoNCE between points and pixels, on pairs drawn from the whole batch.

    Args:
        student_feat: of the points of M pairs.
        teacher_feat: of their pixels.
        num_pairs: how many pairs are drawn, without replacement; all of them if there are fewer.
        temperature: divides the cosine similarities.

    Source: PPKT (arXiv:2104.04687), as in the code of SLidR (arXiv:2203.16258). Differs: there, a
        batch with fewer pairs than `num_pairs` is an error.
    """
    drawn = torch.randperm(len(student_feat), device=student_feat.device)[:num_pairs]
    student, teacher = (F.normalize(feat[drawn], dim=1) for feat in (student_feat, teacher_feat))
    return info_nce(student, teacher, temperature)


def supervised_contrast(
    rows: Float[Tensor, "M D"],
    columns: Float[Tensor, "M D"],
    classes: Int[Tensor, " M"],
    temperature: float = TEMPERATURE,
) -> Float[Tensor, ""]:
    """InfoNCE in which every pixel of the point's class is a positive.

    mean over i of -log( sum over j of class i of exp(s_ij) / sum over all j of exp(s_ij) )

    Source: OLIVINE (arXiv:2405.14271), supervised contrast.
    """
    return mean_over_rows(rows, columns, temperature, own_class(classes))


def balanced_draw(
    ranges: Float[Tensor, " M"], classes: Int[Tensor, " M"], num_pairs: int = NUM_PAIRS
) -> Int[Tensor, " n"]:
    """Draw pairs so that all distances and all classes are about equally frequent.

    The probability of a pair is proportional to 1 / (density of its distance * number of pairs of
    its class). The density is a Gaussian kernel estimate with the bandwidth 1.06 std M^(-1/5).

    Args:
        ranges: distance of each point to the sensor, metres.
        classes: class of each point.
        num_pairs: how many are drawn, without replacement; at most M.

    Returns:
        Indices of pairs.

    Source: OLIVINE (arXiv:2405.14271), sampling of points; bandwidth: Silverman's rule. Differs:
        the density is read off a table of 512 distances.
    """
    count = len(ranges)
    bandwidth = (1.06 * ranges.std(correction=0) * count ** (-1 / 5)).clamp(min=1e-3)
    at = torch.linspace(0, 1, 512, dtype=ranges.dtype, device=ranges.device) * (
        ranges.max() - ranges.min()
    )
    histogram = torch.histc(ranges, len(at), float(ranges.min()), float(ranges.max()) + 1e-6)
    kernel = torch.exp(-0.5 * ((at[:, None] - at) / bandwidth).square())
    density = (kernel @ histogram)[((ranges - ranges.min()) / (at[1] + 1e-12)).round().long()]
    _, number, size = classes.unique(return_inverse=True, return_counts=True)
    weight = 1 / (density.clamp(min=1e-12) * size[number])
    return torch.multinomial(weight / weight.sum(), min(num_pairs, count))
