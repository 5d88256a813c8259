"""Maximum over the neighbours of a two-layer network on their differences to the point.

A program holds all K neighbours of some points, so arrays of N K rows are never written. The
backward pass makes the rows again; of the K neighbours of a point, one counts for each channel.

Shapes: N points, K neighbours, C channels; `first` is (C, in + 1) with the bias as last column.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kit.student.waffleiron.kernels.common import dense_inputs

ROWS = 128  # neighbours at once
SPLITS = 16  # partial sums of the gradients


@triton.jit
def _difference(
    feat, neighbours, point, k, num_points, K: tl.constexpr, IN: tl.constexpr, COLUMNS: tl.constexpr
):  # fmt: skip
    """Rows (neighbour - point, 1), zero where there is no neighbour."""
    exists = (point < num_points) & (k < K)
    column = tl.arange(0, COLUMNS)
    near = tl.load(neighbours + point * K + k, mask=exists, other=0)
    inside = exists[:, None] & (column < IN)[None, :]
    value = tl.load(feat + near[:, None] * IN + column[None, :], mask=inside, other=0)
    value -= tl.load(feat + point[:, None] * IN + column[None, :], mask=inside, other=0)
    return tl.where((column == IN)[None, :] & exists[:, None], 1.0, value)


@triton.jit
def _hidden(difference, first, j, C: tl.constexpr, IN: tl.constexpr, COLUMNS: tl.constexpr):
    column = tl.arange(0, COLUMNS)
    inside = (column <= IN)[:, None] & (j < C)[None, :]
    weight = tl.load(first + j[None, :] * (IN + 1) + column[:, None], mask=inside, other=0)
    return tl.dot(difference, weight, input_precision="ieee")


@triton.jit
def _forward(
    feat, neighbours, first, second, best, argmax, num_points,
    K: tl.constexpr, IN: tl.constexpr, C: tl.constexpr, COLUMNS: tl.constexpr,
    PADDED: tl.constexpr, POINTS: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_J: tl.constexpr,
    KEEP: tl.constexpr,
):  # fmt: skip
    row = tl.arange(0, POINTS * PADDED)
    k, block = row % PADDED, tl.program_id(0).to(tl.int64) * POINTS
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    difference = _difference(
        feat, neighbours, block + row // PADDED, k, num_points, K, IN, COLUMNS
    ).to(second.dtype.element_ty)
    total = tl.zeros([POINTS * PADDED, BLOCK_C], tl.float32)
    for start in range(0, C, BLOCK_J):
        j = start + tl.arange(0, BLOCK_J)
        hidden = tl.maximum(_hidden(difference, first, j, C, IN, COLUMNS), 0.0)
        inside = (j < C)[:, None] & (channel < C)[None, :]
        weight = tl.load(second + channel[None, :] * C + j[:, None], mask=inside, other=0)
        total = tl.dot(hidden.to(weight.dtype), weight, total, input_precision="ieee")
    total = tl.where((k < K)[:, None], total, float("-inf"))
    value, index = tl.max(tl.reshape(total, (POINTS, PADDED, BLOCK_C)), 1, return_indices=True)
    point = block + tl.arange(0, POINTS)
    at = point[:, None] * C + channel[None, :]
    here = (point < num_points)[:, None] & (channel < C)[None, :]
    tl.store(best + at, value.to(best.dtype.element_ty), mask=here)
    if KEEP:
        tl.store(argmax + at, index.to(tl.uint8), mask=here)


@dense_inputs
def embedding_max(
    feat: Tensor, neighbours: Tensor, first: Tensor, second: Tensor, keep: bool
) -> tuple[Tensor, Tensor]:
    """max over k of second @ relu(first @ (feat[neighbour k] - feat, 1)), and at which k.

    Args:
        feat: (N, in) float32.
        neighbours: (N, K), K at most 128.
        first: (C, in + 1).
        second: (C, C); the result has its dtype.
        keep: whether the second result is wanted, else it is empty.

    Returns:
        (N, C) maximum, (N, C) first k at which it is reached.
    """
    best = second.new_empty(len(feat), len(second))
    argmax = torch.empty(best.shape if keep else (0, 0), dtype=torch.uint8, device=feat.device)
    sizes = _sizes(feat, neighbours, second)
    block = 128 if len(second) > 64 else 64
    grid = (triton.cdiv(len(feat), sizes["POINTS"]), triton.cdiv(len(second), block))
    _forward[grid](
        feat, neighbours, first, second, best, argmax, len(feat),
        BLOCK_C=block, BLOCK_J=64, KEEP=keep, num_warps=8, num_stages=3, **sizes,
    )  # fmt: skip
    return best, argmax


@triton.jit
def _of_maximum(grad, argmax, point, k, channel, num_points, C: tl.constexpr):
    """The gradient of every neighbour's channels: that of the maximum, where it was reached."""
    at = point[:, None] * C + channel[None, :]
    here = (point < num_points)[:, None] & (channel < C)[None, :]
    reached = tl.load(argmax + at, mask=here, other=255).to(tl.int32) == k[:, None]
    value = tl.load(grad + at, mask=here, other=0)
    return tl.where(reached, value, 0.0)


