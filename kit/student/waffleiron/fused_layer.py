"""One layer of WaffleIron, spatial mix and channel mix, on a GPU: few passes over the points.

The same function as `SpatialMix` followed by `ChannelMix` of `model.py`, forward and backward. The
kernels of `kernels/` compute what lies between the matrix products. The backward pass keeps the
layer's input, both norms' statistics, two arrays of cells, and the channel mix's input and hidden
rows. It computes the halo again.

Source: WaffleIron (arXiv:2301.10100). The way it is computed is our own.
"""

import functools
import warnings
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kit.student.point_batch import Plane, PointBatch


@functools.cache
def kernels():
    """The kernels, or None with a warning where they cannot run."""
    try:
        from kit.student.waffleiron import kernels as found
    except ImportError as error:
        warnings.warn(f"Triton is missing ({error}): layers run unfused, slower", stacklevel=2)
        return None
    if torch.cuda.is_available() and torch.cuda.get_device_capability() < (8, 0):
        name = torch.cuda.get_device_name()
        warnings.warn(f"{name} is older than the kernels support (compute capability 8.0): layers "
                      "run unfused, slower", stacklevel=2)  # fmt: skip
        return None
    return found


def can_fuse(x: Tensor, norm: nn.Module) -> bool:
    """Whether `fused_layer` can compute a layer with this norm on these rows."""
    return (
        x.is_cuda
        and x.dtype != torch.float64
        and isinstance(norm, nn.LayerNorm)
        and not torch.compiler.is_compiling()
        and kernels() is not None
    )


def warn_unfused(weight: Tensor, norm: str) -> None:
    """Warn if the layers of a student with this weight and norm cannot be fused."""
    if norm != "layer":
        reason = f'norm="{norm}": the kernels are for norm="layer"'
    elif not weight.is_cuda:
        reason = f"the student is on the {weight.device.type.upper()}: the kernels need a GPU"
    else:
        kernels()  # warns
        return
    warnings.warn(f"{reason}; layers run unfused", stacklevel=3)


class _Settings(NamedTuple):
    dtype: torch.dtype  # of matrix products and of what lies between them
    gelu: bool
    eps: float


