"""WaffleIron, computed only at occupied cells; `reference.py` is the same network, as published.

Each layer averages the points of every cell of one plane, applies two depthwise 3x3 convolutions to
the plane, and copies the result back to the points (spatial mix). Then it mixes the channels of
each point (channel mix). The second convolution is needed only at occupied cells, and the first
only at those and their neighbours. So no dense plane is made, and the result is the same.

Parameters have the published names and shapes: published weights load with `load_state_dict`.

Source: WaffleIron (Puy et al., ICCV 2023, arXiv:2301.10100); LayerNorm variant: ScaLR
    (arXiv:2310.17504). Differs: rows of points instead of zero-padded (B, C, N), sparse planes.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kit.student.point_batch import Plane, PointBatch
from kit.student.row_layers import RowConv1d, distillation_head
from kit.student.student import DistilledFrom, check_layers
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.fused_layer import (
    can_fuse,
    fused_layer,
    matrix_dtype,
    warn_unfused,
)
from kit.student.waffleiron.planes import CellConv, CellMean, CellToPoints
from kit.student.waffleiron.point_embedding import PointEmbedding, batchnorm_affine

NORM_LAYERS = {"layer": nn.LayerNorm, "batch": nn.BatchNorm1d}
ACTIVATION_LAYERS = {"relu": partial(nn.ReLU, inplace=True), "gelu": nn.GELU}


class _Mix(nn.Module):
    """A residual block: x + drop_path(scale * f(norm(x)))."""

    def __init__(self, config: WaffleIronConfig):
        super().__init__()
        self.norm = NORM_LAYERS[config.norm](config.width)
        self.scale = nn.Conv1d(config.width, config.width, 1, bias=False, groups=config.width)
        self.drop_path = config.drop_path

    def scaled(self, value: Float[Tensor, "*rows C"]) -> Float[Tensor, "*rows C"]:
        if self.scale is None:  # after `compress`
            return value
        return value * self.scale.weight.flatten().to(value.dtype)

    def kept(self, batch: PointBatch) -> Float[Tensor, " B"] | None:
        """Draw the factor of every scan's update: zero where the path is dropped."""
        if not self.training or self.drop_path == 0:
            return None
        keep = torch.rand(batch.num_scans, device=batch.feat.device) >= self.drop_path
        return keep / (1 - self.drop_path)

    def _residual(self, x: Tensor, update: Tensor, batch: PointBatch) -> Tensor:
        keep = self.kept(batch)
        if keep is not None:
            update = update * keep[batch.batch_of_point, None]
        if update.dtype != x.dtype:  # mixed precision
            return x + update
        return update.add_(x)  # in place: the update is used nowhere else

    def _fold_scale(self, last: nn.Module) -> None:
        """Multiply the scale into the last layer's weights."""
        scale = self.scale.weight.flatten()
        last.weight *= scale.view(-1, *[1] * (last.weight.ndim - 1))
        last.bias *= scale
        self.scale = None


class SpatialMix(_Mix):
    """Points -> cells of one plane -> two depthwise convolutions -> points."""

    def __init__(self, config: WaffleIronConfig):
        super().__init__(config)
        activation = ACTIVATION_LAYERS[config.activation]()
        self.ffn = nn.Sequential(
            CellConv(config.width, spreads=True),
            activation,
            CellConv(config.width, spreads=False),
        )

    def forward(self, x: Float[Tensor, "N C"], batch: PointBatch, plane: Plane) -> Tensor:
        spread, activation, collect = self.ffn
        if isinstance(self.norm, nn.BatchNorm1d) and not self.training:
            cells = self.norm(CellMean.apply(x, plane))  # (O, C): equal, and fewer rows to norm
        else:
            cells = CellMean.apply(self.norm(x).to(matrix_dtype(x)), plane)  # (O, C)
        halo = activation(spread(cells, plane))  # (H, C)
        cells = self.scaled(collect(halo, plane))  # (O, C): fewer rows to scale than points
        return self._residual(x, CellToPoints.apply(cells, plane), batch)

    def compress_(self) -> None:
        """Fold the layer scale into the weights, in place."""
        self._fold_scale(self.ffn[2])


class ChannelMix(_Mix):
    """Two linear layers on the channels of each point, without expansion."""

    def __init__(self, config: WaffleIronConfig):
        super().__init__(config)
        width = config.width
        activation = ACTIVATION_LAYERS[config.activation]()
        self.mlp = nn.Sequential(RowConv1d(width, width, 1), activation, RowConv1d(width, width, 1))

    def forward(self, x: Float[Tensor, "N C"], batch: PointBatch) -> Tensor:
        first, activation, last = self.mlp
        hidden = activation(first(self.norm(x)))
        # The scale is multiplied into the weights (C, C), which is cheaper than into (N, C).
        weight, bias = self.scaled(last.weight.flatten(1).T).T, self.scaled(last.bias)
        return self._residual(x, F.linear(hidden, weight, bias), batch)

    def compress_(self) -> None:
        """Fold the layer scale and a batch norm into the weights, in place."""
        self._fold_scale(self.mlp[2])
        if isinstance(self.norm, nn.BatchNorm1d):
            scale, shift = batchnorm_affine(self.norm)
            first = self.mlp[0]
            first.bias += first.weight.flatten(1) @ shift
            first.weight *= scale[:, None]
            self.norm = nn.Identity()


