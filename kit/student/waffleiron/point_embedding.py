"""The point embedding of WaffleIron: a point's inputs, and the differences to its neighbours.

    local[n] = max over k of  w2 relu(w1 (feat[neighbour k of n] - feat[n]) + b1)
    out[n] = w3 concat(w0 feat[n] + b0, local[n]) + b3

The arrays of shape (N, K, C) are made for a few points at a time, forward and again backward, so
that they never leave the cache. In the backward pass only one of the K neighbours counts for each
channel: on a CPU its sums run over N C rows instead of N K C rows, sixteen times less work than a
matrix product over all of them.

Source: WaffleIron (arXiv:2301.10100), point embedding. The way it is computed is our own.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kit.student.row_layers import RowConv1d, RowConv2d
from kit.student.waffleiron.fused_layer import kernels

# Numbers in an array (n, K, C) of a chunk of n points. On a CPU measured with 1 MB of cache a core,
# on a GPU a limit of memory.
FORWARD, BACKWARD, ON_GPU = 2**19, 2**20, 2**25
MOMENTS = 2**14  # points in a chunk for the batch statistics


class LocalEmbedding(torch.autograd.Function):
    """max over K of w2 @ relu(w1 @ (feat[neighbours] - feat) + b1): (N, in), (N, K) -> (N, C).

    Args:
        feat: (N, in), constant: it gets no gradient.
        neighbours: (N, K) indices into `feat`.
        first: (C, in + 1), w1 and as last column b1.
        second: (C, C), w2; everything is computed in its dtype.
        backward_follows: whether to keep which neighbour was the maximum.
        fused: whether kernels may do it; see `WaffleIron.fuse_layers`.
    """

    @staticmethod
    def forward(ctx, feat, neighbours, first, second, backward_follows: bool, fused: bool):
        ctx.in_kernels = fused and _in_half_precision(neighbours, second) and kernels() is not None
        if ctx.in_kernels:
            best, argmax = kernels().embedding_max(
                feat, neighbours, first, second, backward_follows
            )
            ctx.save_for_backward(feat, neighbours, first, second, argmax)
            return best
        best = second.new_empty(len(feat), len(second))
        size = _chunk_size(neighbours, second, FORWARD)
        # Every chunk overwrites the one before: this memory stays in the cache.
        memory = second.new_empty(2, size * neighbours.shape[1], len(second))
        argmax = []
        for chunk, best_of_chunk in zip(
            _differences(feat, neighbours, size), best.split(size), strict=True
        ):
            hidden, out = memory[:, : chunk.shape[:2].numel()]
            torch.mm(chunk.flatten(0, 1).to(second.dtype), first.T, out=hidden).relu_()
            out = torch.mm(hidden, second.T, out=out).view(*chunk.shape[:2], -1)  # (n, K, C)
            torch.amax(out, 1, out=best_of_chunk)
            if backward_follows:
                argmax.append(_first_equal(out, best_of_chunk))
        if backward_follows:
            ctx.save_for_backward(feat, neighbours, first, second, torch.cat(argmax))
        return best

    @staticmethod
    def backward(ctx, grad):
        feat, neighbours, first, second, argmax = ctx.saved_tensors
        if ctx.in_kernels:
            of_weights = kernels().embedding_max_backward(*ctx.saved_tensors, grad.contiguous())
            return None, None, *_in_dtype_of((first, second), of_weights), None, None
        dtype = torch.promote_types(grad.dtype, torch.float32)
        grad_first, grad_second = (torch.zeros_like(w, dtype=dtype) for w in (first, second))
        size = _chunk_size(neighbours, second, BACKWARD)
        chunks = _differences(feat, neighbours, size)
        for chunk, argmax_of_chunk, grad_best in zip(
            chunks, argmax.split(size), grad.split(size), strict=True
        ):
            difference = chunk.flatten(0, 1).to(second.dtype)  # (n K, in + 1)
            hidden = (difference @ first.T).relu_()  # (n K, C)
            begin = torch.arange(len(chunk), dtype=torch.int32, device=chunk.device)
            index = argmax_of_chunk + begin[:, None] * chunk.shape[1]  # (n, C) rows of hidden
            of_second, grad_hidden = _backward_of_max(hidden, second, index, grad_best)
            grad_second += of_second
            grad_hidden = torch.ops.aten.threshold_backward(grad_hidden, hidden, 0)
            # In this order, five times faster than grad_hidden.T @ difference.
            grad_first += (difference.T @ grad_hidden).T
        return None, None, *_in_dtype_of((first, second), (grad_first, grad_second)), None, None


def _in_dtype_of(weights: tuple[Tensor, ...], grads: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(grad.to(weight.dtype) for weight, grad in zip(weights, grads, strict=True))


def _in_half_precision(neighbours: Tensor, second: Tensor) -> bool:
    """Whether it suits the kernels: on a GPU, in the precision of its matrix units."""
    half = second.dtype in (torch.bfloat16, torch.float16)
    return second.is_cuda and half and neighbours.shape[1] <= 128


def _chunk_size(neighbours: Tensor, second: Tensor, on_cpu: int) -> int:
    numbers = on_cpu if second.device.type == "cpu" else ON_GPU
    return max(1, min(len(neighbours), numbers // (neighbours.shape[1] * len(second))))


def _differences(
    feat: Float[Tensor, "N in_"], neighbours: Int[Tensor, "N K"], size: int
) -> Iterator[Float[Tensor, "n K columns"]]:
    """Neighbours minus the point, and a one as last column, for `size` points at a time."""
    with_one, with_zero = F.pad(feat, (0, 1), value=1.0), F.pad(feat, (0, 1))
    for index, own in zip(neighbours.split(size), with_zero.split(size), strict=True):
        near = with_one.index_select(0, index.flatten()).view(*index.shape, -1)
        yield near.sub_(own[:, None])


def _first_equal(out: Float[Tensor, "n K C"], best: Float[Tensor, "n C"]) -> Int[Tensor, "n C"]:
    """The first k at which the maximum is reached: `max` with indices, but vectorised."""
    num = out.shape[1]
    countdown = torch.arange(num, 0, -1, dtype=out.dtype, device=out.device)[:, None]
    equal = torch.eq(out, best[:, None], out=torch.empty_like(out))  # ones: no dtype to convert
    return num - equal.mul_(countdown).amax(1).int()


def _backward_of_max(
    hidden: Float[Tensor, "nK C"], second: Tensor, index: Int[Tensor, "n C"], grad: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of w2 (C, C) and of hidden (nK, C), given that of the maximum (n, C).

    `index` (n, C) is the row of hidden at which each maximum was reached.
    """
    if not hidden.is_cuda:
        of_second = _weighted_sum(hidden, index.T, grad.T)
        return of_second, _scatter(second, index, grad, len(hidden))
    # A GPU has the operations to spare: two dense matrix products.
    everywhere = torch.zeros_like(hidden).scatter_(0, index.long(), grad)
    return everywhere.T @ hidden, everywhere @ second