class FusedLayer(torch.autograd.Function):
    """The layer as one operation; see `fused_layer`, which gives it the parameters."""

    @staticmethod
    def forward(ctx, x, plane: Plane, settings: _Settings, keep_cell, keep_point, *weights):
        run = kernels()
        norm1, shift1, conv1, bias1, conv2, bias2, norm2, shift2, first, bias3, last, bias4 = (
            weights
        )
        dtype, gelu, eps = settings
        cells, *statistics1 = run.norm_mean(x, plane, norm1, shift1, eps, dtype)
        halo = _spread(run, cells, conv1, bias1, plane, activate=True, gelu=gelu)
        collected = run.gather_conv(halo, conv2, plane.halo_near_occupied, bias2, factor=keep_cell)
        del halo
        normed, *statistics2 = run.add_norm(x, collected, plane, norm2, shift2, eps)
        hidden = torch.addmm(bias3.to(dtype), normed, first.to(dtype).T)
        activated = F.gelu(hidden) if gelu else hidden.relu_()
        update = torch.addmm(bias4.to(dtype), activated, last.to(dtype).T)
        out = run.add_both(x, collected, plane, update, keep_point)
        ctx.plane, ctx.settings, ctx.keep = plane, settings, (keep_cell, keep_point)
        ctx.save_for_backward(
            x, cells, *statistics1, collected, *statistics2, normed, hidden, *weights
        )
        return out

    @staticmethod
    def backward(ctx, grad):
        x, cells, mean1, rstd1, collected, mean2, rstd2, normed, hidden, *weights = (
            ctx.saved_tensors
        )
        norm1, _, conv1, bias1, conv2, _, norm2, _, first, _, last, _ = weights
        run, plane, (keep_cell, keep_point) = kernels(), ctx.plane, ctx.keep
        dtype, gelu, _ = ctx.settings
        grad = grad.contiguous()

        of_update, of_bias4 = run.rows_and_sum(grad, dtype=dtype, factor=keep_point)
        of_last = of_update.T @ (F.gelu(hidden) if gelu else hidden)
        of_hidden = of_update @ last.to(dtype)
        del of_update
        of_hidden, of_bias3 = run.rows_and_sum(of_hidden, dtype=dtype, before=hidden, gelu=gelu)
        of_first = of_hidden.T @ normed
        of_normed = of_hidden @ first.to(dtype)
        del of_hidden
        of_x, of_norm2, of_shift2 = run.norm_backward(
            x, collected, plane, (mean2, rstd2), norm2, of_normed, grad
        )
        del of_normed
        of_collected = run.cell_sum(of_x, plane, keep_cell, dtype)
        of_bias2 = of_collected.sum(0, dtype=torch.float32)
        before = _spread(run, cells, conv1, bias1, plane, activate=False, gelu=gelu)
        of_halo, of_conv2, of_bias1 = run.gather_conv_backward(
            of_collected, conv2, before, plane.occupied_near_halo, activated=True, gelu=gelu
        )
        of_cells, of_conv1, _ = run.gather_conv_backward(
            of_halo, conv1, cells, plane.halo_near_occupied, activated=False, gelu=gelu
        )
        of_x, of_norm1, of_shift1 = run.norm_backward(
            x, None, plane, (mean1, rstd1), norm1, of_cells, of_x
        )
        of_weights = (
            of_norm1, of_shift1, of_conv1, of_bias1, of_conv2, of_bias2,
            of_norm2, of_shift2, of_first, of_bias3, of_last, of_bias4,
        )  # fmt: skip
        typed = (g.to(w.dtype) for g, w in zip(of_weights, weights, strict=True))
        return of_x, None, None, None, None, *typed


def _spread(run, cells, weight, bias, plane: Plane, activate: bool, gelu: bool) -> Tensor:
    return run.gather_conv(
        cells, weight, plane.occupied_near_halo, bias, activate=activate, gelu=gelu
    )


def fused_layer(
    spatial: nn.Module, channel: nn.Module, x: Float[Tensor, "N C"], batch: PointBatch, plane: Plane
) -> Float[Tensor, "N C"]:
    """`channel(spatial(x, batch, plane), batch)` in the fused form.

    Args:
        spatial: a `SpatialMix` with LayerNorm.
        channel: a `ChannelMix` with LayerNorm.
        x: (N, C) on a GPU.
        batch: the scans.
        plane: one of the batch's planes.
    """
    spread, _, collect = spatial.ffn
    first, _, last = channel.mlp
    weights = (
        *_affine(spatial.norm),
        _by_offset(spread.weight),
        spread.bias,
        spatial.scaled(_by_offset(collect.weight)),
        spatial.scaled(collect.bias),
        *_affine(channel.norm),
        first.weight.flatten(1),
        first.bias,
        channel.scaled(last.weight.flatten(1).T).T,
        channel.scaled(last.bias),
    )
    keep_cell, keep_point = spatial.kept(batch), channel.kept(batch)
    if keep_cell is not None:
        of_cell = batch.batch_of_point[plane.points_by_cell[plane.first_of_cell]]
        keep_cell, keep_point = keep_cell[of_cell], keep_point[batch.batch_of_point]
    gelu = isinstance(spatial.ffn[1], nn.GELU)
    settings = _Settings(matrix_dtype(x), gelu, spatial.norm.eps)
    return FusedLayer.apply(x.contiguous(), plane, settings, keep_cell, keep_point, *weights)


def matrix_dtype(x: Tensor) -> torch.dtype:
    """The dtype of matrix products: that of autocast in mixed precision, else that of x."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def _affine(norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    return norm.weight, norm.bias


def _by_offset(weight: Float[Tensor, "C 1 3 3"]) -> Float[Tensor, "9 C"]:
    return weight.flatten(1).T.contiguous()
