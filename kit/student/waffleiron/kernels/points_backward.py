"""Backward passes on rows of points, with the sums over all rows that gradients of weights need."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kit.student.point_batch import Plane
from kit.student.waffleiron.kernels.common import dense_inputs, slope, warps

ROWS = 32  # rows for each program and partial sum


@triton.jit
def _norm_backward(
    x, cells, cell_of_point, mean, rstd, weight, grad_y, inverse_count, residual,
    out, partial, num_points,
    C: tl.constexpr, BLOCK_C: tl.constexpr, ROWS: tl.constexpr, OF_MEAN: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, BLOCK_C)
    inside = channel < C
    scale = tl.load(weight + channel, mask=inside, other=0)
    of_weight = tl.zeros([BLOCK_C], tl.float32)
    of_bias = tl.zeros([BLOCK_C], tl.float32)
    for row in range(ROWS):
        point = program * ROWS + row
        exists = point < num_points
        here = inside & exists
        cell = tl.load(cell_of_point + point, mask=exists, other=0)
        value = tl.load(x + point * C + channel, mask=here, other=0).to(tl.float32)
        if OF_MEAN:
            dy = tl.load(grad_y + cell * C + channel, mask=here, other=0).to(tl.float32)
            dy *= tl.load(inverse_count + cell)
        else:
            value += tl.load(cells + cell * C + channel, mask=here, other=0).to(tl.float32)
            dy = tl.load(grad_y + point * C + channel, mask=here, other=0).to(tl.float32)
        r = tl.load(rstd + point, mask=exists, other=0)
        normed = (value - tl.load(mean + point, mask=exists, other=0)) * r
        normed = tl.where(here, normed, 0.0)
        of_weight += dy * normed
        of_bias += dy
        dy *= scale
        dx = r * (dy - tl.sum(dy, 0) / C - normed * (tl.sum(dy * normed, 0) / C))
        dx += tl.load(residual + point * C + channel, mask=here, other=0).to(tl.float32)
        tl.store(out + point * C + channel, dx.to(out.dtype.element_ty), mask=here)
    tl.store(partial + program * 2 * C + channel, of_weight, mask=inside)
    tl.store(partial + program * 2 * C + C + channel, of_bias, mask=inside)


@dense_inputs
def norm_backward(
    x: Tensor,
    cells: Tensor | None,
    plane: Plane,
    statistics: tuple[Tensor, Tensor],
    weight: Tensor,
    grad_y: Tensor,
    residual: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Backward of `add_norm`, or of `norm_mean`, with the residual's gradient added.

    Args:
        x: (N, C) rows that were normed; after `add_norm` without the cells.
        cells: (O, C) cells that `add_norm` added to them; None after `norm_mean`.
        plane: the tables.
        statistics: mean and rstd (N,) from the forward pass.
        weight: (C,).
        grad_y: (N, C) gradient of `add_norm`, or (O, C) of `norm_mean`.
        residual: (N, C) gradient that reaches x past the norm.

    Returns:
        Gradients of x (N, C), of weight (C,) and of bias (C,).
    """
    count, channels = x.shape
    out = torch.empty_like(residual)
    programs = triton.cdiv(count, ROWS)
    partial = x.new_empty(programs, 2, channels, dtype=torch.float32)
    block = triton.next_power_of_2(channels)
    _norm_backward[(programs,)](
        x, cells, plane.cell_of_point, *statistics, weight, grad_y, plane.inverse_count,
        residual, out, partial, count,
        C=channels, BLOCK_C=block, ROWS=ROWS, OF_MEAN=cells is None,
        num_warps=warps(block),
    )  # fmt: skip
    return out, *partial.sum(0)


@triton.jit
def _rows_and_sum(
    rows, factor, before, out, partial, num_rows,
    C: tl.constexpr, BLOCK_C: tl.constexpr, ROWS: tl.constexpr,
    FACTOR: tl.constexpr, SLOPE: tl.constexpr, GELU: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, BLOCK_C)
    total = tl.zeros([BLOCK_C], tl.float32)
    for row in range(ROWS):
        at = program * ROWS + row
        here = (channel < C) & (at < num_rows)
        value = tl.load(rows + at * C + channel, mask=here, other=0).to(tl.float32)
        if FACTOR:
            value *= tl.load(factor + at, mask=at < num_rows, other=0)
        if SLOPE:
            value *= slope(
                tl.load(before + at * C + channel, mask=here, other=0).to(tl.float32), GELU
            )
        rounded = value.to(out.dtype.element_ty)
        tl.store(out + at * C + channel, rounded, mask=here)
        total += rounded.to(tl.float32)
    tl.store(partial + program * C + channel, total, mask=channel < C)


@dense_inputs
def rows_and_sum(
    rows: Tensor,
    *,
    dtype: torch.dtype,
    factor: Tensor | None = None,
    before: Tensor | None = None,
    gelu: bool = False,
) -> tuple[Tensor, Tensor]:
    """Rows (M, C) in another dtype, times a factor (M,) and an activation's slope; and their sum.

    Args:
        rows: (M, C).
        dtype: of the result.
        factor: (M,).
        before: (M, C) at which the slope is taken; for ReLU, its result does as well.
        gelu: the activation is GELU, else ReLU.
    """
    count, channels = rows.shape
    out = rows.new_empty(count, channels, dtype=dtype)
    programs = triton.cdiv(count, ROWS)
    partial = rows.new_empty(programs, channels, dtype=torch.float32)
    block = triton.next_power_of_2(channels)
    _rows_and_sum[(programs,)](
        rows, factor, before, out, partial, count,
        C=channels, BLOCK_C=block, ROWS=ROWS,
        FACTOR=factor is not None, SLOPE=before is not None, GELU=gelu, num_warps=warps(block),
    )  # fmt: skip
    return out, partial.sum(0)
