"""Superpixels as images: every region in its mean colour, with borders."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Int
from torch import Tensor

from kit.show import arrays
from kit.show.arrays import ImageArray
from kit.show.figures.images import image_grid

BORDER = 0.35  # brightness of a border, of the region's mean colour


def superpixels(
    image: ImageArray,
    regions: Mapping[str, Int[Tensor, "_ _"]],
    *,
    title: str = "",
    columns: int = 2,
) -> go.Figure:
    """Draw an image and its division into regions, one panel for each kind of superpixels.

    Args:
        image: values in [0, 1].
        regions: by name, the number of the region of each pixel, or of each cell of a grid over the
            image.
        title: above the figure.
        columns: panels in a row.

    Raises:
        ValueError: no regions.
    """
    if not regions:
        raise ValueError("superpixels needs at least one division into regions, got none")
    pixels = arrays.to_numpy(image)
    shown = {"image": image}
    for name, each in regions.items():
        of_pixel = _enlarged(arrays.to_numpy(each), pixels.shape[1:])
        count = len(np.unique(of_pixel))
        shown[f"{name}, {count} regions"] = _painted(pixels, of_pixel)
    return image_grid(shown, title=title, columns=columns)


def _enlarged(regions: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The region of every pixel, where a cell of the grid covers several pixels."""
    rows = np.arange(size[0]) * regions.shape[0] // size[0]
    columns = np.arange(size[1]) * regions.shape[1] // size[1]
    return regions[np.ix_(rows, columns)]


def _painted(pixels: np.ndarray, regions: np.ndarray) -> np.ndarray:
    _, number = np.unique(regions, return_inverse=True)
    number = number.ravel()
    size = np.bincount(number)
    colour = np.stack([np.bincount(number, channel.ravel()) / size for channel in pixels])
    painted = colour[:, number].reshape(pixels.shape)
    border = np.zeros(regions.shape, dtype=bool)
    border[:, 1:] |= regions[:, 1:] != regions[:, :-1]
    border[1:] |= regions[1:] != regions[:-1]
    painted[:, border] *= BORDER
    return np.clip(painted, 0, 1).astype(np.float32)
