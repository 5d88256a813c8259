"""Superpixels: regions of an image with similar colour, for losses that compare whole regions.

Source: SLIC with the settings of SLidR (arXiv:2203.16258), by scikit-image.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from kit.data.keyframe import Camera
from kit.store import FeatureCache
from kit.store.images import decode, png_bytes

NUM_SEGMENTS = 150  # about as many regions per image
COMPACTNESS = 6.0  # weight of distance in the image against distance in colour
SIGMA = 3.0  # of the Gaussian that smooths the image first, pixels


def find_superpixels(pixels: UInt8[np.ndarray, "H W 3"]) -> Int[Tensor, "H W"]:
    """Divide an image into about 150 connected regions; returns each pixel's region, from 0."""
    from skimage.segmentation import slic  # only a few losses need it

    regions = slic(
        pixels, n_segments=NUM_SEGMENTS, compactness=COMPACTNESS, sigma=SIGMA, start_label=0
    )
    return torch.from_numpy(regions).long()


def camera_superpixels(camera: Camera, cache: FeatureCache | None = None) -> Int[Tensor, "H W"]:
    """The superpixels of a camera's image at its own resolution.

    Args:
        camera: whose image is divided.
        cache: keeps the superpixels of an image, so that they are computed once.
    """
    if cache is None:
        return find_superpixels(camera.pixels())
    key = f"superpixels slic {NUM_SEGMENTS} {COMPACTNESS} {SIGMA}/{camera.fingerprint()}"
    stored = cache.get_or_compute(key, lambda: {"png": _to_png(find_superpixels(camera.pixels()))})
    return _from_png(stored["png"])


def superpixels_of_pairs(
    cameras: Sequence[Camera],
    uv: Sequence[Float[Tensor, "_ 2"]],
    cache: FeatureCache | None = None,
) -> Int[Tensor, " M"]:
    """The superpixel of each pair's pixel; numbers of different images are different.

    Args:
        cameras: one per image of the batch.
        uv: per image, the column and row of its pairs, in pixels of the camera's own image.
        cache: see `camera_superpixels`.

    Returns:
        The superpixels of the first image's pairs, then those of the second, and so on.
    """
    found, first = [], 0
    for camera, pixel in zip(cameras, uv, strict=True):
        regions = camera_superpixels(camera, cache)
        column, row = pixel.long().unbind(1)
        found.append(regions[row, column] + first)
        first += int(regions.max()) + 1
    return torch.cat(found)


def _to_png(regions: Int[Tensor, "H W"]) -> UInt8[Tensor, " B"]:
    """The bytes of a PNG file, which are much smaller than the numbers themselves."""
    data = png_bytes(regions.numpy().astype(np.uint16))
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _from_png(data: UInt8[Tensor, " B"]) -> Int[Tensor, "H W"]:
    return torch.from_numpy(decode(data.numpy().tobytes()).astype(np.int64))
