"""Contrastive losses on superpixels: means of points against means of pixels.

The means of unit vectors are not normalised again, so their products are smaller than cosines.
Superpixels without a point are left out.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from kit.distill.losses.contrastive import TEMPERATURE, info_nce
from kit.distill.losses.groups import group_mean, numbered


def slidr_loss(
    student_feat: Float[Tensor, "M D"],
    superpixels: Int[Tensor, " M"],
    superpixel_feat: Float[Tensor, "S D"],
    temperature: float = TEMPERATURE,
) -> Float[Tensor, ""]:
    """InfoNCE between the mean of a superpixel's points and the mean of all its pixels.

    Args:
        student_feat: of the points of M pairs.
        superpixels: of the pixel of each pair, an index into `superpixel_feat`.
        superpixel_feat: mean of the unit teacher features of all pixels of each superpixel.
        temperature: divides the products.

    Source: SLidR (arXiv:2203.16258), superpixel-driven contrastive loss.
    """
    return info_nce(*_means(student_feat, superpixels, superpixel_feat), temperature)


def st_slidr_loss(
    student_feat: Float[Tensor, "M D"],
    superpixels: Int[Tensor, " M"],
    superpixel_feat: Float[Tensor, "S D"],
    temperature: float = TEMPERATURE,
    min_quantile: float | None = None,
    balanced: bool = False,
) -> Float[Tensor, ""]:
    """`slidr_loss`, in which superpixels that look alike count less as negatives.

    With c the cosine of two superpixels' teacher features, clipped to [0, 1], the logits of
    different superpixels are multiplied with 1 - c.

    Args:
        student_feat: of the points of M pairs.
        superpixels: of the pixel of each pair, an index into `superpixel_feat`.
        superpixel_feat: mean of the unit teacher features of all pixels of each superpixel.
        temperature: divides the products.
        min_quantile: instead, of each row, the factors below this quantile become 0 and all others
            1, 0.01 in the published settings. A left-out negative keeps the logit 0.
        balanced: weight superpixels by `balance_weights`, as published for the whole method. The
            cosines are then not clipped.

    Source: ST-SLidR (arXiv:2301.05709), semantically tolerant loss and class balance.
    """
    rows, columns = _means(student_feat, superpixels, superpixel_feat)
    unit = F.normalize(columns, dim=1)
    cosine = unit @ unit.T
    factor = tolerance(cosine if balanced else cosine.clamp(0, 1), min_quantile)
    logits = rows @ columns.T / temperature * factor
    target = torch.arange(len(rows), device=rows.device)
    loss = F.cross_entropy(logits, target, reduction="none")
    if not balanced:
        return loss.mean()
    weight = balance_weights(cosine)
    return (weight * loss).sum() / weight.sum()


def tolerance(
    cosine: Float[Tensor, "G G"], min_quantile: float | None = None
) -> Float[Tensor, "G G"]:
    """The factors of `st_slidr_loss`: 1 - cosine, or 0 and 1 by a quantile; 1 on the diagonal."""
    factor = 1 - cosine
    if min_quantile is not None:
        limit = factor.quantile(min_quantile, dim=1, keepdim=True)
        factor = ((factor >= limit) & (factor != 0)).to(cosine.dtype)
    return factor.where(~torch.eye(len(cosine), dtype=torch.bool, device=cosine.device), 1.0)


def balance_weights(cosine: Float[Tensor, "G G"]) -> Float[Tensor, " G"]:
    """Weights 1 - v: small for superpixels with many similar ones.

    v is the sum of a row's cosines from 0.5 on, scaled to [0, 1] over the batch. All weights are 1
    if all rows have the same sum.

    Source: ST-SLidR (arXiv:2301.05709), class balance.
    """
    similar = cosine.where(cosine >= 0.5, 0.0).sum(1)
    span = similar.max() - similar.min()
    if span < 1e-6:
        return torch.ones_like(similar)
    return 1 - (similar - similar.min()) / span


def _means(
    student_feat: Tensor, superpixels: Tensor, superpixel_feat: Tensor
) -> tuple[Float[Tensor, "G D"], Float[Tensor, "G D"]]:
    """Mean features of the points and of the pixels of each superpixel that holds a point."""
    present, number = numbered(superpixels)
    student = group_mean(F.normalize(student_feat, dim=1), number, len(present))
    return student, superpixel_feat[present]
