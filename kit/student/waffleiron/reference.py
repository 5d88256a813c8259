"""WaffleIron as the paper writes it, in plain PyTorch; read this file beside the paper.

    features (B, 5, N) -> PointEmbedding -> L x (SpatialMix -> ChannelMix) -> head -> (B, D, N)

Scans are padded to one length, channels come first, and planes are dense: all as in the published
code. `kit.student.waffleiron.model` computes the same function in less time and memory. Parameters
have the same, published, names in both, so the weights of one are those of the other:

    reference = ReferenceWaffleIron(student.config)
    reference.load_state_dict(student.state_dict())

The tests and `python -m kit bench students` compare the outputs and the gradients of both.

Source: WaffleIron (Puy et al., ICCV 2023, arXiv:2301.10100), written from its formulas; padding,
    channel order and scatter_reduce as in the published code; LayerNorm as in ScaLR
    (arXiv:2310.17504). Differs: no drop path.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kit.student.scans import InputConfig, Scan
from kit.student.waffleiron.config import WaffleIronConfig

ACTIVATION = {"relu": nn.ReLU, "gelu": nn.GELU}


@dataclass(frozen=True)
class PaddedBatch:
    """B scans, padded with zeros to the N points of the longest.

    Attributes:
        feat: (B, 5, N) normalised intensity, x, y, z (metres), range (metres).
        neighbours: (B, K, N) indices of the K nearest points of the same scan.
        cells: (B, 3, N) row-major cell of each point in the planes (x, y), (x, z), (y, z).
        is_point: (B, 1, N) False where padded.
        grids: (rows, columns) of each plane.
    """

    feat: Float[Tensor, "B 5 N"]
    neighbours: Int[Tensor, "B K N"]
    cells: Int[Tensor, "B 3 N"]
    is_point: Bool[Tensor, "B 1 N"]
    grids: tuple[tuple[int, int], ...]

    def to(self, device) -> "PaddedBatch":
        """The same batch on another device."""
        tensors = {n: v.to(device) for n, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **tensors)


def pad_scans(scans: list[Scan], config: InputConfig) -> PaddedBatch:
    """Pad scans to the longest of them."""
    longest = max(len(scan.feat) for scan in scans)

    def stacked(arrays: list[Tensor]) -> Tensor:  # each (C, n) -> (B, C, N)
        return torch.stack([F.pad(array, (0, longest - array.shape[1])) for array in arrays])

    return PaddedBatch(
        feat=stacked([scan.feat.T for scan in scans]),
        neighbours=stacked([scan.neighbours.T for scan in scans]),
        cells=stacked([scan.cells for scan in scans]),
        is_point=stacked([torch.ones(1, len(scan.feat), dtype=torch.bool) for scan in scans]),
        grids=config.grids,
    )


class ReferenceWaffleIron(nn.Module):
    """The whole network: a `PaddedBatch` -> features in the teacher's space (B, D, N)."""

    def __init__(self, config: WaffleIronConfig):
        super().__init__()
        self.embed = PointEmbedding(config)
        self.waffleiron = Backbone(config)
        self.classif = distillation_head(config)

    def features(self, batch: PaddedBatch) -> Float[Tensor, "B C N"]:
        """Point features before the distillation head."""
        return self.waffleiron(self.embed(batch), batch)

    def forward(self, batch: PaddedBatch) -> Float[Tensor, "B D N"]:
        return self.classif(self.features(batch))


class PointEmbedding(nn.Module):
    """final(concat(conv1(f_n), max over k of conv2(f_k - f_n))); f are the normalised features."""

    def __init__(self, config: WaffleIronConfig):
        super().__init__()
        self.norm = nn.BatchNorm1d(5)
        self.conv1 = nn.Conv1d(5, config.width, 1)
        self.conv2 = nn.Sequential(
            nn.BatchNorm2d(5),
            nn.Conv2d(5, config.width, 1, bias=False),
            nn.BatchNorm2d(config.width),
            nn.ReLU(),
            nn.Conv2d(config.width, config.width, 1, bias=False),
        )
        self.final = nn.Conv1d(2 * config.width, config.width, 1)

    def forward(self, batch: PaddedBatch) -> Float[Tensor, "B C N"]:
        feat = self.norm(batch.feat)
        difference = _neighbours(feat, batch.neighbours) - feat[:, :, None]  # (B, 5, K, N)
        local = self.conv2(difference).amax(2)  # (B, C, N)
        return self.final(torch.cat([self.conv1(feat), local], dim=1))


