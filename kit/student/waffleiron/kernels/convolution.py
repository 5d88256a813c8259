"""Depthwise 3x3 convolution between occupied cells and their halo, forward and backward."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from kit.student.waffleiron.kernels.common import activated, dense_inputs, slope

TARGETS = 256  # cells for each program and partial sum of the weight's gradient
# Of the backward pass: cells and channels at once, warps.
BACKWARD_TARGETS, BACKWARD_CHANNELS, BACKWARD_WARPS = 8, 128, 2


@triton.jit
def _gather_conv(
    source, weight, bias, table, factor, out, num_source, num_target,
    C: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr,
    FACTOR: tl.constexpr, ACTIVATE: tl.constexpr, GELU: tl.constexpr,
):  # fmt: skip
    target = tl.program_id(0).to(tl.int64) * BLOCK_T + tl.arange(0, BLOCK_T)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    exists, inside = target < num_target, channel < C
    total = tl.zeros([BLOCK_T, BLOCK_C], tl.float32)
    for k in tl.static_range(9):
        index = tl.load(table + k * num_target + target, mask=exists, other=num_source)
        near = (index < num_source)[:, None] & inside[None, :]
        value = tl.load(source + index[:, None] * C + channel[None, :], mask=near, other=0)
        kernel = tl.load(weight + k * C + channel, mask=inside, other=0).to(tl.float32)
        total += value.to(tl.float32) * kernel[None, :]
    total += tl.load(bias + channel, mask=inside, other=0).to(tl.float32)[None, :]
    if FACTOR:
        total *= tl.load(factor + target, mask=exists, other=0)[:, None]
    at = target[:, None] * C + channel[None, :]
    here = exists[:, None] & inside[None, :]
    if ACTIVATE:
        total = activated(total, GELU)
    tl.store(out + at, total.to(out.dtype.element_ty), mask=here)


@dense_inputs
def gather_conv(
    source: Tensor,
    weight: Tensor,
    table: Tensor,
    bias: Tensor,
    *,
    factor: Tensor | None = None,
    activate: bool = False,
    gelu: bool = False,
) -> Tensor:
    """bias + sum_k weight[k] * source[table[k]]: (S, C), (9, C), (9, T) -> (T, C).

    Args:
        source: (S, C); an index S in the table reads as zero.
        weight: (9, C).
        table: (9, T) indices into `source`.
        bias: (C,).
        factor: (T,), multiplied with the result.
        activate: apply the activation to the result.
        gelu: the activation is GELU, else ReLU.
    """
    count, channels = table.shape[1], source.shape[1]
    out = source.new_empty(count, channels)
    block = min(256, triton.next_power_of_2(channels))
    targets = max(1, 4096 // block)
    grid = (triton.cdiv(count, targets), triton.cdiv(channels, block))
    _gather_conv[grid](
        source, weight, bias, table, factor, out, len(source), count,
        C=channels, BLOCK_T=targets, BLOCK_C=block,
        FACTOR=factor is not None, ACTIVATE=activate, GELU=gelu, num_warps=8,
    )  # fmt: skip
    return out


@triton.jit
def _one_offset(
    grad, weight, table, own, target, exists, channel, inside, num_source, num_target,
    total, products, k: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    index = tl.load(table + k * num_target + target, mask=exists, other=num_source)
    near = (index < num_source)[:, None] & inside[None, :]
    value = tl.load(grad + index[:, None] * C + channel[None, :], mask=near, other=0)
    value = value.to(tl.float32)
    kernel = tl.load(weight + (8 - k) * C + channel, mask=inside, other=0).to(tl.float32)
    return total + value * kernel[None, :], products + tl.sum(value * own, 0)


@triton.jit
def _nine_offsets(
    grad, weight, table, own, target, exists, channel, inside, num_source, num_target,
    total, sums, C: tl.constexpr,
):  # fmt: skip
    given = (grad, weight, table, own, target, exists, channel, inside, num_source, num_target)
    s0, s1, s2, s3, s4, s5, s6, s7, s8 = sums
    total, s0 = _one_offset(*given, total, s0, 0, C)
    total, s1 = _one_offset(*given, total, s1, 1, C)
    total, s2 = _one_offset(*given, total, s2, 2, C)
    total, s3 = _one_offset(*given, total, s3, 3, C)
    total, s4 = _one_offset(*given, total, s4, 4, C)
    total, s5 = _one_offset(*given, total, s5, 5, C)
    total, s6 = _one_offset(*given, total, s6, 6, C)
    total, s7 = _one_offset(*given, total, s7, 7, C)
    total, s8 = _one_offset(*given, total, s8, 8, C)
    return total, (s0, s1, s2, s3, s4, s5, s6, s7, s8)


@triton.jit
def _gather_conv_backward(
    grad, weight, own, table, out, partial, num_source, num_target,
    C: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr, TARGETS: tl.constexpr,
    ACTIVATED: tl.constexpr, GELU: tl.constexpr,
):  # fmt: skip
    chunk = tl.program_id(0).to(tl.int64)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < C
    zero = tl.zeros([BLOCK_C], tl.float32)
    sums, of_bias = (zero, zero, zero, zero, zero, zero, zero, zero, zero), zero
    for step in range(0, TARGETS, BLOCK_T):
        t = chunk * TARGETS + step + tl.arange(0, BLOCK_T)
        exists = t < num_target
        at = t[:, None] * C + channel[None, :]
        here = exists[:, None] & inside[None, :]
        before = tl.load(own + at, mask=here, other=0).to(tl.float32)
        mine = activated(before, GELU) if ACTIVATED else before
        total = tl.zeros([BLOCK_T, BLOCK_C], tl.float32)
        total, sums = _nine_offsets(
            grad, weight, table, mine, t, exists, channel, inside, num_source, num_target,
            total, sums, C,
        )  # fmt: skip
        if ACTIVATED:
            total *= slope(before, GELU)
        rounded = total.to(out.dtype.element_ty)
        tl.store(out + at, rounded, mask=here)
        of_bias += tl.sum(rounded.to(tl.float32), 0)
    at = partial + chunk * 10 * C + channel
    for k in tl.static_range(9):  # an offset of the table is the mirrored one of the kernel
        tl.store(at + (8 - k) * C, sums[k], mask=inside)
    tl.store(at + 9 * C, of_bias, mask=inside)


@dense_inputs
def gather_conv_backward(
    grad: Tensor, weight: Tensor, own: Tensor, table: Tensor, *, activated: bool, gelu: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Backward of `gather_conv`: gradients of its source, its weight, and the result's column sums.

    Args:
        grad: (S, C) gradient of the convolution's result.
        weight: (9, C).
        own: (T, C) what the convolution gathered from; its inputs if it was activated first.
        table: (9, T) indices into `grad`: the table of the opposite direction.
        activated: the convolution gathered from the activated `own`. The gradient is then that
            of `own` before the activation.
        gelu: the activation is GELU, else ReLU.

    Returns:
        (T, C) gradient of `own`; (9, C) gradient of the weight; (C,) the sum of the first one's
        rows, which is the gradient of the bias that was added to `own`.
    """
    count, channels = own.shape
    out = torch.empty_like(own)
    chunks = triton.cdiv(count, TARGETS)
    partial = own.new_empty(chunks, 10, channels, dtype=torch.float32)
    block = min(BACKWARD_CHANNELS, triton.next_power_of_2(channels))
    _gather_conv_backward[(chunks, triton.cdiv(channels, block))](
        grad, weight, own, table, out, partial, len(grad), count,
        C=channels, BLOCK_T=BACKWARD_TARGETS, BLOCK_C=block, TARGETS=TARGETS,
        ACTIVATED=activated, GELU=gelu, num_warps=BACKWARD_WARPS,
    )  # fmt: skip
    sums = partial.sum(0)
    return out, sums[:9], sums[9]
