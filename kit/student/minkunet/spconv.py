"""Layers and tensors of spconv, with a correct algorithm on each device and checked inputs.

On a CPU, spconv-cu120 computes correctly only if every layer uses its native algorithm. Without a
GPU its backward pass asks for a CUDA stream, which does not exist. It does not notice indices that
are out of range or repeated, nor NaN. Everything in the kit that uses spconv goes through this
file.
"""

import warnings

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

try:
    with warnings.catch_warnings():  # spconv uses deprecated names
        warnings.simplefilter("ignore", FutureWarning)
        import spconv.pytorch as spconv
    from spconv.core import ConvAlgo
    from spconv.pytorch import ops
except ImportError as error:  # there are no wheels for macOS and Windows
    raise ImportError(
        f"MinkUNet needs spconv, which cannot be imported ({error}). On Linux with Python 3.11: "
        "pip install spconv-cu120; with Python 3.12: pip install spconv-cu126. WaffleIron "
        "students do not need it."
    ) from error

if not torch.cuda.is_available():
    ops.get_current_stream = lambda: 0


def _native_on_cpu(layer: nn.Module, inputs: tuple) -> None:
    """Set a layer's algorithm before it runs: spconv's choice on a GPU, the native one on a CPU."""
    layer.algo = layer.algo_on_gpu if inputs[0].features.is_cuda else ConvAlgo.Native


def _on_any_device(layer: nn.Module) -> nn.Module:
    layer.algo_on_gpu = layer.algo  # spconv's choice
    layer.register_forward_pre_hook(_native_on_cpu)
    return layer


def submanifold_conv(in_channels: int, out_channels: int, kernel: int, key: str) -> nn.Module:
    """Submanifold convolution: the output has the voxels of the input.

    Layers with the same `key` share their index table.
    """
    return _on_any_device(
        spconv.SubMConv3d(in_channels, out_channels, kernel, bias=False, indice_key=key)
    )


def halving_conv(channels: int, key: str) -> nn.Module:
    """Convolution with kernel and stride 2: a voxel of the output covers eight of the input."""
    return _on_any_device(
        spconv.SparseConv3d(channels, channels, 2, stride=2, bias=False, indice_key=key)
    )


def inverse_conv(in_channels: int, out_channels: int, key: str) -> nn.Module:
    """Transposed convolution back to the input voxels of the `halving_conv` with the same `key`."""
    return _on_any_device(
        spconv.SparseInverseConv3d(in_channels, out_channels, 2, indice_key=key, bias=False)
    )


def sparse_tensor(
    feat: Float[Tensor, "V C"], index: Int[Tensor, "V 4"], grid: tuple[int, int, int], scans: int
) -> "spconv.SparseConvTensor":
    """Make a checked spconv tensor.

    Args:
        feat: features of the occupied voxels.
        index: int32 (scan, three grid coordinates), no row twice.
        grid: cells along the three axes.
        scans: number of scans in the batch.

    Raises:
        ValueError: an index of another dtype or out of range, a voxel listed twice, or a feature
            that is not finite.
    """
    if index.dtype != torch.int32:
        raise ValueError(f"voxel indices must be int32, got {index.dtype}")
    limit = torch.tensor([scans, *grid], device=index.device)
    if len(index) == 0 or bool((index < 0).any()) or bool((index >= limit).any()):
        raise ValueError(
            f"{len(index)} voxel indices must lie in [0, {tuple(limit.tolist())}); got a range of "
            f"{index.amin(0).tolist() if len(index) else []} to "
            f"{index.amax(0).tolist() if len(index) else []}"
        )
    key = index[:, 0].long()
    for axis, cells in enumerate(grid, start=1):
        key = key * cells + index[:, axis]
    if len(key.unique()) < len(key):
        raise ValueError("a voxel is listed twice: average the points of each voxel first")
    if not bool(feat.isfinite().all()):
        raise ValueError("features of voxels must be finite, some are NaN or infinite")
    return spconv.SparseConvTensor(feat.contiguous(), index, list(grid), scans)


class OnFeatures(nn.Sequential):
    """Ordinary layers applied to the features of a sparse tensor."""

    def forward(self, tensor):
        return tensor.replace_feature(super().forward(tensor.features))
