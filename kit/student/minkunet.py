"""MinkUNet: the sparse-convolution U-Net that earlier distillation methods train, on spconv.

Four times down, four times up, residual blocks in between, skip connections at every level; the
features of voxels return to the points in them.

Source: MinkowskiNet (Choy et al., CVPR 2019, arXiv:1904.08755), Res16UNet-18 and -34C, with the
    kernel of 3 at the entrance that SLidR (arXiv:2203.16258) uses. Differs: voxels average their
    points instead of keeping one, and convolutions are spconv's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kit.student import sparse
from kit.student.inputs import InputConfig, PointBatch
from kit.student.rows import check_layers, distillation_head
from kit.student.voxels import Voxels, voxelise

BLOCKS = {18: (2, 2, 2, 2, 2, 2, 2, 2), 34: (2, 3, 4, 6, 2, 2, 2, 2)}
LEVELS = 4


@dataclass(frozen=True)
class MinkUNetConfig:
    """Size and variant of a MinkUNet.

    Attributes:
        depth: 18 or 34, how many residual blocks there are (`BLOCKS`).
        widths: channels of the entrance and of the eight groups of blocks, four down, four up.
        head: widths of the distillation head's layers, the last being the teacher's D.
        cylindrical: voxels are slices of rings (SLidR on nuScenes) instead of cubes.
        inputs: how scans are prepared; its voxel_size is that of the convolutions too.
    """

    depth: int = 34
    widths: tuple[int, ...] = (32, 32, 64, 128, 256, 256, 128, 96, 96)
    head: tuple[int, ...] = (1024,)
    cylindrical: bool = False
    inputs: InputConfig = InputConfig(cell_size=None, num_neighbours=0)

    def __post_init__(self):
        if self.depth not in BLOCKS:
            raise ValueError(f"depth must be one of {list(BLOCKS)}, got {self.depth}")
        if len(self.widths) != 2 * LEVELS + 1 or min(self.widths) < 1:
            raise ValueError(f"widths must be {2 * LEVELS + 1} positive numbers, got {self.widths}")
        if not self.head or min(self.head) < 1:
            raise ValueError(f"every head width must be at least 1, got {self.head}")

    @property
    def width(self) -> int:
        """Channels of the point features."""
        return self.widths[-1]


class ResidualBlock(nn.Module):
    """relu(x + norm(conv(relu(norm(conv(x))))))."""

    def __init__(self, in_channels: int, channels: int, key: str):
        super().__init__()
        self.conv1 = sparse.same_place(in_channels, channels, 3, key)
        self.norm1 = sparse.OnFeatures(nn.BatchNorm1d(channels), nn.ReLU(inplace=True))
        self.conv2 = sparse.same_place(channels, channels, 3, key)
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
    """Point features (N, C) by sparse convolutions, and a head into the teacher's space (N, D)."""

    def __init__(self, config: MinkUNetConfig):
        super().__init__()
        self.config = config
        entrance, *widths = config.widths
        down, up, blocks = widths[:LEVELS], widths[LEVELS:], BLOCKS[config.depth]
        self.entrance = _normed(sparse.same_place(1, entrance, 3, "level0"), entrance)
        self.halve, self.down = nn.ModuleList(), nn.ModuleList()
        for level, (narrow, wide) in enumerate(zip([entrance, *down], down, strict=False)):
            self.halve.append(_normed(sparse.halve(narrow, f"halve{level}"), narrow))
            self.down.append(_blocks(blocks[level], narrow, wide, level + 1))
        self.back, self.up = nn.ModuleList(), nn.ModuleList()
        skips = [*down[-2::-1], entrance]
        for step, (narrow, wide) in enumerate(zip([down[-1], *up], up, strict=False)):
            level = LEVELS - 1 - step
            self.back.append(_normed(sparse.undo_halving(narrow, wide, f"halve{level}"), wide))
            self.up.append(_blocks(blocks[LEVELS + step], wide + skips[step], wide, level))
        self.classif = distillation_head(config.width, config.head)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the places where `features` can look."""
        return ("entrance", *(f"block {i + 1}" for i in range(2 * LEVELS)))

    def features(
        self, batch: PointBatch, layers: Sequence[str] | None = None
    ) -> Float[Tensor, "N C"] | dict[str, Float[Tensor, "N _"]]:
        """Point features of the last layer, before the distillation head; or of several layers.

        Args:
            batch: scans made ready by `collate`.
            layers: names out of `self.layers`; the answer is then a dictionary with these keys.
        """
        wanted = self.layers[-1:] if layers is None else check_layers(self, layers)
        config = self.config
        voxels = voxelise(batch, config.inputs.voxel_size, config.inputs.fov, config.cylindrical)
        feat = voxels.mean(batch.feat[:, :1])  # intensity; the voxels themselves tell where
        found = {}
        with torch.autocast(feat.device.type, enabled=feat.is_cuda and torch.is_autocast_enabled()):
            grid = tuple(-(-cells // 2**LEVELS) * 2**LEVELS for cells in voxels.grid)
            tensor = sparse.sparse_tensor(feat, voxels.index, grid, batch.num_scans)
            for name, level, at_level in self._by_layer(tensor):
                if name in wanted:
                    found[name] = _at_points(at_level, level, voxels)
        return found[self.layers[-1]] if layers is None else {name: found[name] for name in wanted}

    def _by_layer(self, tensor) -> Iterator[tuple[str, int, object]]:
        """(name, how often the grid was halved, sparse tensor) from the entrance to the end."""
        names = iter(self.layers)
        x = self.entrance(tensor)
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

    def head(self, point_feat: Float[Tensor, "N C"]) -> Float[Tensor, "N D"]:
        """Take point features into the teacher's space."""
        return self.classif(point_feat)

    def forward(self, batch: PointBatch) -> Float[Tensor, "N D"]:
        return self.head(self.features(batch))


def _at_points(tensor, level: int, voxels: Voxels) -> Float[Tensor, "N C"]:
    """Give every point the feature of the voxel that holds it, at a grid halved `level` times."""
    if level == 0:
        return tensor.features[voxels.voxel_of_point]

    rows, columns, layers = tensor.spatial_shape

    def key(index: Tensor) -> Tensor:
        scan, a, b, c = index.long().unbind(1)
        return ((scan * rows + a) * columns + b) * layers + c

    coarse = voxels.index.clone()
    coarse[:, 1:] >>= level
    there, order = key(tensor.indices).sort()
    row = order[torch.searchsorted(there, key(coarse))]
    return tensor.features[row][voxels.voxel_of_point]
