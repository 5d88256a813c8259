"""WaffleIron: points mixed along three planes in turn, computed only where points are.

Each layer averages the points of every cell of one plane, runs two depthwise 3x3 convolutions over
the plane and gives the result back to the points (spatial mix), then mixes channels point by point.
The second convolution is read only at occupied cells and the first only at those and their
neighbours, so no dense plane is ever made; the result is the same.

Parameters carry the published names and shapes: published weights load with `load_state_dict`.

Source: WaffleIron (Puy et al., ICCV 2023, arXiv:2301.10100); LayerNorm variant: ScaLR
    (arXiv:2310.17504). Differs: point rows instead of zero-padded (B, C, N), sparse planes.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kit.student.inputs import InputConfig, Plane, PointBatch


@dataclass(frozen=True)
class WaffleIronConfig:
    """Size and variant of a WaffleIron.

    Attributes:
        depth: number of layers; layer i works on plane i modulo 3.
        width: channels C of a point.
        head: widths of the distillation head's layers, the last being the teacher's D.
        norm: "layer" (ScaLR) or "batch" (the original); the embedding always has BatchNorm.
        activation: "relu" (ScaLR) or "gelu" (ScaLR+) in the mixes.
        drop_path: chance that a scan skips a mix in training.
        inputs: how scans are prepared for it.
    """

    depth: int = 48
    width: int = 768
    head: tuple[int, ...] = (1024,)
    norm: str = "layer"
    activation: str = "relu"
    drop_path: float = 0.0
    inputs: InputConfig = InputConfig()

    def __post_init__(self):
        if self.depth < 1 or self.width < 1 or not self.head or min(self.head) < 1:
            raise ValueError(f"depth, width and every head width must be at least 1, got {self}")
        if self.norm not in NORMS or self.activation not in ACTIVATIONS:
            raise ValueError(
                f"norm is one of {list(NORMS)} and activation one of {list(ACTIVATIONS)}, "
                f"got {self.norm!r} and {self.activation!r}"
            )
        if not 0 <= self.drop_path < 1:
            raise ValueError(f"drop_path must be in [0, 1), got {self.drop_path}")


EMBEDDING_PART = 16_384  # points embedded at a time in inference
NORMS = {"layer": nn.LayerNorm, "batch": nn.BatchNorm1d}
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


class RowConv1d(nn.Conv1d):
    """A 1x1 convolution applied to rows (N, C_in) -> (N, C_out), with nn.Conv1d's parameters."""

    def forward(self, rows: Float[Tensor, "N in_"]) -> Float[Tensor, "N out"]:
        return F.linear(rows, self.weight.flatten(1), self.bias)


class RowConv2d(nn.Conv2d):
    """`RowConv1d` with the parameters of a 1x1 nn.Conv2d."""

    forward = RowConv1d.forward


class NeighbourConv(torch.autograd.Function):
    """Depthwise 3x3 convolution between two lists of cells; backward swaps the tables.

    If cell d finds s at offset k, then s finds d at offset 8 - k.
    """

    @staticmethod
    def forward(ctx, source, weight, bias, source_near_target, target_near_source):
        ctx.save_for_backward(source, weight, source_near_target, target_near_source)
        return _gather_weighted(source, weight, source_near_target) + bias

    @staticmethod
    def backward(ctx, grad):
        source, weight, source_near_target, target_near_source = ctx.saved_tensors
        grad_source = _gather_weighted(grad, weight.flip(0), target_near_source)
        padded = _with_zero_row(source)
        grad_weight = torch.stack(
            [(padded.index_select(0, rows) * grad).sum(0) for rows in source_near_target]
        )
        return grad_source, grad_weight, grad.sum(0), None, None


def _with_zero_row(rows: Tensor) -> Tensor:
    return torch.cat([rows, rows.new_zeros(1, rows.shape[1])])


def _gather_weighted(source: Tensor, weight: Tensor, table: Tensor) -> Tensor:
    """sum_k weight[k] * source[table[k]]: (S, C), (9, C), (9, T) -> (T, C)."""
    padded = _with_zero_row(source)
    total = source.new_zeros(table.shape[1], source.shape[1])
    for kernel, rows in zip(weight, table, strict=True):
        total.addcmul_(padded.index_select(0, rows), kernel)
    return total


class CellConv(nn.Conv2d):
    """Depthwise 3x3 convolution on listed cells; parameters as nn.Conv2d has them."""

    def __init__(self, width: int):
        super().__init__(width, width, 3, padding=1, groups=width)

    def forward(self, source: Tensor, source_near_target: Tensor, target_near_source: Tensor):
        weight = self.weight.flatten(1).T  # (9, C)
        return NeighbourConv.apply(
            source, weight, self.bias, source_near_target, target_near_source
        )


class CellMean(torch.autograd.Function):
    """Average the points of each cell: (N, C) -> (O, C)."""

    @staticmethod
    def forward(ctx, rows, plane: Plane):
        ctx.plane = plane
        return _cell_sum(rows, plane) * plane.share

    @staticmethod
    def backward(ctx, grad):
        return (grad * ctx.plane.share).index_select(0, ctx.plane.cell_of_point), None


class CellToPoints(torch.autograd.Function):
    """Give every point its cell's value: (O, C) -> (N, C)."""

    @staticmethod
    def forward(ctx, cells, plane: Plane):
        ctx.plane = plane
        return cells.index_select(0, plane.cell_of_point)

    @staticmethod
    def backward(ctx, grad):
        return _cell_sum(grad, ctx.plane), None


