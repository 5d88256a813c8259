"""Averages and 3x3 convolutions on one plane of WaffleIron, only where points are.

Every function has its backward pass written by hand: it visits the same tables in the other
direction, and keeps nothing but its inputs. All of it is plain torch, on any device.

Source: WaffleIron (arXiv:2301.10100), spatial mix. Differs: no dense plane is ever made.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kit.student.inputs import Plane

CELLS_AT_A_TIME = 2**18  # numbers per gathered array; it stays in the cache of a CPU


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
        if len(source) < len(grad):  # the same sums, over the shorter list
            grad_weight = _correlate(grad, source, target_near_source.flip(0))
        else:
            grad_weight = _correlate(source, grad, source_near_target)
        return grad_source, grad_weight.to(weight.dtype), grad.sum(0), None, None


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


class CellConv(nn.Conv2d):
    """Depthwise 3x3 convolution on listed cells; parameters as nn.Conv2d has them."""

    def __init__(self, width: int):
        super().__init__(width, width, 3, padding=1, groups=width)

    def forward(self, source: Tensor, source_near_target: Tensor, target_near_source: Tensor):
        weight = self.weight.flatten(1).T.to(source.dtype)  # (9, C)
        bias = self.bias.to(source.dtype)
        return NeighbourConv.apply(source, weight, bias, source_near_target, target_near_source)


def _with_zero_row(rows: Tensor) -> Tensor:
    return torch.cat([rows, rows.new_zeros(1, rows.shape[1])])


def _at_a_time(rows: Tensor) -> int:
    return max(1, CELLS_AT_A_TIME // rows.shape[1]) if rows.device.type == "cpu" else len(rows)


def _gather_weighted(source: Tensor, weight: Tensor, table: Tensor) -> Tensor:
    """sum_k weight[k] * source[table[k]]: (S, C), (9, C), (9, T) -> (T, C)."""
    padded = _with_zero_row(source)
    total = source.new_zeros(table.shape[1], source.shape[1])
    size = _at_a_time(total)
    for part, places in zip(total.split(size), table.split(size, dim=1), strict=True):
        for kernel, rows in zip(weight, places, strict=True):
            part.addcmul_(padded.index_select(0, rows), kernel)
    return total


def _correlate(source: Tensor, target: Tensor, table: Tensor) -> Tensor:
    """sum_t source[table[k, t]] * target[t] for every k: (S, C), (T, C), (9, T) -> (9, C)."""
    padded = _with_zero_row(source)
    total = target.new_zeros(9, target.shape[1])
    size = _at_a_time(target)
    for part, places in zip(target.split(size), table.split(size, dim=1), strict=True):
        for sum_k, rows in zip(total, places, strict=True):
            sum_k += padded.index_select(0, rows).mul_(part).sum(0)
    return total


def _cell_sum(rows: Tensor, plane: Plane) -> Tensor:
    return F.embedding_bag(plane.points_by_cell, rows, plane.first_of_cell, mode="sum")