class _Mixes(nn.Module):
    def __init__(self, config: WaffleIronConfig):
        super().__init__()
        self.spatial_mix = nn.ModuleList(SpatialMix(config) for _ in range(config.depth))
        self.channel_mix = nn.ModuleList(ChannelMix(config) for _ in range(config.depth))


def _run_mix(mix: _Mix, *inputs) -> Tensor:
    return mix(*inputs)


class WaffleIron(nn.Module):
    """The paper's student: point features (N, C), and a head to the teacher's space (N, D)."""

    distilled_from: DistilledFrom | None = None

    def __init__(self, config: WaffleIronConfig):
        super().__init__()
        self.config = config
        self.embed = PointEmbedding(5, config.width)
        self.waffleiron = _Mixes(config)
        self.classif = distillation_head(config.width, config.head)
        self._run_mix, self._fused = _run_mix, False

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that `features` can return."""
        return ("embedding", *(f"layer {i + 1}" for i in range(self.config.depth)))

    @property
    def bottleneck(self) -> tuple[str, int]:
        """The last layer and its channels: all layers have the same resolution."""
        return self.layers[-1], self.config.width

    def features(
        self, batch: PointBatch, layers: Sequence[str] | None = None
    ) -> Float[Tensor, "N C"] | dict[str, Float[Tensor, "N C"]]:
        """Point features of the last layer, before the distillation head; or of several layers.

        Args:
            batch: scans put together by `collate`.
            layers: names from `self.layers`. The result is then a dictionary with these keys, and
                layers after the last one named are not computed.

        Raises:
            ValueError: no such layer; lists the student's layers.
        """
        wanted = self.layers[-1:] if layers is None else check_layers(self, layers)
        found = {}
        for name, x in self._by_layer(batch):
            if name in wanted:
                found[name] = x
            if len(found) == len(set(wanted)):
                break
        return x if layers is None else {name: found[name] for name in wanted}

    def _by_layer(self, batch: PointBatch) -> Iterator[tuple[str, Tensor]]:
        x = self.embed(batch.feat, batch.neighbours)
        yield self.layers[0], x
        mixes = zip(self.waffleiron.spatial_mix, self.waffleiron.channel_mix, strict=True)
        for layer, (spatial, channel) in enumerate(mixes):
            plane = batch.planes[layer % 3]
            if self._fused and can_fuse(x, spatial.norm):
                x = self._run(fused_layer, spatial, channel, x, batch, plane)
            else:
                x = self._run(self._run_mix, spatial, x, batch, plane)
                x = self._run(self._run_mix, channel, x, batch)
            yield self.layers[layer + 1], x

    def _run(self, part: Callable[..., Tensor], *inputs) -> Tensor:
        if self.config.checkpointing and self.training and torch.is_grad_enabled():
            return checkpoint(part, *inputs, use_reentrant=False)
        return part(*inputs)

    def stages(self) -> dict[str, list[nn.Module]]:
        """The parts of the network by name, for measuring the time of each."""
        return {
            "embedding": [self.embed],
            "spatial mixes": list(self.waffleiron.spatial_mix),
            "channel mixes": list(self.waffleiron.channel_mix),
        }

    def compile_mixes(self, on: bool = True) -> None:
        """Switch torch.compile of the mixes on or off; the results are the same.

        All layers and batches of any size share the compiled code: four graphs in all.
        """
        self._run_mix = torch.compile(_run_mix, dynamic=True) if on else _run_mix

    def fuse_layers(self, on: bool = True) -> None:
        """Switch the Triton kernels on or off; the results are the same apart from rounding.

        Where they cannot run, one warning says so and the layers run as without. They are off by
        default: they were tested in Triton's interpreter and compiled for compute capability 9.0,
        but their time on a card was not measured yet.
        """
        self._fused = self.embed.fused = on
        if on:
            warn_unfused(self.embed.conv1.weight, self.config.norm)

    @torch.no_grad()
    def compress(self) -> "WaffleIron":
        """Make a copy for inference, which cannot be trained.

        Scales, and BatchNorm where there is one, become part of the layers next to them. The
        features are the same and take a little less time.

        Source: WaffleIron (arXiv:2301.10100), `compress`.
        """
        compressed = deepcopy(self).eval()
        for mix in (*compressed.waffleiron.spatial_mix, *compressed.waffleiron.channel_mix):
            mix.compress_()
        return compressed.requires_grad_(False)

    def head(self, point_feat: Float[Tensor, "N C"]) -> Float[Tensor, "N D"]:
        """Map point features to the teacher's feature space."""
        return self.classif(point_feat)

    def forward(self, batch: PointBatch) -> Float[Tensor, "N D"]:
        return self.head(self.features(batch))
