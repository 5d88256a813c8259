"""Between points and cells: norms, averages, residuals; backward in `points_backward.py`."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kit.student.point_batch import Plane
from kit.student.waffleiron.kernels.common import dense_inputs, warps

POINTS = 8  # points of a cell that are read at once


@triton.jit
def _cell_rows(points_by_cell, first_of_cell, num_cells, num_points, cell):
    start = tl.load(first_of_cell + cell)
    last = cell + 1 == num_cells
    end = tl.load(first_of_cell + cell + 1, mask=cell + 1 < num_cells, other=0)
    return start, tl.where(last, num_points, end)


@triton.jit
def _norm_mean(
    x, points_by_cell, first_of_cell, inverse_count, weight, bias,
    cells, mean, rstd,
    num_cells, num_points, eps,
    C: tl.constexpr, BLOCK_C: tl.constexpr, POINTS: tl.constexpr,
):  # fmt: skip
    cell = tl.program_id(0)
    start, end = _cell_rows(points_by_cell, first_of_cell, num_cells, num_points, cell)
    channel = tl.arange(0, BLOCK_C)
    total = tl.zeros([BLOCK_C], tl.float32)
    for at in range(start, end, POINTS):
        row = at + tl.arange(0, POINTS)
        point = tl.load(points_by_cell + row, mask=row < end, other=0)
        inside = (row < end)[:, None] & (channel < C)[None, :]
        value = tl.load(x + point[:, None] * C + channel[None, :], mask=inside, other=0)
        value = value.to(tl.float32)
        m = tl.sum(value, 1) / C
        centred = tl.where(inside, value - m[:, None], 0.0)
        r = tl.rsqrt(tl.sum(centred * centred, 1) / C + eps)
        tl.store(mean + point, m, mask=row < end)
        tl.store(rstd + point, r, mask=row < end)
        total += tl.sum(centred * r[:, None], 0)
    total *= tl.load(inverse_count + cell)
    scale = tl.load(weight + channel, mask=channel < C, other=0)
    shift = tl.load(bias + channel, mask=channel < C, other=0)
    out = (total * scale + shift).to(cells.dtype.element_ty)
    tl.store(cells + cell.to(tl.int64) * C + channel, out, mask=channel < C)


@dense_inputs
def norm_mean(
    x: Tensor, plane: Plane, weight: Tensor, bias: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """LayerNorm of the points, averaged in every cell: (N, C) -> (O, C), mean (N,), rstd (N,)."""
    count, channels = x.shape
    cells = x.new_empty(len(plane.first_of_cell), channels, dtype=dtype)
    mean, rstd = x.new_empty(2, count, dtype=torch.float32)
    block = triton.next_power_of_2(channels)
    _norm_mean[(len(cells),)](
        x, plane.points_by_cell, plane.first_of_cell, plane.inverse_count, weight, bias,
        cells, mean, rstd, len(cells), count, eps,
        C=channels, BLOCK_C=block, POINTS=POINTS, num_warps=warps(POINTS * block),
    )  # fmt: skip
    return cells, mean, rstd


@triton.jit
def _cell_sum(
    rows, points_by_cell, first_of_cell, factor, cells, num_cells, num_points,
    C: tl.constexpr, BLOCK_C: tl.constexpr, POINTS: tl.constexpr, FACTOR: tl.constexpr,
):  # fmt: skip
    cell = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    start, end = _cell_rows(points_by_cell, first_of_cell, num_cells, num_points, cell)
    total = tl.zeros([BLOCK_C], tl.float32)
    for at in range(start, end, POINTS):
        row = at + tl.arange(0, POINTS)
        point = tl.load(points_by_cell + row, mask=row < end, other=0)
        inside = (row < end)[:, None] & (channel < C)[None, :]
        value = tl.load(rows + point[:, None] * C + channel[None, :], mask=inside, other=0)
        total += tl.sum(value.to(tl.float32), 0)
    if FACTOR:
        total *= tl.load(factor + cell)
    out = total.to(cells.dtype.element_ty)
    tl.store(cells + cell.to(tl.int64) * C + channel, out, mask=channel < C)


@dense_inputs
def cell_sum(rows: Tensor, plane: Plane, factor: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Sum the points of every cell, times the cell's factor (O,): (N, C) -> (O, C)."""
    count, channels = rows.shape
    cells = rows.new_empty(len(plane.first_of_cell), channels, dtype=dtype)
    block = min(256, triton.next_power_of_2(channels))
    grid = (len(cells), triton.cdiv(channels, block))
    _cell_sum[grid](
        rows, plane.points_by_cell, plane.first_of_cell, factor, cells, len(cells), count,
        C=channels, BLOCK_C=block, POINTS=POINTS, FACTOR=factor is not None,
        num_warps=warps(POINTS * block),
    )  # fmt: skip
    return cells


