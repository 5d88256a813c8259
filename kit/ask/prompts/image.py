"""Image prompts: a teacher's features inside and outside of a region of an image."""

from collections.abc import Sequence
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kit.store.image_reader import read_image
from kit.teacher.teacher import Teacher

ImageSource = Float[Tensor, "3 H W"] | str | Path
Region = Bool[Tensor, "h w"] | tuple[int, int, int, int] | None

MIN_SIDE = 16  # pixels of an image's shorter side; a smaller image has no detail for a teacher
STRIDE = 8  # pixels of the teacher's image between two samples


def image_features(
    teacher: Teacher,
    image: ImageSource | Sequence[ImageSource],
    region: Region | Sequence[Region] = None,
) -> tuple[Float[Tensor, "P D"], Float[Tensor, "M D"]]:
    """Unit features inside and outside of a region, sampled at every eighth pixel.

    An image is resized to the teacher's image size; its aspect ratio is not kept.

    Args:
        image: (3, H, W) in [0, 1], an image file, or several of them.
        region: (H, W) bool, or (left, top, right, bottom) in pixels; None: the whole image. One for
            each image if there are several.

    Raises:
        ValueError: an image that is too small or not in [0, 1], or an empty region.
    """
    several = isinstance(image, (list, tuple)) or (isinstance(image, Tensor) and image.ndim == 4)
    images = list(image) if several else [image]
    regions = list(region) if several and region is not None else [region] * len(images)
    if len(regions) != len(images):
        raise ValueError(f"got {len(regions)} regions for {len(images)} images; give one for each")
    parts = [_split(teacher, i, r) for i, r in zip(images, regions, strict=True)]
    inside, outside = (torch.cat(column) for column in zip(*parts, strict=True))
    return inside, outside


def sample_image(
    teacher: Teacher, image: Float[Tensor, "3 H W"]
) -> tuple[Float[Tensor, "P D"], Int[Tensor, "P 2"]]:
    """Sample unit features on a regular lattice over an image.

    Returns:
        feat: of P pixels.
        uv: column and row of each of them, in pixels of the teacher's image.
    """
    resized = F.interpolate(
        image[None], teacher.image_size, mode="bilinear", antialias=True, align_corners=False
    ).clamp(0, 1)
    height, width = teacher.image_size
    rows, columns = (
        torch.arange(STRIDE // 2, height, STRIDE),
        torch.arange(STRIDE // 2, width, STRIDE),
    )
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    uv = torch.stack([u.flatten(), v.flatten()], 1)  # (P, 2)
    first_image = torch.zeros(len(uv), dtype=torch.int64)
    feat = teacher(resized).sample(first_image, uv.float(), teacher.image_size).cpu()
    return F.normalize(feat, dim=1), uv


def _split(teacher: Teacher, source: ImageSource, region: Region) -> tuple[Tensor, Tensor]:
    image = _read(source)
    if min(image.shape[1:]) < MIN_SIDE:
        raise ValueError(
            f"the image is {image.shape[1]}x{image.shape[2]} pixels (height x width); a teacher "
            f"needs at least {MIN_SIDE} on each side"
        )
    mask = _mask(region, tuple(image.shape[1:]))
    feat, uv = sample_image(teacher, image)
    resized = F.interpolate(mask[None, None].float(), teacher.image_size, mode="nearest")[0, 0] > 0
    chosen = resized[uv[:, 1], uv[:, 0]]
    if not chosen.any():  # the region lies between the samples: take the nearest one
        centre = resized.nonzero().float().mean(0).flip(0)
        chosen[(uv - centre).norm(dim=1).argmin()] = True
    return feat[chosen], feat[~chosen]


def _read(source: ImageSource) -> Float[Tensor, "3 H W"]:
    if isinstance(source, Tensor):
        if source.ndim != 3 or source.shape[0] != 3:
            raise ValueError(f"an image must be (3, height, width), got {tuple(source.shape)}")
        if not ((source >= 0) & (source <= 1)).all():  # NaN compares as False
            low, high = source.aminmax()
            raise ValueError(f"an image must be in [0, 1], got {low:.3g} to {high:.3g}")
        return source
    pixels = read_image(source, upright=True)
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 255


def _mask(region: Region, size: tuple[int, int]) -> Bool[Tensor, "h w"]:
    if region is None:
        return torch.ones(size, dtype=torch.bool)
    if isinstance(region, Tensor):
        mask = region
        if tuple(mask.shape) != size:
            raise ValueError(
                f"the region is {tuple(mask.shape)} and the image {size}, (height, width) in "
                "pixels; they must be equal"
            )
    else:
        if len(region) != 4 or not all(isinstance(edge, Integral) for edge in region):
            raise ValueError(
                f"a region must be (left, top, right, bottom) in whole pixels, got {region}"
            )
        left, top, right, bottom = region
        mask = torch.zeros(size, dtype=torch.bool)
        mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    if not mask.any():
        raise ValueError(f"the region has no pixel inside the image of {size} (height, width)")
    return mask
