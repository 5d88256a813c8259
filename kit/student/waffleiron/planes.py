"""Averages and 3x3 convolutions on one plane of WaffleIron, only where points are.

Every function has its backward pass written by hand: it visits the same tables in the other
direction (if cell d finds s at offset k, then s finds d at offset 8 - k), and keeps nothing but its
inputs. All of it is plain torch, on any device.

Source: WaffleIron (arXiv:2301.10100), spatial mix. Differs: no dense plane is ever made.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kit.student.scans import Plane

# Numbers per piece of an array, so that what is gathered for it stays in the cache.
CACHED = {"cpu": 2**18, "cuda": 2**22}
# Below so many numbers, and on a GPU, every weighted cell is written out before it is spread.
FEW = 2**22


class NeighbourConv(torch.autograd.Function):
    """Depthwise 3x3 convolution between the occupied cells and the halo.

    Args:
        source: (O, C) occupied cells if it spreads, else (H, C) cells of the halo.
        weight, bias: (9, C) and (C,).
        spreads: from the occupied cells to the halo, else from the halo back to the cells.
    """

    @staticmethod
    def forward(ctx, source, weight, bias, plane: Plane, spreads: bool):
        ctx.save_for_backward(source, weight)
        ctx.plane, ctx.spreads = plane, spreads
        return (_spread if spreads else _collect)(source, weight, plane, bias)

    @staticmethod
    def backward(ctx, grad):
        source, weight = ctx.saved_tensors
        back = _collect if ctx.spreads else _spread
        grad_source = back(grad, weight.flip(0), ctx.plane, torch.zeros_like(weight[0]))
        halo, cells = (grad, source) if ctx.spreads else (source, grad)
        grad_weight = _correlate(halo, cells, ctx.plane.halo_near_occupied)
        if ctx.spreads:  # seen from the cells, offsets are the other way round
            grad_weight = grad_weight.flip(0)
        return grad_source, _like(grad_weight, weight), grad.sum(0), None, None


class CellMean(torch.autograd.Function):
    """Average the points of each cell: (N, C) -> (O, C)."""

    @staticmethod
    def forward(ctx, rows, plane: Plane):
        ctx.plane = plane
        return _like(_cell_sum(rows, plane) * plane.share, rows)

    @staticmethod
    def backward(ctx, grad):
        of_cell = _like(grad * ctx.plane.share, grad)
        return of_cell.index_select(0, ctx.plane.cell_of_point), None


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

    def __init__(self, width: int, spreads: bool):
        super().__init__(width, width, 3, padding=1, groups=width)
        self.spreads = spreads

    def forward(self, cells: Tensor, plane: Plane) -> Tensor:
        weight = self.weight.flatten(1).T.to(cells.dtype).contiguous()  # (9, C)
        bias = self.bias.to(cells.dtype)
        return NeighbourConv.apply(cells, weight, bias, plane, self.spreads)


def _spread(cells: Tensor, weight: Tensor, plane: Plane, bias: Tensor) -> Tensor:
    """bias + sum_k weight[k] * cells[occupied_near_halo[k]]: (O, C) -> (H, C)."""
    few = cells.is_cuda or 9 * cells.numel() <= FEW
    if few and not torch.compiler.is_compiling():  # most of the halo has few neighbours
        weighted = (cells[:, None] * weight).flatten(0, 1)  # (9 O, C)
        bags = F.embedding_bag(plane.spread_rows, weighted, plane.spread_first, mode="sum")
        return bags.add_(bias)
    return _gather_weighted(cells, weight, plane.occupied_near_halo, bias)


def _collect(halo: Tensor, weight: Tensor, plane: Plane, bias: Tensor) -> Tensor:
    """bias + sum_k weight[k] * halo[halo_near_occupied[k]]: (H, C) -> (O, C)."""
    return _gather_weighted(halo, weight, plane.halo_near_occupied, bias)


def _like(values: Tensor, other: Tensor) -> Tensor:
    # torch 2.11 compiles a conversion to the same type into a wrong gradient.
    return values if values.dtype == other.dtype else values.to(other.dtype)


def _with_zero_row(rows: Tensor) -> Tensor:
    return torch.cat([rows, rows.new_zeros(1, rows.shape[1])])


def _gather_weighted(source: Tensor, weight: Tensor, table: Tensor, bias: Tensor) -> Tensor:
    """bias + sum_k weight[k] * source[table[k]]: (S, C), (9, C), (9, T), (C,) -> (T, C)."""
    padded = _with_zero_row(source)
    if torch.compiler.is_compiling():
        return (padded[table] * weight[:, None]).sum(0) + bias
    total = source.new_empty(table.shape[1], source.shape[1])
    for part, places in _pieces(total, table):
        if part.is_cuda:  # few launches; a CPU gains more by making nothing nine times as large
            torch.add((padded[places] * weight[:, None]).sum(0), bias, out=part)
            continue
        before = bias
        for kernel, rows in zip(weight, places, strict=True):
            before = torch.addcmul(before, padded.index_select(0, rows), kernel, out=part)
    return total


def _correlate(source: Tensor, target: Tensor, table: Tensor) -> Tensor:
    """sum_t source[table[k, t]] * target[t] for every k: (S, C), (T, C), (9, T) -> (9, C)."""
    padded = _with_zero_row(source)
    sums = torch.promote_types(target.dtype, torch.float32)
    if torch.compiler.is_compiling():
        return (padded[table] * target).sum(1, dtype=sums)
    total = target.new_zeros(9, target.shape[1], dtype=sums)
    for part, places in _pieces(target, table):
        if part.is_cuda:
            total += (padded[places] * part).sum(1, dtype=sums)
            continue
        for sum_k, rows in zip(total, places, strict=True):
            sum_k += padded.index_select(0, rows).mul_(part).sum(0, dtype=sums)
    return total


def _pieces(rows: Tensor, table: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows (T, C) and columns of a table (9, T), as many at a time as the cache holds."""
    size = max(1, CACHED[rows.device.type] // rows.shape[1])
    return zip(rows.split(size), table.split(size, dim=1), strict=True)


def _cell_sum(rows: Tensor, plane: Plane) -> Tensor:
    return F.embedding_bag(plane.points_by_cell, rows, plane.first_of_cell, mode="sum")