@triton.jit
def _backward_first(
    feat, neighbours, first, second, argmax, grad, partial, num_points, per_split,
    K: tl.constexpr, IN: tl.constexpr, C: tl.constexpr, COLUMNS: tl.constexpr,
    PADDED: tl.constexpr, POINTS: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_J: tl.constexpr,
):  # fmt: skip
    dtype = second.dtype.element_ty
    split = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * BLOCK_J + tl.arange(0, BLOCK_J)
    row = tl.arange(0, POINTS * PADDED)
    k = row % PADDED
    total = tl.zeros([COLUMNS, BLOCK_J], tl.float32)
    for step in range(0, per_split):
        point = (split * per_split + step) * POINTS + row // PADDED
        difference = _difference(feat, neighbours, point, k, num_points, K, IN, COLUMNS).to(dtype)
        of_hidden = tl.zeros([POINTS * PADDED, BLOCK_J], tl.float32)
        for start in range(0, C, BLOCK_C):
            channel = start + tl.arange(0, BLOCK_C)
            rows = _of_maximum(grad, argmax, point, k, channel, num_points, C).to(dtype)
            inside = (channel < C)[:, None] & (j < C)[None, :]
            weight = tl.load(second + channel[:, None] * C + j[None, :], mask=inside, other=0)
            of_hidden = tl.dot(rows, weight, of_hidden, input_precision="ieee")
        before = _hidden(difference, first, j, C, IN, COLUMNS)
        of_hidden = tl.where(before > 0, of_hidden, 0.0).to(dtype)
        total = tl.dot(tl.trans(difference), of_hidden, total, input_precision="ieee")
    column = tl.arange(0, COLUMNS)
    at = partial + split * COLUMNS * C + column[:, None] * C + j[None, :]
    tl.store(at, total, mask=(column < COLUMNS)[:, None] & (j < C)[None, :])


@triton.jit
def _backward_second(
    feat, neighbours, first, argmax, grad, partial, num_points, per_split,
    K: tl.constexpr, IN: tl.constexpr, C: tl.constexpr, COLUMNS: tl.constexpr,
    PADDED: tl.constexpr, POINTS: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_J: tl.constexpr,
):  # fmt: skip
    dtype = first.dtype.element_ty
    split = tl.program_id(0).to(tl.int64)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    j = tl.program_id(2) * BLOCK_J + tl.arange(0, BLOCK_J)
    row = tl.arange(0, POINTS * PADDED)
    k = row % PADDED
    total = tl.zeros([BLOCK_C, BLOCK_J], tl.float32)
    for step in range(0, per_split):
        point = (split * per_split + step) * POINTS + row // PADDED
        difference = _difference(feat, neighbours, point, k, num_points, K, IN, COLUMNS).to(dtype)
        hidden = tl.maximum(_hidden(difference, first, j, C, IN, COLUMNS), 0.0).to(dtype)
        rows = _of_maximum(grad, argmax, point, k, channel, num_points, C).to(dtype)
        total = tl.dot(tl.trans(rows), hidden, total, input_precision="ieee")
    at = partial + split * C * C + channel[:, None] * C + j[None, :]
    tl.store(at, total, mask=(channel < C)[:, None] & (j < C)[None, :])


@dense_inputs
def embedding_max_backward(
    feat: Tensor, neighbours: Tensor, first: Tensor, second: Tensor, argmax: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of `first` (C, in + 1) and `second` (C, C), in float32; see `embedding_max`."""
    sizes = _sizes(feat, neighbours, second)
    channels, columns = len(second), sizes["COLUMNS"]
    of_first = grad.new_empty(4 * SPLITS, columns, channels, dtype=torch.float32)
    of_second = grad.new_empty(SPLITS, channels, channels, dtype=torch.float32)
    arguments = feat, neighbours, first
    blocks = triton.cdiv(len(feat), sizes["POINTS"])
    block = 128 if channels > 64 else 64
    tiles = triton.cdiv(channels, block)
    _backward_first[(len(of_first), tiles)](
        *arguments, second, argmax, grad, of_first, len(feat), triton.cdiv(blocks, len(of_first)),
        BLOCK_C=64, BLOCK_J=block, num_warps=8, num_stages=3, **sizes,
    )  # fmt: skip
    _backward_second[(SPLITS, tiles, tiles)](
        *arguments, argmax, grad, of_second, len(feat), triton.cdiv(blocks, SPLITS),
        BLOCK_C=block, BLOCK_J=block, num_warps=8, num_stages=2, **sizes,
    )  # fmt: skip
    return of_first.sum(0)[: first.shape[1]].T, of_second.sum(0)


def _sizes(feat: Tensor, neighbours: Tensor, second: Tensor) -> dict[str, int]:
    padded = triton.next_power_of_2(neighbours.shape[1])
    return {
        "K": neighbours.shape[1],
        "IN": feat.shape[1],
        "C": len(second),
        "COLUMNS": max(16, triton.next_power_of_2(feat.shape[1] + 1)),
        "PADDED": padded,
        "POINTS": max(1, ROWS // padded),
    }
