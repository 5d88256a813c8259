"""How a point differs from its neighbours: the first thing WaffleIron computes.

    around[n] = max over k of  w2 relu(w1 (feat[neighbour k of n] - feat[n]) + b1)

Backward only one of the K neighbours counts for each channel, so on a CPU its sums run over N C
rows and not over N K C: sixteen times less work than a matrix product over all of them. The
(N, K, C) arrays in between are made a few points at a time, forward and again backward, and never
leave the cache.

Source: WaffleIron (arXiv:2301.10100), point embedding. The way it is computed is our own.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kit.student.row_layers import RowConv1d, RowConv2d

# Numbers per (n, K, C) array, measured on 1 MB of cache a core; on a GPU only the memory counts.
FORWARD, BACKWARD, ON_GPU = 2**19, 2**20, 2**25
MOMENTS = 2**14  # points at a time


class Neighbourhood(torch.autograd.Function):
    """max over K of w2 @ relu(w1 @ (feat[neighbours] - feat) + b1): (N, in), (N, K) -> (N, C).

    Args:
        feat: (N, in), constant: it gets no gradient.
        neighbours: (N, K) rows of `feat`.
        first: (C, in + 1), w1 and as last column b1.
        second: (C, C), w2; its type is the one computed in.
        backward_follows: whether to remember which neighbour won.
    """

    @staticmethod
    def forward(ctx, feat, neighbours, first, second, backward_follows: bool):
        best = second.new_empty(len(feat), len(second))
        size = _part_size(neighbours, second, FORWARD)
        # Every part is written over the one before: that memory stays in the cache.
        memory = second.new_empty(2, size * neighbours.shape[1], len(second))
        winner = []
        for part, best_of_part in zip(
            _differences(feat, neighbours, size), best.split(size), strict=True
        ):
            hidden, out = memory[:, : part.shape[:2].numel()]
            torch.mm(part.flatten(0, 1).to(second.dtype), first.T, out=hidden).relu_()
            out = torch.mm(hidden, second.T, out=out).view(*part.shape[:2], -1)  # (n, K, C)
            torch.amax(out, 1, out=best_of_part)
            if backward_follows:
                winner.append(_first_equal(out, best_of_part))
        if backward_follows:
            ctx.save_for_backward(feat, neighbours, first, second, torch.cat(winner))
        return best

    @staticmethod
    def backward(ctx, grad):
        feat, neighbours, first, second, winner = ctx.saved_tensors
        sums = torch.promote_types(grad.dtype, torch.float32)
        grad_first, grad_second = (torch.zeros_like(w, dtype=sums) for w in (first, second))
        size = _part_size(neighbours, second, BACKWARD)
        parts = _differences(feat, neighbours, size)
        for part, chosen, grad_best in zip(
            parts, winner.split(size), grad.split(size), strict=True
        ):
            rows = part.flatten(0, 1).to(second.dtype)  # (n K, in + 1)
            hidden = (rows @ first.T).relu_()  # (n K, C)
            begin = torch.arange(len(part), dtype=torch.int32, device=part.device) * part.shape[1]
            places = chosen + begin[:, None]  # (n, C) rows of hidden
            of_second, grad_hidden = _through_winners(hidden, second, places, grad_best)
            grad_second += of_second
            grad_hidden = torch.ops.aten.threshold_backward(grad_hidden, hidden, 0)
            # In this order, five times faster than grad_hidden.T @ rows.
            grad_first += (rows.T @ grad_hidden).T
        return None, None, grad_first.to(first.dtype), grad_second.to(second.dtype), None


def _part_size(neighbours: Tensor, second: Tensor, on_cpu: int) -> int:
    numbers = on_cpu if second.device.type == "cpu" else ON_GPU
    return max(1, min(len(neighbours), numbers // (neighbours.shape[1] * len(second))))


def _differences(
    feat: Float[Tensor, "N in_"], neighbours: Int[Tensor, "N K"], size: int
) -> Iterator[Float[Tensor, "n K columns"]]:
    """Neighbours minus the point, and a one as last column; `size` points at a time."""
    with_one, with_zero = F.pad(feat, (0, 1), value=1.0), F.pad(feat, (0, 1))
    for rows, own in zip(neighbours.split(size), with_zero.split(size), strict=True):
        near = with_one.index_select(0, rows.flatten()).view(*rows.shape, -1)
        yield near.sub_(own[:, None])


def _first_equal(out: Float[Tensor, "n K C"], best: Float[Tensor, "n C"]) -> Int[Tensor, "n C"]:
    """The first k whose value is the best: `max` with indices, but vectorised."""
    num = out.shape[1]
    countdown = torch.arange(num, 0, -1, dtype=out.dtype, device=out.device)[:, None]
    equal = torch.eq(out, best[:, None], out=torch.empty_like(out))  # ones: no type to change
    return num - equal.mul_(countdown).amax(1).int()


def _through_winners(
    hidden: Float[Tensor, "nK C"], second: Tensor, rows: Int[Tensor, "n C"], grad: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of w2 (C, C) and of hidden (nK, C), given those of the winners (n, C)."""
    if not hidden.is_cuda:
        of_second = _weighted_sum(hidden, rows.T, grad.T)
        return of_second, _scatter(second, rows, grad, len(hidden))
    everywhere = torch.zeros_like(hidden).scatter_(0, rows.long(), grad)  # a GPU has the operations
    return everywhere.T @ hidden, everywhere @ second


