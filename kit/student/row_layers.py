"""Layers that all students share: 1x1 convolutions on rows of points, the distillation head."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class RowConv1d(nn.Conv1d):
    """A 1x1 convolution applied to rows (N, C_in) -> (N, C_out), with nn.Conv1d's parameters."""

    def forward(self, rows: Float[Tensor, "N in_"]) -> Float[Tensor, "N out"]:
        return F.linear(rows, self.weight.flatten(1), self.bias)


class RowConv2d(nn.Conv2d):
    """`RowConv1d` with the parameters of a 1x1 nn.Conv2d."""

    forward = RowConv1d.forward


def distillation_head(width: int, widths: tuple[int, ...]) -> nn.Module:
    """One linear layer (ScaLR), or several with ReLU between them (ScaLR+).

    Args:
        width: channels C of the point features.
        widths: channels after each layer; the last one is the teacher's D.
    """
    layers: list[nn.Module] = []
    for narrow, wide in zip((width, *widths[:-1]), widths, strict=True):
        layers += [RowConv1d(narrow, wide, 1), nn.ReLU()]
    return layers[0] if len(widths) == 1 else nn.Sequential(*layers[:-1])
