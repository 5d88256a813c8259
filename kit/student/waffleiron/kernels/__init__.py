"""Triton kernels of a WaffleIron layer: the parts between its matrix products, each in one pass.

On a GPU a layer is limited by the bytes that it moves. These kernels read every row of points once
and write it at most once; sums are accumulated in float32. Every function is a launch of one
kernel; `fused_layer.py` puts them together, forward and backward. Sums over rows that many programs
share are written as partial sums and added in a fixed order, so results repeat bit for bit.

Shapes: N points, O occupied cells, H halo cells, C channels; tables as in `Plane`.
"""

from kit.student.waffleiron.kernels.convolution import gather_conv, gather_conv_backward
from kit.student.waffleiron.kernels.embedding import embedding_max, embedding_max_backward
from kit.student.waffleiron.kernels.points import add_both, add_norm, cell_sum, norm_mean
from kit.student.waffleiron.kernels.points_backward import norm_backward, rows_and_sum

__all__ = [
    "add_both",
    "add_norm",
    "cell_sum",
    "embedding_max",
    "embedding_max_backward",
    "gather_conv",
    "gather_conv_backward",
    "norm_backward",
    "norm_mean",
    "rows_and_sum",
]
