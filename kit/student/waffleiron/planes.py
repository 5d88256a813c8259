"""Averages and 3x3 convolutions on one plane of WaffleIron, computed only at occupied cells.

For the tables see `Plane`. The first convolution spreads the occupied cells to the halo, the second
one collects the halo back at the occupied cells.

Every function has its backward pass written by hand. It uses the same tables in the other
direction: if cell d finds cell s at offset k, then s finds d at offset 8 - k. Only inputs are kept
for it. All of it is plain torch, on any device.

Source: WaffleIron (arXiv:2301.10100), spatial mix. Differs: no dense plane is made.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kit.student.point_batch import Plane

# Numbers in a chunk of an array: what is gathered for one chunk then stays in the cache.
CHUNK = {"cpu": 2**18, "cuda": 2**22}
# A CPU spreads by a table of all weighted cells only if this table has at most so many numbers.
TABLE_LIMIT = 2**22


class NeighbourConv(torch.autograd.Function):
    """Depthwise 3x3 convolution between the occupied cells and the halo.

    Args:
        source: (O, C) occupied cells for a spread, else (H, C) cells of the halo.
        weight: (9, C).
        bias: (C,).
        plane: the tables.
        spreads: True from the occupied cells to the halo, False from the halo to the cells.
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
        if ctx.spreads:  # offsets are mirrored in this direction
            grad_weight = grad_weight.flip(0)
        return grad_source, _in_dtype_of(weight, grad_weight), grad.sum(0), None, None


class CellMean(torch.autograd.Function):
    """Average the points of each cell: (N, C) -> (O, C)."""

    @staticmethod
    def forward(ctx, point_feat, plane: Plane):
        ctx.plane = plane
        return _in_dtype_of(point_feat, _cell_sum(point_feat, plane) * plane.inverse_count)

    @staticmethod
    def backward(ctx, grad):
        of_cell = _in_dtype_of(grad, grad * ctx.plane.inverse_count)
        return of_cell.index_select(0, ctx.plane.cell_of_point), None


class CellToPoints(torch.autograd.Function):
    """Copy the feature of each cell to its points: (O, C) -> (N, C)."""

    @staticmethod
    def forward(ctx, cells, plane: Plane):
        ctx.plane = plane
        return cells.index_select(0, plane.cell_of_point)

    @staticmethod
    def backward(ctx, grad):
        return _cell_sum(grad, ctx.plane), None


class CellConv(nn.Conv2d):
    """Depthwise 3x3 convolution on a plane's cells, with the parameters of nn.Conv2d."""

    def __init__(self, width: int, spreads: bool):
        super().__init__(width, width, 3, padding=1, groups=width)
        self.spreads = spreads

    def forward(self, cells: Tensor, plane: Plane) -> Tensor:
        weight = self.weight.flatten(1).T.to(cells.dtype).contiguous()  # (9, C)
        bias = self.bias.to(cells.dtype)
        return NeighbourConv.apply(cells, weight, bias, plane, self.spreads)


def _spread(cells: Tensor, weight: Tensor, plane: Plane, bias: Tensor) -> Tensor:
    """bias + sum_k weight[k] * cells[occupied_near_halo[k]]: (O, C) -> (H, C)."""
    by_table = cells.is_cuda or 9 * cells.numel() <= TABLE_LIMIT
    if by_table and not torch.compiler.is_compiling():  # most halo cells have few neighbours
        weighted = (cells[:, None] * weight).flatten(0, 1)  # (9 O, C)
        halo = F.embedding_bag(plane.halo_entries, weighted, plane.first_of_halo, mode="sum")
        return halo.add_(bias)
    return _gather_weighted(cells, weight, plane.occupied_near_halo, bias)


def _collect(halo: Tensor, weight: Tensor, plane: Plane, bias: Tensor) -> Tensor:
    """bias + sum_k weight[k] * halo[halo_near_occupied[k]]: (H, C) -> (O, C)."""
    return _gather_weighted(halo, weight, plane.halo_near_occupied, bias)


def _gather_weighted(source: Tensor, weight: Tensor, table: Tensor, bias: Tensor) -> Tensor:
    """bias + sum_k weight[k] * source[table[k]]: (S, C), (9, C), (9, T), (C,) -> (T, C)."""
    padded = _with_zero_row(source)
    if torch.compiler.is_compiling():
        return (padded[table] * weight[:, None]).sum(0) + bias
    total = source.new_empty(table.shape[1], source.shape[1])
    for chunk, index in _chunks(total, table):
        if chunk.is_cuda:  # few launches; a CPU is faster without an array of nine times the size
            torch.add((padded[index] * weight[:, None]).sum(0), bias, out=chunk)
            continue
        partial_sum = bias
        for kernel, of_offset in zip(weight, index, strict=True):
            near = padded.index_select(0, of_offset)
            partial_sum = torch.addcmul(partial_sum, near, kernel, out=chunk)
    return total


def _correlate(source: Tensor, target: Tensor, table: Tensor) -> Tensor:
    """sum_t source[table[k, t]] * target[t] for every k: (S, C), (T, C), (9, T) -> (9, C)."""
    padded = _with_zero_row(source)
    dtype = torch.promote_types(target.dtype, torch.float32)
    if torch.compiler.is_compiling():
        return (padded[table] * target).sum(1, dtype=dtype)
    total = target.new_zeros(9, target.shape[1], dtype=dtype)
    for chunk, index in _chunks(target, table):
        if chunk.is_cuda:
            total += (padded[index] * chunk).sum(1, dtype=dtype)
            continue
        for sum_k, of_offset in zip(total, index, strict=True):
            sum_k += padded.index_select(0, of_offset).mul_(chunk).sum(0, dtype=dtype)
    return total


def _chunks(target: Tensor, table: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Split (T, C) and its table (9, T) into chunks that fit into the cache."""
    size = max(1, CHUNK[target.device.type] // target.shape[1])
    return zip(target.split(size), table.split(size, dim=1), strict=True)


def _cell_sum(point_feat: Tensor, plane: Plane) -> Tensor:
    return F.embedding_bag(plane.points_by_cell, point_feat, plane.first_of_cell, mode="sum")


def _with_zero_row(feat: Tensor) -> Tensor:
    return torch.cat([feat, feat.new_zeros(1, feat.shape[1])])


def _in_dtype_of(other: Tensor, values: Tensor) -> Tensor:
    # torch 2.11 compiles a conversion to the same type into a wrong gradient.
    return values if values.dtype == other.dtype else values.to(other.dtype)
