"""The mean over the pairs of all processes, where each one has the mean over its own.

Processes have different numbers of pairs: a camera sees more points than another. A plain mean over
processes would give each of them the same weight, so a pair would count more where there are few.
"""

import torch
from jaxtyping import Float
from lightning.fabric import Fabric
from torch import Tensor


def share_of_mean(mean: Float[Tensor, ""], count: int, fabric: Fabric) -> Float[Tensor, ""]:
    """A value whose mean over all processes is the mean over everything that they have.

    Gradients are averaged over processes, so they become those of one process with everything.

    Args:
        mean: over what this process has.
        count: how many it has.
        fabric: knows the other processes.
    """
    if fabric.world_size == 1:
        return mean
    total = fabric.all_reduce(torch.tensor(count, device=mean.device), reduce_op="sum")
    return mean * (count * fabric.world_size / total)


def mean_of_all(value: Float[Tensor, ""], fabric: Fabric) -> Float[Tensor, ""]:
    """The mean over all processes, without gradient."""
    value = value.detach()
    return value if fabric.world_size == 1 else fabric.all_reduce(value, reduce_op="mean")