def _weighted_sum(table: Tensor, index: Int[Tensor, "T n"], weights: Tensor) -> Tensor:
    """sum_n weights[t, n] * table[index[t, n]]: (S, C), (T, n), (T, n) -> (T, C)."""
    weights = weights.contiguous()
    return F.embedding_bag(index.contiguous(), table, mode="sum", per_sample_weights=weights)


def _scatter(table: Tensor, index: Int[Tensor, "n T"], weights: Tensor, count: int) -> Tensor:
    """out[index[n, t]] += weights[n, t] * table[t]: (T, C), (n, T), (n, T) -> (count, C)."""
    flat, weights = index.flatten(), weights.flatten()
    order = flat.argsort(stable=True)
    first = torch.searchsorted(
        flat[order], torch.arange(count, dtype=torch.int32, device=flat.device)
    )
    return F.embedding_bag(
        order % len(table), table, first, mode="sum", per_sample_weights=weights[order]
    )


class PointEmbedding(nn.Module):
    """A point's own inputs and the differences to its neighbours: (N, in), (N, K) -> (N, C)."""

    def __init__(self, in_channels: int, width: int):
        super().__init__()
        self.fused = False
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
            hidden = self.conv2(difference.flatten(0, 1))
            local = hidden.view(*neighbours.shape, -1).max(1).values
        else:
            scale, shift = self._input_affine(feat)
            local = self._local(feat, neighbours, scale)
            feat = feat * scale + shift
        # final(concat(conv1(feat), local)), without the arrays in between
        of_feat, of_local = self.final.weight.flatten(1).chunk(2, dim=1)
        own = of_feat @ _with_bias(self.conv1.weight.flatten(1), self.conv1.bias)
        own = own + F.pad(self.final.bias[:, None], (feat.shape[1], 0))  # (C, in + 1)
        return torch.addmm(_with_one(feat) @ own.T, local, of_local.T)

    def _local(self, feat: Tensor, neighbours: Tensor, scale: Tensor) -> Float[Tensor, "N C"]:
        """conv2 and maximum; the layers before ReLU are folded into one map of raw differences."""
        device = feat.device.type
        mixed = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if mixed else feat.dtype
        with torch.autocast(device, enabled=False):
            first = self._one_affine_map(feat, neighbours, scale)
            weights = first.to(dtype), self.conv2[4].weight.flatten(1).to(dtype)
            return LocalEmbedding.apply(
                feat, neighbours, *weights, torch.is_grad_enabled(), self.fused
            )

    def _input_affine(self, feat: Float[Tensor, "N in_"]) -> tuple[Tensor, Tensor]:
        if not self.training:
            return batchnorm_affine(self.norm)
        variance, mean = torch.var_mean(feat, dim=0, correction=0)
        return _batch_affine(self.norm, mean, variance, len(feat))

    def _one_affine_map(self, feat: Tensor, neighbours: Tensor, own: Tensor) -> Tensor:
        """Fold scale, norm, convolution and norm into one map (C, in + 1), also in training.

        The batch statistics of the second norm follow from those of the first: a linear map W turns
        a mean m and a covariance S into W m and W S W^T.
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
    """Mean (in,) and biased covariance (in, in) of all differences."""
    moments = feat.new_zeros(feat.shape[1] + 1, feat.shape[1] + 1, dtype=torch.float64)
    for chunk in _differences(feat, neighbours, MOMENTS):
        rows = chunk.flatten(0, 1).double()  # float32 would lose four digits
        moments += rows.T @ rows  # the last column is one: it gives the sums and the count
    moments /= neighbours.numel()
    mean, square = moments[-1, :-1], moments[:-1, :-1]
    return mean.to(feat.dtype), (square - torch.outer(mean, mean)).to(feat.dtype)


def _with_one(rows: Float[Tensor, "N in_"]) -> Float[Tensor, "N columns"]:
    return F.pad(rows, (0, 1), value=1.0)


def _with_bias(weight: Tensor, bias: Tensor) -> Float[Tensor, "C columns"]:
    return torch.cat([weight, bias[:, None]], dim=1)


def batchnorm_affine(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """The scale and shift that a BatchNorm applies in eval mode."""
    return _affine(norm, norm.running_mean, norm.running_var)


def _affine(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """The scale and shift that a BatchNorm applies, given the statistics."""
    scale = norm.weight / (variance + norm.eps).sqrt()
    return scale, norm.bias - mean * scale


def _batch_affine(
    norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """`_affine` with a batch's statistics; updates the running ones as BatchNorm does."""
    with torch.no_grad():
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / max(count - 1, 1)), norm.momentum)
    return _affine(norm, mean, variance)
