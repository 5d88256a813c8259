"""Loss of a segmentation: cross-entropy and Lovasz-softmax."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from kit.data.classes import IGNORE


def lovasz_softmax(
    probability: Float[Tensor, "N C"], labels: Int[Tensor, " N"]
) -> Float[Tensor, ""]:
    """Lovasz extension of the mean Jaccard loss, over the classes present in `labels`; in [0, 1].

    Args:
        probability: softmax output, rows sum to one.
        labels: class indices, without IGNORE.

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
    """Cross-entropy plus Lovasz-softmax over the labelled points; zero if there is none.

    Args:
        logits: of each point and class.
        labels: class indices; IGNORE for points without a label.

    Source: linear probing of ScaLR (arXiv:2310.17504), both terms with weight one.
    """
    labelled = labels != IGNORE
    logits, labels = logits[labelled], labels[labelled].long()
    if len(labels) == 0:
        return logits.sum() * 0
    return F.cross_entropy(logits, labels) + lovasz_softmax(logits.softmax(1), labels)
