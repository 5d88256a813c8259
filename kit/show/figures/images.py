"""Figures of images: points over them, feature maps beside them, all cameras at once.

Images are (3, H, W) in [0, 1], pixels are `uv` (column, row), torch or numpy. Every function
returns a `plotly.graph_objects.Figure`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor

from kit.features.pca import PcaBasis
from kit.show import arrays
from kit.show.arrays import Colour, ImageArray, Number
from kit.show.chart import Axis, Chart, Dots, Photo
from kit.show.features import MapGiven, check_map
from kit.show.figures.render import figure_of
from kit.show.picture import (
    BAR_ROOM,
    HEADING_ROOM,
    Margins,
    Picture,
    Scale,
    in_rows,
    panel_width,
)
from kit.show.scene import WHOLE, Place

Pixels = Float[Tensor, "P 2"] | Float[np.ndarray, "P 2"]
GAP = 0.014  # between images, of the plot area
MAX_HEIGHT = 800  # pixels, of a row of images
MARGINS = Margins(left=14, right=14, bottom=14)


def overlay(
    image: ImageArray,
    uv: Pixels,
    colour: Colour,
    title: str = "",
    *,
    scale: str = "depth",
    legend: str | None = None,
    limits: tuple[Number, Number] | None = None,
    max_points: int = 12_000,
    size: Number = 3.0,
    max_width: int = 960,
) -> go.Figure:
    """Draw points over the image they fall on.

    Args:
        image: (3, H, W) in [0, 1].
        uv: (P, 2) column and row in pixels of this image; points outside it are left out.
        colour: (P,) numbers, or (P, 3) uint8 red, green, blue.
        scale: what the numbers are; depth in metres by default.
        legend, limits, max_points: as in `points`.
        size: of a point, pixels.
        max_width: wider images are stored smaller, pixels; axes keep the original pixels.

    Raises:
        ValueError: NaN (pass `uv[visible]`), other counts of pixels and colours, none inside the
            image, or an image outside [0, 1].
    """
    pixels = arrays.check_image(image)
    image_size = pixels.shape[:2]
    values, uv = _checked_pixels(uv, colour, image_size)
    index = arrays.choose(len(uv), max_points)
    hover = "column {x:.0f}  row {y:.0f}" + ("\n{colour:.3g}" if values.ndim == 1 else "")
    dots = Dots(uv[index], values[index], size, hover=hover)
    chart = _chart((Photo(pixels, image_size, max_width), dots))
    fitted = Scale.of([values], scale, limits, legend, percent=5 if scale == "depth" else 1)
    subtitle = arrays.count_text(len(index), len(uv))
    height = _height([image_size], 1, MARGINS.left + BAR_ROOM)
    return figure_of(Picture(title, subtitle, height, (chart,), fitted, margins=MARGINS))


def feature_image(
    feature_map: MapGiven, basis: PcaBasis, image: ImageArray | None = None, title: str = ""
) -> go.Figure:
    """Draw a feature map as PCA colours, beside its image if that is given.

    Args:
        feature_map: (D, h, w), one feature for each cell; or the `FeatureMaps` of one image.
        basis: from `fit_basis`, the one the clouds beside it are drawn with.
        image: (3, H, W) in [0, 1], from which the map was computed.

    Raises:
        ValueError: NaN, or another width than the basis's.
    """
    cells = check_map(feature_map)
    dim, height, width = cells.shape
    rgb = basis.colours(cells.flatten(1).T.contiguous()).numpy().reshape(height, width, 3)
    subtitle = f"{height} x {width} cells, {dim} channels"
    if image is None:
        size, chart = (height, width), _chart((Photo(rgb, (height, width)),))
        return figure_of(Picture(title, subtitle, _height([size], 1), (chart,), margins=MARGINS))
    pixels = arrays.check_image(image)
    size = pixels.shape[:2]
    (left, right), height = in_rows(2, 2, GAP, [_height([size], 2)], 0)
    panels = (
        _chart((Photo(pixels, size, max_width=720),), left),
        _chart((Photo(rgb, size),), right),
    )
    return figure_of(Picture(title, subtitle, height, panels, margins=MARGINS))


def image_grid(
    images: Mapping[str, ImageArray], *, title: str = "", columns: int = 3, max_width: int = 480
) -> go.Figure:
    """Draw several images with their names, row by row in the order given.

    Args:
        images: (3, H, W) in [0, 1] by name; sizes may differ.
        columns: images in a row.
        max_width: wider images are stored smaller, pixels.

    Raises:
        ValueError: no image, or one that is not (3, H, W) in [0, 1].
    """
    if not images:
        raise ValueError("image_grid needs at least one image, got none")
    columns = min(columns, len(images))
    pixels = [arrays.check_image(image, name) for name, image in images.items()]
    sizes = [each.shape[:2] for each in pixels]
    rows = [sizes[first : first + columns] for first in range(0, len(sizes), columns)]
    heights = [_height(row, columns) for row in rows]
    places, height = in_rows(len(images), columns, GAP, heights, HEADING_ROOM + 10)
    panels = tuple(
        _chart((Photo(each, each.shape[:2], max_width),), place, name)
        for name, each, place in zip(images, pixels, places, strict=True)
    )
    return figure_of(Picture(title, "", height, panels, margins=MARGINS))


def _height(
    sizes: Sequence[tuple[int, int]], columns: int, room: Number = MARGINS.left + MARGINS.right
) -> int:
    """Pixels of the height of a row of images that fill their columns, at most 800."""
    tallest = max(height / width for height, width in sizes)
    return round(min(tallest * panel_width(columns, GAP, room), MAX_HEIGHT))


def _checked_pixels(
    uv: Pixels, colour: Colour, image_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return colour and float32 uv of the points inside the image."""
    uv = arrays.to_numpy(uv).astype(np.float32)
    values = arrays.check_colour(colour, len(uv))
    if not np.isfinite(uv).all():
        num_bad = int((~np.isfinite(uv)).any(1).sum())
        raise ValueError(f"uv: {num_bad:,} of {len(uv):,} rows are NaN; pass uv[visible]")
    height, width = image_size
    inside = (uv >= 0).all(1) & (uv[:, 0] < width) & (uv[:, 1] < height)
    if not inside.any():
        raise ValueError(
            f"none of the {len(uv):,} points falls inside the image of {height}x{width} (height x "
            "width); is uv for another image size?"
        )
    return values[inside], uv[inside]


def _chart(marks: tuple[Photo | Dots, ...], place: Place = WHOLE, name: str = "") -> Chart:
    """Hidden axes that count the pixels of the first mark, rows downwards, square pixels."""
    height, width = marks[0].size
    x, y = Axis(limits=(0, width), visible=False), Axis(limits=(height, 0), visible=False)
    return Chart(marks, x, y, equal=True, name=name, place=place)