class Backbone(nn.Module):
    """L layers, each a spatial mix and a channel mix; layer l works on plane l modulo 3."""

    def __init__(self, config: WaffleIronConfig):
        super().__init__()
        self.spatial_mix = nn.ModuleList(SpatialMix(config) for _ in range(config.depth))
        self.channel_mix = nn.ModuleList(ChannelMix(config) for _ in range(config.depth))

    def forward(self, x: Float[Tensor, "B C N"], batch: PaddedBatch) -> Float[Tensor, "B C N"]:
        for layer, (spatial_mix, channel_mix) in enumerate(
            zip(self.spatial_mix, self.channel_mix, strict=True)
        ):
            x = spatial_mix(x, batch, plane=layer % 3)
            x = channel_mix(x)
        return x


class SpatialMix(nn.Module):
    """x + scale * inflate(ffn(flatten(norm(x)))): points exchange features within one plane."""

    def __init__(self, config: WaffleIronConfig):
        super().__init__()
        width = config.width
        self.norm = _norm(config)
        self.ffn = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width),
            ACTIVATION[config.activation](),
            nn.Conv2d(width, width, 3, padding=1, groups=width),
        )
        self.scale = _layer_scale(width)

    def forward(self, x: Float[Tensor, "B C N"], batch: PaddedBatch, plane: int) -> Tensor:
        image = flatten(self.norm(x), batch, plane)  # (B, C, rows, columns)
        image = self.ffn(image)
        return x + self.scale(inflate(image, batch, plane))


def flatten(x: Float[Tensor, "B C N"], batch: PaddedBatch, plane: int) -> Float[Tensor, "B C H W"]:
    """From points to a plane: each cell is the mean of its points, zero where there is none."""
    rows, columns = batch.grids[plane]
    # Padded points go to a cell of their own, after the last one.
    cells = batch.cells[:, plane, None].where(batch.is_point, rows * columns)  # (B, 1, N)
    image = x.new_zeros(*x.shape[:2], rows * columns + 1)
    image = image.scatter_reduce(2, cells.expand_as(x), x, "mean", include_self=False)
    return image[:, :, :-1].unflatten(2, (rows, columns))


def inflate(image: Float[Tensor, "B C H W"], batch: PaddedBatch, plane: int) -> Tensor:
    """From a plane back to points: each point takes the feature of its cell; (B, C, N)."""
    cells = batch.cells[:, plane, None].expand(-1, image.shape[1], -1)
    return image.flatten(2).gather(2, cells)


class ChannelMix(nn.Module):
    """x + scale * mlp(norm(x)): every point by itself, without expansion of the channels."""

    def __init__(self, config: WaffleIronConfig):
        super().__init__()
        width = config.width
        self.norm = _norm(config)
        self.mlp = nn.Sequential(
            nn.Conv1d(width, width, 1), ACTIVATION[config.activation](), nn.Conv1d(width, width, 1)
        )
        self.scale = _layer_scale(width)

    def forward(self, x: Float[Tensor, "B C N"]) -> Float[Tensor, "B C N"]:
        return x + self.scale(self.mlp(self.norm(x)))


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of each point, for (B, C, N)."""

    def forward(self, x: Float[Tensor, "B C N"]) -> Float[Tensor, "B C N"]:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def distillation_head(config: WaffleIronConfig) -> nn.Module:
    """One linear layer (ScaLR), or several with ReLU between them (ScaLR+)."""
    widths = (config.width, *config.head)
    layers = [nn.Conv1d(*pair, 1) for pair in zip(widths, widths[1:], strict=False)]
    if len(layers) == 1:
        return layers[0]
    with_relu = [part for layer in layers for part in (layer, nn.ReLU())]
    return nn.Sequential(*with_relu[:-1])


def _norm(config: WaffleIronConfig) -> nn.Module:
    kinds = {"layer": ChannelLayerNorm, "batch": nn.BatchNorm1d}
    return kinds[config.norm](config.width)


def _layer_scale(width: int) -> nn.Module:
    """A learned factor for each channel, as a depthwise 1x1 convolution."""
    return nn.Conv1d(width, width, 1, bias=False, groups=width)


def _neighbours(
    feat: Float[Tensor, "B 5 N"], neighbours: Int[Tensor, "B K N"]
) -> Float[Tensor, "B 5 K N"]:
    """The features of each point's neighbours."""
    num_scans, channels, _ = feat.shape
    index = neighbours.flatten(1)[:, None].expand(-1, channels, -1)  # (B, 5, K N)
    return feat.gather(2, index).view(num_scans, channels, *neighbours.shape[1:])
