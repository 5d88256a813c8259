"""WaffleIron as it is published: scans padded to one length, channels first, dense planes.

The second implementation that `python -m kit bench students` and the tests hold the kit's student
against. It borrows the parameters of a `kit.WaffleIron`, so both compute the same function.

Source: WaffleIron (Puy et al., ICCV 2023, arXiv:2301.10100), written from its formulas; padding,
    channel order and scatter_reduce as in the published code.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kit.student.scans import InputConfig, Scan
from kit.student.waffleiron.model import ChannelMix, SpatialMix, WaffleIron


@dataclass(frozen=True)
class DenseBatch:
    """B scans padded with zeros to the longest, N points.

    Attributes:
        feat: (B, 5, N).
        neighbours: (B, K, N) rows of the own scan.
        cells: (B, 3, N) row-major cell in each plane; padded points lie in cell 0.
        real: (B, 1, N) False where padded.
        grids: (rows, columns) of each plane.
    """

    feat: Float[Tensor, "B 5 N"]
    neighbours: Int[Tensor, "B K N"]
    cells: Int[Tensor, "B 3 N"]
    real: Bool[Tensor, "B 1 N"]
    grids: tuple[tuple[int, int], ...]

    def to(self, device) -> "DenseBatch":
        """The same batch on another device."""
        tensors = {n: v.to(device) for n, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **tensors)


def dense_batch(scans: list[Scan], config: InputConfig) -> DenseBatch:
    """Pad scans to the longest of them."""
    longest = max(len(scan.feat) for scan in scans)

    def padded(rows: Tensor) -> Tensor:  # (C, n) -> (C, N)
        return F.pad(rows, (0, longest - rows.shape[1]))

    return DenseBatch(
        feat=torch.stack([padded(scan.feat.T) for scan in scans]),
        neighbours=torch.stack([padded(scan.neighbours.T) for scan in scans]),
        cells=torch.stack([padded(scan.cells) for scan in scans]),
        real=torch.stack([padded(torch.ones(1, len(s.feat), dtype=torch.bool)) for s in scans]),
        grids=config.grids,
    )


class DenseWaffleIron(nn.Module):
    """The dense network over the parameters of `student`; (B, 5, N) -> (B, D, N)."""

    def __init__(self, student: WaffleIron):
        super().__init__()
        self.student = student

    def features(self, batch: DenseBatch) -> Float[Tensor, "B C N"]:
        """Point features before the distillation head."""
        x = self._embedding(batch)  # (B, C, N)
        net = self.student.waffleiron
        for layer, (spatial, channel) in enumerate(
            zip(net.spatial_mix, net.channel_mix, strict=True)
        ):
            x = _spatial(spatial, x, batch, layer % 3)
            x = _channel(channel, x)
        return x

    def forward(self, batch: DenseBatch) -> Float[Tensor, "B D N"]:
        x, head = self.features(batch), self.student.classif
        for part in head if isinstance(head, nn.Sequential) else [head]:
            x = _conv(part, x) if isinstance(part, nn.Conv1d) else part(x)
        return x

    def _embedding(self, batch: DenseBatch) -> Float[Tensor, "B C N"]:
        embed = self.student.embed
        feat = embed.norm(batch.feat)
        size, channels, count = feat.shape
        rows = batch.neighbours.flatten(1)[:, None].expand(-1, channels, -1)  # (B, 5, K N)
        near = feat.gather(2, rows).view(size, channels, -1, count)
        around = near - feat[:, :, None]  # (B, 5, K, N)
        for part in embed.conv2:
            around = _pointwise(part, around)
        return _conv(embed.final, torch.cat([_conv(embed.conv1, feat), around.amax(2)], dim=1))


def _pointwise(part: nn.Module, image: Float[Tensor, "B C K N"]) -> Tensor:
    if isinstance(part, nn.Conv2d):
        return F.conv2d(image, part.weight)
    if isinstance(part, nn.BatchNorm1d):
        return part(image.flatten(2)).view_as(image)
    return part(image)


def _conv(conv: nn.Conv1d, x: Float[Tensor, "B in_ N"]) -> Float[Tensor, "B out N"]:
    return F.conv1d(x, conv.weight, conv.bias, groups=conv.groups)


def _norm(norm: nn.Module, x: Float[Tensor, "B C N"]) -> Float[Tensor, "B C N"]:
    if isinstance(norm, nn.LayerNorm):
        return norm(x.transpose(1, 2)).transpose(1, 2)
    return norm(x)


def _spatial(mix: SpatialMix, x: Tensor, batch: DenseBatch, plane: int) -> Tensor:
    rows, columns = batch.grids[plane]
    size, channels, _ = x.shape
    cells = batch.cells[:, plane][:, None]  # (B, 1, N)
    y = _norm(mix.norm, x)
    # Padded points go to a cell of their own, after the last one.
    place = cells.where(batch.real, rows * columns).expand(-1, channels, -1)
    image = y.new_zeros(size, channels, rows * columns + 1)
    image = image.scatter_reduce(2, place, y, "mean", include_self=False)
    image = image[:, :, :-1].reshape(size, channels, rows, columns)
    first, activation, second = mix.ffn
    image = F.conv2d(image, first.weight, first.bias, padding=1, groups=channels)
    image = F.conv2d(activation(image), second.weight, second.bias, padding=1, groups=channels)
    back = image.flatten(2).gather(2, cells.expand(-1, channels, -1))
    return x + F.conv1d(back, mix.scale.weight, groups=channels)


def _channel(mix: ChannelMix, x: Tensor) -> Tensor:
    first, activation, second = mix.mlp
    hidden = activation(_conv(first, _norm(mix.norm, x)))
    return x + F.conv1d(_conv(second, hidden), mix.scale.weight, groups=x.shape[1])
