"""A distilled WaffleIron as an ONNX file, for programs without PyTorch.

    feat (N, 5), neighbours (N, K), cells (3, N)  ->  point_feat (N, C), head_feat (N, D)

The inputs are those of a `Scan` that `kit.prepare_scan` makes, the outputs those of the student. N
may change from call to call. The planes have the sizes of the student's field of view, which is
fixed in the file. They are dense here, because ONNX has no operator for occupied cells only.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from kit import store
from kit.student.scans import Scan
from kit.student.student import Student
from kit.student.waffleiron.model import ChannelMix, SpatialMix, WaffleIron

INPUTS = ("feat", "neighbours", "cells")
OUTPUTS = ("point_feat", "head_feat")


class OnnxWaffleIron(nn.Module):
    """The compressed student with operators that ONNX has; the results are the same.

    Args:
        student: is copied.
    """

    def __init__(self, student: WaffleIron):
        super().__init__()
        self.student = student.compress().cpu()
        self.grids = student.config.inputs.grids
        self.activation = {"relu": F.relu, "gelu": F.gelu}[student.config.activation]

    def forward(
        self, feat: Float[Tensor, "N 5"], neighbours: Int[Tensor, "N K"], cells: Int[Tensor, "3 N"]
    ) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N D"]]:
        """The features of one scan's points."""
        x, mixes = self._embedding(feat, neighbours), self.student.waffleiron
        pairs = zip(mixes.spatial_mix, mixes.channel_mix, strict=True)
        for layer, (spatial_mix, channel_mix) in enumerate(pairs):
            plane = layer % len(self.grids)
            x = x + self._spatial(spatial_mix, x, cells[plane], self.grids[plane])
            x = x + self._channel(channel_mix, x)
        return x, self.student.classif(x)

    def _embedding(self, feat: Tensor, neighbours: Tensor) -> Tensor:
        embed, count = self.student.embed, neighbours.shape[1]
        feat = embed.norm(feat)
        near = feat.index_select(0, neighbours.flatten()).unflatten(0, (-1, count))
        local = (near - feat[:, None]).flatten(0, 1)  # (N K, 5)
        before, first, between, _, second = embed.conv2
        local = F.relu(_batch_norm(between, first(_batch_norm(before, local))))
        local = second(local).unflatten(0, (-1, count)).amax(1)
        return embed.final(torch.cat([embed.conv1(feat), local], 1))

    def _spatial(
        self, mix: SpatialMix, x: Tensor, cell: Int[Tensor, " N"], grid: tuple[int, int]
    ) -> Tensor:
        rows, columns = grid
        x = mix.norm(x)
        total = x.new_zeros(rows * columns, x.shape[1]).index_add(0, cell, x)
        size = x.new_zeros(rows * columns).index_add(0, cell, torch.ones_like(x[:, 0]))
        plane = (total / size.clamp(min=1)[:, None]).T.unflatten(1, grid)[None]  # (1, C, H, W)
        spread, _, collect = mix.ffn
        options = {"padding": 1, "groups": plane.shape[1]}
        plane = F.conv2d(plane, spread.weight, spread.bias, **options)
        plane = F.conv2d(self.activation(plane), collect.weight, collect.bias, **options)
        return plane[0].flatten(1).T.index_select(0, cell)

    def _channel(self, mix: ChannelMix, x: Tensor) -> Tensor:
        first, _, last = mix.mlp
        return last(self.activation(first(mix.norm(x))))


def _batch_norm(norm: nn.Module, rows: Float[Tensor, "M C"]) -> Tensor:
    return F.batch_norm(
        rows, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
    )


def inputs_of(scan: Scan) -> dict[str, Tensor]:
    """The inputs of the file, by name."""
    return {name: getattr(scan, name).contiguous() for name in INPUTS}


def export_onnx(student: Student, path: str | Path) -> Path:
    """Write a student as an ONNX file.

    Args:
        student: a WaffleIron in float32.
        path: of the new file, e.g. student.onnx.

    Returns:
        The path.

    Raises:
        ValueError: the student is no WaffleIron.
        ImportError: the packages that write ONNX are missing.
    """
    if not isinstance(student, WaffleIron):
        raise ValueError(
            f"a {type(student).__name__} cannot be written as ONNX, which has no sparse "
            "convolution: choose a WaffleIron"
        )
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "ONNX files need onnx and onnxscript: pip install 'lidar-distillation-kit[onnx]'"
        ) from error
    points = torch.export.Dim("points", min=2)
    shapes = {"feat": {0: points}, "neighbours": {0: points}, "cells": {1: points}}
    program = torch.onnx.export(
        OnnxWaffleIron(student).eval(),
        kwargs=_example(student),
        input_names=INPUTS,
        output_names=OUTPUTS,
        dynamic_shapes=shapes,
        dynamo=True,
        verbose=False,
    )
    store.write_bytes(path, program.model_proto.SerializeToString())
    return Path(path)


def _example(student: WaffleIron, count: int = 64) -> dict[str, Tensor]:
    """Inputs of `count` points, from which the shapes are taken."""
    inputs = student.config.inputs
    return {
        "feat": torch.randn(count, 5),
        "neighbours": torch.randint(count, (count, inputs.num_neighbours)),
        "cells": torch.stack([torch.randint(h * w, (count,)) for h, w in inputs.grids]),
    }