def _cell_sum(rows: Tensor, plane: Plane) -> Tensor:
    return F.embedding_bag(plane.points_by_cell, rows, plane.first_of_cell, mode="sum")


class Embedding(nn.Module):
    """A point's own five inputs and how it differs from its neighbours -> (N, C)."""

    def __init__(self, in_channels: int, width: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(in_channels)
        self.conv1 = RowConv1d(in_channels, width, 1)
        self.conv2 = nn.Sequential(
            nn.BatchNorm1d(in_channels),
            RowConv2d(in_channels, width, 1, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            RowConv2d(width, width, 1, bias=False),
        )
        self.final = RowConv1d(2 * width, width, 1)

    def forward(self, feat: Float[Tensor, "N in_"], neighbours: Int[Tensor, "N K"]) -> Tensor:
        feat = self.norm(feat)
        # BatchNorm needs all points at once in training; inference goes in parts to save memory.
        part = len(feat) if self.training else EMBEDDING_PART
        rows = torch.arange(len(feat), device=feat.device).split(part)
        around = torch.cat([self._around(feat, neighbours[r], feat[r]) for r in rows])
        return self.final(torch.cat([self.conv1(feat), around], dim=1))

    def _around(self, feat: Tensor, neighbours: Tensor, centre: Tensor) -> Tensor:
        difference = feat[neighbours] - centre[:, None]  # (n, K, in)
        rows = self.conv2(difference.flatten(0, 1)).view(*neighbours.shape, -1)  # (n, K, C)
        # The same value; amax is faster forward, max is several times faster backward.
        return rows.max(1).values if torch.is_grad_enabled() else rows.amax(1)


class _Mix(nn.Module):
    """x + drop_path(scale * f(norm(x)))."""

    def __init__(self, config: WaffleIronConfig):
        super().__init__()
        self.norm = NORMS[config.norm](config.width)
        self.scale = nn.Conv1d(config.width, config.width, 1, bias=False, groups=config.width)
        self.drop_path = config.drop_path

    def _residual(self, update: Tensor, batch: PointBatch) -> Tensor:
        update = update * self.scale.weight.flatten()
        if self.training and self.drop_path > 0:
            keep = torch.rand(batch.num_scans, 1, device=update.device) >= self.drop_path
            update = update * (keep / (1 - self.drop_path))[batch.batch_of_point]
        return update


class SpatialMix(_Mix):
    """Points -> cells of one plane -> two depthwise convolutions -> points."""

    def __init__(self, config: WaffleIronConfig):
        super().__init__(config)
        activation = ACTIVATIONS[config.activation]()
        self.ffn = nn.Sequential(CellConv(config.width), activation, CellConv(config.width))

    def forward(self, rows: Float[Tensor, "N C"], batch: PointBatch, plane: Plane) -> Tensor:
        spread, activation, gather = self.ffn
        cells = CellMean.apply(self.norm(rows), plane)  # (O, C)
        near, back = plane.occupied_near_halo, plane.halo_near_occupied
        halo = activation(spread(cells, near, back))  # (H, C)
        cells = gather(halo, back, near)  # (O, C)
        return rows + self._residual(CellToPoints.apply(cells, plane), batch)


class ChannelMix(_Mix):
    """Two layers on each point's channels, without expansion."""

    def __init__(self, config: WaffleIronConfig):
        super().__init__(config)
        width = config.width
        activation = ACTIVATIONS[config.activation]()
        self.mlp = nn.Sequential(RowConv1d(width, width, 1), activation, RowConv1d(width, width, 1))

    def forward(self, rows: Float[Tensor, "N C"], batch: PointBatch) -> Tensor:
        return rows + self._residual(self.mlp(self.norm(rows)), batch)


class _Mixes(nn.Module):
    def __init__(self, config: WaffleIronConfig):
        super().__init__()
        self.spatial_mix = nn.ModuleList(SpatialMix(config) for _ in range(config.depth))
        self.channel_mix = nn.ModuleList(ChannelMix(config) for _ in range(config.depth))


def _head(width: int, widths: tuple[int, ...]) -> nn.Module:
    """One linear layer (ScaLR) or several with ReLU between (ScaLR+)."""
    layers: list[nn.Module] = []
    for narrow, wide in zip((width, *widths[:-1]), widths, strict=True):
        layers += [RowConv1d(narrow, wide, 1), nn.ReLU()]
    return layers[0] if len(widths) == 1 else nn.Sequential(*layers[:-1])


class WaffleIron(nn.Module):
    """The paper's student: point features (N, C), and a head into the teacher's space (N, D)."""

    def __init__(self, config: WaffleIronConfig):
        super().__init__()
        self.config = config
        self.embed = Embedding(5, config.width)
        self.waffleiron = _Mixes(config)
        self.classif = _head(config.width, config.head)

    def features(self, batch: PointBatch) -> Float[Tensor, "N C"]:
        """Point features of the last layer, before the distillation head."""
        rows = self.embed(batch.feat, batch.neighbours)
        mixes = zip(self.waffleiron.spatial_mix, self.waffleiron.channel_mix, strict=True)
        for layer, (spatial, channel) in enumerate(mixes):
            rows = spatial(rows, batch, batch.planes[layer % 3])
            rows = channel(rows, batch)
        return rows

    def head(self, point_feat: Float[Tensor, "N C"]) -> Float[Tensor, "N D"]:
        """Take point features into the teacher's space."""
        return self.classif(point_feat)

    def forward(self, batch: PointBatch) -> Float[Tensor, "N D"]:
        return self.head(self.features(batch))
