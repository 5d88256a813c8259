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


POINTS_AT_A_TIME = 512  # of the neighbourhoods, to stay in the cache
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


class Neighbourhood(torch.autograd.Function):
    """max over K of w2 @ relu(w1 @ difference + b1): (N, K, in) -> (N, C), a few points at a time.

    The (N, K, C) arrays in between are made anew backward, so they never leave the cache.
    """

    @staticmethod
    def forward(ctx, difference, w1, b1, w2):
        best, winner = [], []
        for part in difference.split(POINTS_AT_A_TIME):
            hidden = F.linear(part, w1, b1).relu_()  # (n, K, C)
            value, index = (hidden @ w2.T).max(1)
            best.append(value)
            winner.append(index.to(torch.int16))
        ctx.save_for_backward(difference, w1, b1, w2, torch.cat(winner))
        return torch.cat(best)

    @staticmethod
    def backward(ctx, grad):
        difference, w1, b1, w2, winner = ctx.saved_tensors
        grads = [torch.zeros_like(tensor) for tensor in (difference, w1, b1, w2)]
        parts = (tensor.split(POINTS_AT_A_TIME) for tensor in (difference, winner, grad, grads[0]))
        for part, index, grad_best, grad_part in zip(*parts, strict=True):
            hidden = F.linear(part, w1, b1).relu_()
            grad_out = torch.zeros_like(hidden).scatter_(
                1, index[:, None].long(), grad_best[:, None]
            )
            grads[3] += grad_out.flatten(0, 1).T @ hidden.flatten(0, 1)
            grad_hidden = (grad_out @ w2).mul_(hidden > 0).flatten(0, 1)
            grads[1] += grad_hidden.T @ part.flatten(0, 1)
            grads[2] += grad_hidden.sum(0)
            grad_part.copy_((grad_hidden @ w1).view_as(part))
        return tuple(grads)


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
        difference = feat[neighbours] - feat[:, None]  # (N, K, in)
        if isinstance(self.conv2[0], nn.SyncBatchNorm):  # statistics of several processes
            rows = self.conv2(difference.flatten(0, 1))
            around = rows.view(*neighbours.shape, -1).max(1).values
        else:
            weight, bias = self._one_affine_map(difference.flatten(0, 1))
            around = Neighbourhood.apply(difference, weight, bias, self.conv2[4].weight.flatten(1))
        return self.final(torch.cat([self.conv1(feat), around], dim=1))

    def _one_affine_map(self, rows: Float[Tensor, "R in_"]) -> tuple[Tensor, Tensor]:
        """Fold norm, convolution, norm into one map of the differences, also in training.

        The second norm's batch statistics follow from the first's: a linear map W turns a mean m
        and a covariance S into W m and W S W^T.
        """
        first, conv, second = self.conv2[:3]
        matrix = conv.weight.flatten(1)
        if self.training:
            mean = rows.mean(0)
            centred = rows - mean
            covariance = centred.T @ centred / len(rows)
            scale, shift = _batch_affine(first, mean, covariance.diagonal(), len(rows))
            matrix, bias = matrix * scale, matrix @ shift
            mean = matrix @ mean + bias
            variance = ((matrix @ covariance) * matrix).sum(1)
            scale, shift = _batch_affine(second, mean, variance, len(rows))
        else:
            scale, shift = _affine(first, first.running_mean, first.running_var)
            matrix, bias = matrix * scale, matrix @ shift
            scale, shift = _affine(second, second.running_mean, second.running_var)
        return matrix * scale[:, None], bias * scale + shift


def _affine(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shift a BatchNorm applies, given the statistics."""
    scale = norm.weight / (variance + norm.eps).sqrt()
    return scale, norm.bias - mean * scale


def _batch_affine(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, count: int):
    """`_affine` with a batch's statistics, which also enter the running ones as in BatchNorm."""
    with torch.no_grad():
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / max(count - 1, 1)), norm.momentum)
    return _affine(norm, mean, variance)


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
