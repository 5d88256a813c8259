"""MinkUNet: the sparse-convolution U-Net that earlier distillation methods train, on spconv.

The grid is halved four times and restored four times, with residual blocks in between and a skip
connection at every level. Every point gets the feature of its voxel.

Source: MinkowskiNet (Choy et al., CVPR 2019, arXiv:1904.08755), Res16UNet-18 and -34C, with the
    stem kernel of 3 that SLidR (arXiv:2203.16258) uses. SuperFlow (arXiv:2407.06190) has two
    convolutions in the stem. Differs, unless `reduce` is "first": a voxel is the mean of its points
    instead of one of them. The convolutions are spconv's.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kit.student.minkunet import spconv as sparse
from kit.student.minkunet.config import BLOCKS, LEVELS, MinkUNetConfig
from kit.student.minkunet.voxels import Voxels, voxelise
from kit.student.point_batch import PointBatch
from kit.student.row_layers import distillation_head
from kit.student.student import DistilledFrom, check_layers


class ResidualBlock(nn.Module):
    """Two sparse convolutions: relu(x + norm(conv(relu(norm(conv(x))))))."""

    def __init__(self, in_channels: int, channels: int, key: str):
        super().__init__()
        self.conv1 = sparse.submanifold_conv(in_channels, channels, 3, key)
        self.norm1 = sparse.OnFeatures(nn.BatchNorm1d(channels), nn.ReLU(inplace=True))
        self.conv2 = sparse.submanifold_conv(channels, channels, 3, key)
        self.norm2 = nn.BatchNorm1d(channels)
        self.shortcut = nn.Identity()
        if in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Linear(in_channels, channels, bias=False), nn.BatchNorm1d(channels)
            )

    def forward(self, x):
        y = self.conv2(self.norm1(self.conv1(x)))
        return y.replace_feature(torch.relu(self.norm2(y.features) + self.shortcut(x.features)))


def _blocks(num: int, in_channels: int, channels: int, level: int) -> nn.Sequential:
    widths = [in_channels] + [channels] * (num - 1)
    return nn.Sequential(*(ResidualBlock(width, channels, f"level{level}") for width in widths))


def _normed(conv: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(conv, sparse.OnFeatures(nn.BatchNorm1d(channels), nn.ReLU(inplace=True)))


class MinkUNet(nn.Module):
    """Point features (N, C) by sparse convolutions, and a head to the teacher's space (N, D)."""

    distilled_from: DistilledFrom | None = None

    def __init__(self, config: MinkUNetConfig):
        super().__init__()
        self.config = config
        self.register_load_state_dict_pre_hook(_rename_stem)
        stem, *widths = config.widths
        down, up, blocks = widths[:LEVELS], widths[LEVELS:], BLOCKS[config.depth]
        self.stem = nn.Sequential()
        for channels in [config.channels, stem][: config.stem_convs]:
            self.stem.extend(_normed(sparse.submanifold_conv(channels, stem, 3, "level0"), stem))
        self.halve, self.down = nn.ModuleList(), nn.ModuleList()
        for level, (narrow, wide) in enumerate(zip([stem, *down], down, strict=False)):
            self.halve.append(_normed(sparse.halving_conv(narrow, f"halve{level}"), narrow))
            self.down.append(_blocks(blocks[level], narrow, wide, level + 1))
        self.back, self.up = nn.ModuleList(), nn.ModuleList()
        skips = [*down[-2::-1], stem]
        for step, (narrow, wide) in enumerate(zip([down[-1], *up], up, strict=False)):
            level = LEVELS - 1 - step
            self.back.append(_normed(sparse.inverse_conv(narrow, wide, f"halve{level}"), wide))
            self.up.append(_blocks(blocks[LEVELS + step], wide + skips[step], wide, level))
        self.classif = distillation_head(config.width, config.head)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that `features` can return."""
        return ("stem", *(f"block {i + 1}" for i in range(2 * LEVELS)))

    @property
    def bottleneck(self) -> tuple[str, int]:
        """The layer with the coarsest voxels, and its channels."""
        return self.layers[LEVELS], self.config.widths[LEVELS]

    def features(
        self, batch: PointBatch, layers: Sequence[str] | None = None
    ) -> Float[Tensor, "N C"] | dict[str, Float[Tensor, "N _"]]:
        """Point features of the last layer, before the distillation head; or of several layers.

        Args:
            batch: scans put together by `collate`.
            layers: names from `self.layers`. The result is then a dictionary with these keys.

        Raises:
            ValueError: no such layer, or a point outside of the field of view.
        """
        wanted = self.layers[-1:] if layers is None else check_layers(self, layers)
        config = self.config
        voxels = voxelise(batch, config.inputs.voxel_size, config.cylindrical, config.grid)
        point_feat = batch.feat[:, [0] if config.channels == 1 else [1, 2, 3, 0]]
        feat = (voxels.mean if config.reduce == "mean" else voxels.first)(point_feat)  # (V, 1 or 4)
        found = {}
        with torch.autocast(feat.device.type, enabled=feat.is_cuda and torch.is_autocast_enabled()):
            grid = tuple(-(-cells // 2**LEVELS) * 2**LEVELS for cells in voxels.grid)
            tensor = sparse.sparse_tensor(feat, voxels.index, grid, batch.num_scans)
            for name, level, at_level in self._by_layer(tensor):
                if name in wanted:
                    found[name] = _at_points(at_level, level, voxels)
        return found[self.layers[-1]] if layers is None else {name: found[name] for name in wanted}

    def _by_layer(self, tensor) -> Iterator[tuple[str, int, object]]:
        """Yield (name, number of halvings of the grid, sparse tensor) from the stem to the end."""
        names = iter(self.layers)
        x = self.stem(tensor)
        yield next(names), 0, x
        skips = []
        for level in range(LEVELS):
            skips.append(x)
            x = self.down[level](self.halve[level](x))
            yield next(names), level + 1, x
        for step in range(LEVELS):
            x = self.back[step](x)
            x = x.replace_feature(torch.cat([x.features, skips.pop().features], dim=1))
            x = self.up[step](x)
            yield next(names), LEVELS - 1 - step, x

    def stages(self) -> dict[str, list[nn.Module]]:
        """The parts of the network by name, for measuring the time of each."""
        return {
            "stem": [self.stem],
            "down": [*self.halve, *self.down],
            "up": [*self.back, *self.up],
        }

    def head(self, point_feat: Float[Tensor, "N C"]) -> Float[Tensor, "N D"]:
        """Map point features to the teacher's feature space."""
        return self.classif(point_feat)

    def forward(self, batch: PointBatch) -> Float[Tensor, "N D"]:
        return self.head(self.features(batch))


def _rename_stem(network: nn.Module, state: dict[str, Tensor], prefix: str, *_) -> None:
    """Accept older files, in which the stem is called entrance."""
    for name in [name for name in state if name.startswith(f"{prefix}entrance.")]:
        state[name.replace("entrance.", "stem.", 1)] = state.pop(name)


def _at_points(tensor, level: int, voxels: Voxels) -> Float[Tensor, "N C"]:
    """Copy the features of voxels to their points, from a grid that was halved `level` times."""
    if level == 0:
        return tensor.features[voxels.voxel_of_point]

    rows, columns, layers = tensor.spatial_shape

    def key(index: Tensor) -> Tensor:
        scan, a, b, c = index.long().unbind(1)
        return ((scan * rows + a) * columns + b) * layers + c

    coarse = voxels.index.clone()
    coarse[:, 1:] >>= level
    known, order = key(tensor.indices).sort()
    row = order[torch.searchsorted(known, key(coarse))]
    return tensor.features[row][voxels.voxel_of_point]
