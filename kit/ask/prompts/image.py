"""The teacher's features inside and outside of a region of a picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from kit.teacher.teacher import Teacher

Picture = Float[Tensor, "3 H W"] | str | Path
Region = Bool[Tensor, "h w"] | tuple[int, int, int, int] | None

SMALLEST = 16  # pixels of a picture's shorter side; below, a teacher sees only its own blur
STEP = 8  # pixels of the teacher's image between two places that are read


def picture_features(
    teacher: Teacher,
    picture: Picture | Sequence[Picture],
    region: Region | Sequence[Region] = None,
) -> tuple[Float[Tensor, "P D"], Float[Tensor, "M D"]]:
    """Unit features inside the region and outside of it, at every eighth pixel the teacher sees.

    A picture is stretched to the teacher's image size, as the cameras' images are.

    Args:
        picture: (3, H, W) in [0, 1], an image file, or several.
        region: (H, W) bool, (left, top, right, bottom) in pixels, or None for all of it; one for
            each picture if there are several.

    Raises:
        ValueError: a picture that is too small or not in [0, 1], or an empty region.
    """
    several = isinstance(picture, (list, tuple)) or (
        isinstance(picture, Tensor) and picture.ndim == 4
    )
    pictures = list(picture) if several else [picture]
    regions = list(region) if several and region is not None else [region] * len(pictures)
    if len(regions) != len(pictures):
        raise ValueError(f"{len(regions)} regions for {len(pictures)} pictures")
    parts = [_split(teacher, p, r) for p, r in zip(pictures, regions, strict=True)]
    inside, outside = (torch.cat(column) for column in zip(*parts, strict=True))
    return inside, outside


def _split(teacher: Teacher, picture: Picture, region: Region) -> tuple[Tensor, Tensor]:
    image = _read(picture)
    if min(image.shape[1:]) < SMALLEST:
        raise ValueError(
            f"the picture is {image.shape[1]}x{image.shape[2]} pixels (height x width); at least "
            f"{SMALLEST} on each side are needed for the teacher to see a thing"
        )
    mask = _mask(region, tuple(image.shape[1:]))
    feat, places = dense(teacher, image)
    height, width = teacher.image_size
    small = F.interpolate(mask[None, None].float(), (height, width), mode="nearest")[0, 0] > 0
    chosen = small[places[:, 1], places[:, 0]]
    if not chosen.any():  # thinner than the places are apart: the nearest one stands for it
        centre = small.nonzero().float().mean(0).flip(0)
        chosen[(places - centre).norm(dim=1).argmin()] = True
    return feat[chosen], feat[~chosen]


def dense(teacher: Teacher, image: Float[Tensor, "3 H W"]) -> tuple[Float[Tensor, "P D"], Tensor]:
    """Unit features on a lattice over a picture: (P, D), and (P, 2) columns and rows in pixels of
    the teacher's image."""
    small = F.interpolate(
        image[None], teacher.image_size, mode="bilinear", antialias=True, align_corners=False
    ).clamp(0, 1)
    height, width = teacher.image_size
    rows, columns = torch.arange(STEP // 2, height, STEP), torch.arange(STEP // 2, width, STEP)
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    places = torch.stack([u.flatten(), v.flatten()], 1)  # (P, 2)
    grids = teacher(small)
    image_of = torch.zeros(len(places), dtype=torch.int64)
    feat = grids.sample(image_of, places.float(), teacher.image_size).cpu()
    return F.normalize(feat, dim=1), places


def _read(picture: Picture) -> Float[Tensor, "3 H W"]:
    if isinstance(picture, Tensor):
        return picture
    try:
        with Image.open(picture) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{picture}: cannot read this picture ({error})") from error
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 255


def _mask(region: Region, size: tuple[int, int]) -> Bool[Tensor, "h w"]:
    if region is None:
        return torch.ones(size, dtype=torch.bool)
    if isinstance(region, Tensor):
        mask = region
        if tuple(mask.shape) != size:
            raise ValueError(f"the region is {tuple(mask.shape)}, the picture {size}, in pixels")
    else:
        left, top, right, bottom = region
        mask = torch.zeros(size, dtype=torch.bool)
        mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    if not mask.any():
        raise ValueError(f"the region holds no pixel of the picture of {size} (height, width)")
    return mask