@triton.jit
def _add_norm(
    x, cells, cell_of_point, weight, bias, y, mean, rstd, eps,
    C: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    point = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, BLOCK_C)
    inside = channel < C
    cell = tl.load(cell_of_point + point)
    value = tl.load(x + point * C + channel, mask=inside, other=0).to(tl.float32)
    value += tl.load(cells + cell * C + channel, mask=inside, other=0).to(tl.float32)
    m = tl.sum(value, 0) / C
    centred = tl.where(inside, value - m, 0.0)
    r = tl.rsqrt(tl.sum(centred * centred, 0) / C + eps)
    tl.store(mean + point, m)
    tl.store(rstd + point, r)
    out = centred * r * tl.load(weight + channel, mask=inside, other=0)
    out += tl.load(bias + channel, mask=inside, other=0)
    tl.store(y + point * C + channel, out.to(y.dtype.element_ty), mask=inside)


@dense_inputs
def add_norm(
    x: Tensor, cells: Tensor, plane: Plane, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """LayerNorm of every point plus its cell, in the dtype of cells: (N, C), mean, rstd (N,)."""
    count, channels = x.shape
    y = cells.new_empty(count, channels)
    mean, rstd = x.new_empty(2, count, dtype=torch.float32)
    block = triton.next_power_of_2(channels)
    _add_norm[(count,)](
        x, cells, plane.cell_of_point, weight, bias, y, mean, rstd, eps,
        C=channels, BLOCK_C=block, num_warps=warps(block),
    )  # fmt: skip
    return y, mean, rstd


@triton.jit
def _add_both(
    x, cells, cell_of_point, update, factor, out,
    C: tl.constexpr, BLOCK_C: tl.constexpr, FACTOR: tl.constexpr,
):  # fmt: skip
    point = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, BLOCK_C)
    inside = channel < C
    cell = tl.load(cell_of_point + point)
    value = tl.load(update + point * C + channel, mask=inside, other=0).to(tl.float32)
    if FACTOR:
        value *= tl.load(factor + point)
    value += tl.load(x + point * C + channel, mask=inside, other=0).to(tl.float32)
    value += tl.load(cells + cell * C + channel, mask=inside, other=0).to(tl.float32)
    tl.store(out + point * C + channel, value.to(out.dtype.element_ty), mask=inside)


@dense_inputs
def add_both(
    x: Tensor, cells: Tensor, plane: Plane, update: Tensor, factor: Tensor | None
) -> Tensor:
    """x + its cell + factor * update: (N, C), (O, C), (N, C), (N,) -> (N, C)."""
    out = torch.empty_like(x)
    block = triton.next_power_of_2(x.shape[1])
    _add_both[(len(x),)](
        x, cells, plane.cell_of_point, update, factor, out,
        C=x.shape[1], BLOCK_C=block, FACTOR=factor is not None, num_warps=warps(block),
    )  # fmt: skip
    return out