def _weighted_sum(table: Tensor, rows: Int[Tensor, "T n"], weights: Tensor) -> Tensor:
    """sum_n weights[t, n] * table[rows[t, n]]: (S, C), (T, n), (T, n) -> (T, C)."""
    weights = weights.contiguous()
    return F.embedding_bag(rows.contiguous(), table, mode="sum", per_sample_weights=weights)


def _scatter(table: Tensor, rows: Int[Tensor, "n T"], weights: Tensor, count: int) -> Tensor:
    """out[rows[n, t]] += weights[n, t] * table[t]: (T, C), (n, T), (n, T) -> (count, C)."""
    flat, weights = rows.flatten(), weights.flatten()
    order = flat.argsort(stable=True)
    first = torch.searchsorted(
        flat[order], torch.arange(count, dtype=torch.int32, device=flat.device)
    )
    return F.embedding_bag(
        order % len(table), table, first, mode="sum", per_sample_weights=weights[order]
    )


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
        if isinstance(self.norm, nn.SyncBatchNorm):  # statistics of several processes
            feat = self.norm(feat)
            difference = feat[neighbours] - feat[:, None]  # (N, K, in)
            rows = self.conv2(difference.flatten(0, 1))
            around = rows.view(*neighbours.shape, -1).max(1).values
        else:
            scale, shift = self._input_affine(feat)
            around = self._around(feat, neighbours, scale)
            feat = feat * scale + shift
        # final(concat(conv1(feat), around)), without the arrays in between
        of_feat, of_around = self.final.weight.flatten(1).chunk(2, dim=1)
        own = of_feat @ _with_bias(self.conv1.weight.flatten(1), self.conv1.bias)
        own = own + F.pad(self.final.bias[:, None], (feat.shape[1], 0))  # (C, in + 1)
        return torch.addmm(_with_one(feat) @ own.T, around, of_around.T)

    def _around(self, feat: Tensor, neighbours: Tensor, scale: Tensor) -> Float[Tensor, "N C"]:
        """conv2 and maximum, all but the last layer folded into one map of the raw differences."""
        device = feat.device.type
        mixed = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if mixed else feat.dtype
        with torch.autocast(device, enabled=False):
            first = self._one_affine_map(feat, neighbours, scale)
            weights = first.to(dtype), self.conv2[4].weight.flatten(1).to(dtype)
            return Neighbourhood.apply(feat, neighbours, *weights, torch.is_grad_enabled())

    def _input_affine(self, feat: Float[Tensor, "N in_"]) -> tuple[Tensor, Tensor]:
        if not self.training:
            return batchnorm_affine(self.norm)
        variance, mean = torch.var_mean(feat, dim=0, correction=0)
        return _batch_affine(self.norm, mean, variance, len(feat))

    def _one_affine_map(self, feat: Tensor, neighbours: Tensor, own: Tensor) -> Tensor:
        """Fold scale, norm, convolution, norm into one map (C, in + 1), also in training.

        The second norm's batch statistics follow from the first's: a linear map W turns a mean m
        and a covariance S into W m and W S W^T.
        """
        first, conv, second = self.conv2[:3]
        matrix = conv.weight.flatten(1)
        if self.training:
            mean, covariance = _moments(feat, neighbours)
            mean, covariance = mean * own, covariance * torch.outer(own, own)
            scale, shift = _batch_affine(first, mean, covariance.diagonal(), neighbours.numel())
            matrix, bias = matrix * scale, matrix @ shift
            mean = matrix @ mean + bias
            variance = ((matrix @ covariance) * matrix).sum(1)
            scale, shift = _batch_affine(second, mean, variance, neighbours.numel())
        else:
            scale, shift = batchnorm_affine(first)
            matrix, bias = matrix * scale, matrix @ shift
            scale, shift = batchnorm_affine(second)
        return _with_bias(matrix * own * scale[:, None], bias * scale + shift)


def _moments(feat: Tensor, neighbours: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (in,) and covariance (in, in) of all differences, divided by their number."""
    moments = feat.new_zeros(feat.shape[1] + 1, feat.shape[1] + 1, dtype=torch.float64)
    for part in _differences(feat, neighbours, MOMENTS):
        rows = part.flatten(0, 1).double()  # float32 would lose four digits
        moments += rows.T @ rows  # the last column is one: their sums, and how many there are
    moments /= neighbours.numel()
    mean, square = moments[-1, :-1], moments[:-1, :-1]
    return mean.to(feat.dtype), (square - torch.outer(mean, mean)).to(feat.dtype)


def _with_one(rows: Float[Tensor, "N in_"]) -> Float[Tensor, "N columns"]:
    return F.pad(rows, (0, 1), value=1.0)


def _with_bias(weight: Tensor, bias: Tensor) -> Float[Tensor, "C columns"]:
    return torch.cat([weight, bias[:, None]], dim=1)


def batchnorm_affine(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Scale and shift a BatchNorm applies in eval mode."""
    return _affine(norm, norm.running_mean, norm.running_var)


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
