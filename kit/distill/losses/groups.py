"""Means over groups of pairs: superpixels, patches, classes."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

EPSILON = 1e-6  # SLidR (arXiv:2203.16258) adds it to the number of points of a superpixel


def group_mean(
    feat: Float[Tensor, "M D"], group: Int[Tensor, " M"], count: int
) -> Float[Tensor, "count D"]:
    """Mean of the rows of each group 0 to count - 1; zero for a group without rows."""
    total = feat.new_zeros(count, feat.shape[1]).index_add(0, group, feat)
    size = torch.bincount(group, minlength=count)
    return total / (size[:, None] + EPSILON)


def numbered(group: Int[Tensor, " M"]) -> tuple[Int[Tensor, " G"], Int[Tensor, " M"]]:
    """The groups that occur, in increasing order, and the number of each row's group in them."""
    return group.unique(return_inverse=True)
