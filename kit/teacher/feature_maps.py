"""Feature maps of images: sampled at the pixels of lidar points, and merged over cameras.

Everything here works on tensors alone, without a network or a data set.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Generator, Tensor

HALF_MAX = torch.finfo(torch.float16).max


def height_by_width(size: Sequence[int]) -> str:
    """Write (height, width) as text: "448x896"."""
    return f"{size[0]}x{size[1]}"


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """The feature maps of B images of one size, one map per layer.

    Attributes:
        maps: each (B, D_i, h_i, w_i).
        image_size: (height, width) in pixels of the images that the network was given.
    """

    maps: tuple[Tensor, ...]
    image_size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.maps[0])

    def __repr__(self) -> str:
        shapes = ", ".join("x".join(map(str, each.shape[1:])) for each in self.maps)
        images = "1 image" if len(self) == 1 else f"{len(self)} images"
        return f"FeatureMaps of {images} {height_by_width(self.image_size)}: {shapes}"

    @property
    def dim(self) -> int:
        """Channels D of a sampled feature."""
        return sum(each.shape[1] for each in self.maps)

    def split(self) -> list["FeatureMaps"]:
        """The maps of each image."""
        of_images = zip(*(each.split(1) for each in self.maps), strict=True)
        return [FeatureMaps(maps, self.image_size) for maps in of_images]

    def half(self) -> "FeatureMaps":
        """Convert to half precision, for a cache; values out of its range are clamped."""
        maps = tuple(each.clamp(-HALF_MAX, HALF_MAX).half() for each in self.maps)
        return FeatureMaps(maps, self.image_size)

    def to(self, *args, **kwargs) -> "FeatureMaps":
        """On another device, or of another dtype, as `Tensor.to`."""
        return FeatureMaps(tuple(m.to(*args, **kwargs) for m in self.maps), self.image_size)

    def sample(
        self, image: Int[Tensor, " M"], uv: Float[Tensor, "M 2"], image_size: tuple[int, int]
    ) -> Float[Tensor, "M D"]:
        """Read the features at M pixels.

        Args:
            image: index of the image of each pixel, 0 to B - 1.
            uv: column and row in pixels, in images of `image_size`.
            image_size: (height, width) of the camera's own images.

        Returns:
            Features in float32, on the device of the maps. One map: its values. Several maps: the
            vectors of all maps, each at unit length, concatenated.

        Raises:
            ValueError: a pixel outside of its image (or NaN), or an image out of range.

        Source: ScaLR (arXiv:2310.17504): the camera's pixel is scaled to the network's image and
            rounded down; the map is up-sampled to the image with aligned corners.
        """
        image, uv = image.to(self.maps[0].device), uv.to(self.maps[0].device)
        native = torch.tensor(image_size[::-1], device=uv.device)  # width, height
        inside = ((uv >= 0) & (uv < native)).all(1) & (image >= 0) & (image < len(self))
        if not inside.all():
            row = int((~inside).nonzero()[0])
            raise ValueError(
                f"{int((~inside).sum())} of {len(uv)} pixels are outside of {len(self)} images of "
                f"{height_by_width(image_size)} (height x width), first uv {uv[row].tolist()} of "
                f"image {int(image[row])}: keep only visible points"
            )
        resized = torch.tensor(self.image_size[::-1], device=uv.device)
        pixel = uv.long() * resized // native  # (M, 2) integers: floats could round down wrongly
        return join_layers([sample_map(each, image, pixel, self.image_size) for each in self.maps])


def join_layers(feat: Sequence[Float[Tensor, "M _"]]) -> Float[Tensor, "M D"]:
    """Concatenate the features of several layers, each at unit length; of one layer: as it is."""
    if len(feat) == 1:
        return feat[0]
    return torch.cat([F.normalize(each, dim=1) for each in feat], dim=1)


def sample_map(
    feature_map: Float[Tensor, "B D h w"],
    image: Int[Tensor, " M"],
    pixel: Int[Tensor, "M 2"],
    image_size: tuple[int, int],
) -> Float[Tensor, "M D"]:
    """Sample a map at pixels, as if it were up-sampled to `image_size` (bilinear, aligned corners).

    The up-sampled map is never computed.

    Args:
        feature_map: the map of B images.
        image: index of the image of each pixel.
        pixel: column and row in an image of `image_size`.
        image_size: (height, width) in pixels.
    """
    rows, columns = feature_map.shape[-2:]
    height, width = image_size
    x = pixel[:, 0] * ((columns - 1) / max(width - 1, 1))  # (M,) in cells
    y = pixel[:, 1] * ((rows - 1) / max(height - 1, 1))
    left, top = x.long(), y.long()
    right, bottom = (left + 1).clamp(max=columns - 1), (top + 1).clamp(max=rows - 1)
    to_right, to_bottom = x - left, y - top
    corners = [
        (top, left, (1 - to_bottom) * (1 - to_right)),
        (top, right, (1 - to_bottom) * to_right),
        (bottom, left, to_bottom * (1 - to_right)),
        (bottom, right, to_bottom * to_right),
    ]
    cell = torch.stack(
        [(image * rows + row) * columns + col for row, col, _ in corners], 1
    )  # (M, 4)
    weight = torch.stack([weight for _, _, weight in corners], 1)
    feat_of_cell = feature_map.permute(0, 2, 3, 1).flatten(0, 2).float()  # (B * h * w, D)
    return F.embedding_bag(cell, feat_of_cell, per_sample_weights=weight, mode="sum")


def merge_cameras(
    feat: Float[Tensor, "M D"],
    point: Int[Tensor, " M"],
    reduce: str = "mean",
    generator: Generator | None = None,
) -> tuple[Int[Tensor, " S"], Float[Tensor, "S D"]]:
    """Reduce the features of a point in several cameras to one feature.

    Args:
        feat: a feature of each pair of a point and a camera; scaled to unit length first.
        point: index of the point of each pair.
        reduce: "mean" of the unit features, or "random": one of them, all with equal probability.
        generator: for "random".

    Returns:
        seen: indices of the points, each once, ascending.
        feat: their features; at unit length unless several cameras were averaged.

    Raises:
        ValueError: another value of `reduce`.

    Source: averaging, OpenScene (arXiv:2211.15654); one camera at random, ScaLR (arXiv:2310.17504).
    """
    if reduce not in ("mean", "random"):
        raise ValueError(f'reduce must be "mean" or "random", got {reduce!r}')
    if reduce == "random":
        shuffled = torch.randperm(len(point), generator=generator).to(point.device)
        order = shuffled[point[shuffled].argsort(stable=True)]
        ordered = point[order]
        first = torch.ones_like(ordered, dtype=torch.bool)
        first[1:] = ordered[1:] != ordered[:-1]
        return ordered[first], F.normalize(feat[order[first]], dim=1)
    seen, row, count = point.unique(return_inverse=True, return_counts=True)
    total = feat.new_zeros(len(seen), feat.shape[1]).index_add_(0, row, F.normalize(feat, dim=1))
    return seen, total / count[:, None]
