"""Superpixels: regions of an image, for losses that compare whole regions.

Three kinds: regions of similar colour (SLIC), clusters of the teacher's features, and the exact
masks of classes and objects that a simulation knows.

Source: SLIC with the settings of SLidR (arXiv:2203.16258), by scikit-image.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from kit.data.annotations import PixelAnnotations
from kit.data.keyframe import Camera
from kit.distill.clusters import kmeans
from kit.distill.losses.groups import group_mean
from kit.store import FeatureCache
from kit.store.images import decode, png_bytes
from kit.teacher.feature_maps import FeatureMaps

NUM_SEGMENTS = 150  # about as many regions per image
COMPACTNESS = 6.0  # weight of distance in the image against distance in colour
STRIDE = 8  # between the pixels that are averaged
SIGMA = 3.0  # of the Gaussian that smooths the image first, pixels
KINDS = ("slic", "teacher", "exact")
NUM_CLUSTERS = 64  # of the teacher's features, per image
ROUNDS = 10  # of k-means


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


def exact_superpixels(
    pixels: Callable[[], PixelAnnotations] | None, camera: str
) -> Int[Tensor, "H W"]:
    """One region per object of a simulated image, and one per class of the scenery.

    SuperFlow (arXiv:2407.06190) and OLIVINE (arXiv:2405.14271) take such masks from a segmenter.

    Args:
        pixels: returns the exact annotations of the image.
        camera: its name, for the message.

    Raises:
        ValueError: there are no exact annotations.
    """
    if pixels is None:
        raise ValueError(
            f"superpixels='exact' needs the annotations of a simulation, and {camera} has none; "
            "choose 'slic' or 'teacher'"
        )
    annotations = pixels()
    key = (annotations.objects.astype(np.int64) + 1) * 256 + annotations.labels
    _, region = np.unique(key, return_inverse=True)
    return torch.from_numpy(region.reshape(key.shape)).long()


def teacher_clusters(maps: FeatureMaps) -> tuple[Int[Tensor, "h w"], Float[Tensor, "S D"]]:
    """Cluster the cells of one image's feature map by k-means on unit vectors.

    Args:
        maps: of one image; the cells are those of the first map.

    Returns:
        region: the cluster of each cell.
        means: mean unit feature of each cluster.
    """
    rows, columns = maps.maps[0].shape[-2:]
    height, width = maps.image_size
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    uv = torch.stack([(column + 0.5) * width / columns, (row + 0.5) * height / rows], -1)
    image = torch.zeros(rows * columns, dtype=torch.int64)
    unit = F.normalize(maps.sample(image, uv.view(-1, 2), (height, width)), dim=1)  # (h w, D)
    number, centres = kmeans(unit, NUM_CLUSTERS, ROUNDS)
    return number.view(rows, columns).cpu(), centres


def clusters_of_pairs(
    maps: Sequence[FeatureMaps],
    uv: Sequence[Float[Tensor, "_ 2"]],
    sizes: Sequence[tuple[int, int]],
) -> tuple[Int[Tensor, " M"], Float[Tensor, "S D"]]:
    """The cluster of each pair's pixel, and the mean feature of each cluster of the batch.

    Args:
        maps: one per image, the teacher's.
        uv: per image, the column and row of its pairs, in pixels of the camera's own image.
        sizes: (height, width) of each camera's own image.
    """
    found, means, first = [], [], 0
    for of_teacher, pixel, (height, width) in zip(maps, uv, sizes, strict=True):
        region, mean = teacher_clusters(of_teacher)
        column, row = pixel.long().unbind(1)
        found.append(first + region[row * len(region) // height, column * region.shape[1] // width])
        means.append(mean)
        first += len(mean)
    return torch.cat(found), torch.cat(means)


def superpixels_of_pairs(
    regions: Sequence[Int[Tensor, "_ _"]], uv: Sequence[Float[Tensor, "_ 2"]]
) -> Int[Tensor, " M"]:
    """The superpixel of each pair's pixel; numbers of different images are different.

    Args:
        regions: one per image of the batch, from `camera_superpixels`.
        uv: per image, the column and row of its pairs, in pixels of the camera's own image.

    Returns:
        The superpixels of the first image's pairs, then those of the second, and so on.
    """
    found, first = [], 0
    for of_image, pixel in zip(regions, uv, strict=True):
        column, row = pixel.long().unbind(1)
        found.append(of_image[row, column] + first)
        first += int(of_image.max()) + 1
    return torch.cat(found)


def superpixel_means(
    regions: Sequence[Int[Tensor, "_ _"]], maps: Sequence[FeatureMaps]
) -> Float[Tensor, "S D"]:
    """The mean unit teacher feature of the pixels of each superpixel.

    Args:
        regions: one per image of the batch, from `camera_superpixels`.
        maps: one per image, the teacher's.

    Returns:
        Rows in the numbering of `superpixels_of_pairs`.

    Source: SLidR (arXiv:2203.16258). Differs: every 8th pixel of every 8th row, and the one next to
        its middle for a superpixel that holds none of these.
    """
    means = []
    for of_image, of_teacher in zip(regions, maps, strict=True):
        row, column = _sampled_pixels(of_image)
        image, uv = torch.zeros(len(row), dtype=torch.int64), torch.stack([column, row], dim=1)
        feat = of_teacher.sample(image, uv.float(), tuple(of_image.shape))
        number = of_image[row, column].to(feat.device)
        means.append(group_mean(F.normalize(feat, dim=1), number, int(of_image.max()) + 1))
    return torch.cat(means)


def _sampled_pixels(regions: Int[Tensor, "H W"]) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
    chosen = torch.zeros_like(regions, dtype=torch.bool)
    chosen[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE] = True
    count = torch.bincount(regions[chosen], minlength=int(regions.max()) + 1)
    for missed in (count == 0).nonzero().flatten().tolist():
        inside = (regions == missed).nonzero()
        if len(inside):
            chosen[tuple(inside[len(inside) // 2])] = True
    return chosen.nonzero(as_tuple=True)


def _to_png(regions: Int[Tensor, "H W"]) -> UInt8[Tensor, " B"]:
    """The bytes of a PNG file, which are much smaller than the numbers themselves."""
    data = png_bytes(regions.numpy().astype(np.uint16))
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _from_png(data: UInt8[Tensor, " B"]) -> Int[Tensor, "H W"]:
    return torch.from_numpy(decode(data.numpy().tobytes()).astype(np.int64))
