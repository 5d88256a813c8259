"""Pictures on images: points over them, feature grids beside them, all cameras at once.

Images are (3, H, W) in [0, 1], pixels are `uv` (column, row), torch or numpy. Every function
returns a `plotly.graph_objects.Figure`.
"""

import base64
import io
import math
from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from kit.show import arrays, theme
from kit.show.arrays import Colour, Number, Picture
from kit.show.figures.charts import add_points
from kit.show.pca import PcaBasis

Pixels = Float[Tensor, "P 2"] | Float[np.ndarray, "P 2"]
Grid = Float[Tensor, "D h w"] | Float[np.ndarray, "D h w"]


def overlay(
    image: Picture,
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
        legend, limits, max_points, size: as in `points`.
        max_width: wider images are stored smaller, pixels; axes keep the original pixels.

    Raises:
        ValueError: NaN (pass `uv[visible]`), other counts of pixels and colours, none inside the
            image, or an image outside [0, 1].
    """
    pixels = arrays.check_picture(image)
    height, width = pixels.shape[:2]
    values, uv = _checked_pixels(uv, colour, (height, width))
    rows = arrays.choose(len(uv), max_points)
    figure = theme.new_figure(title, arrays.told(len(rows), len(uv)), height=560)
    _add_picture(figure, pixels, (height, width), max_width=max_width)
    words = "column %{x:.0f}  row %{y:.0f}"
    if values.ndim == 1:
        low, high = limits or arrays.robust_limits(values, 5 if scale == "depth" else 1)
        figure.update_layout(coloraxis=theme.colour_axis(scale, low, high, legend))
    add_points(figure, uv[rows], values[rows], size, words)
    _picture_axes(figure, (height, width), 1)
    return figure


def feature_image(
    grid: Grid, basis: PcaBasis, image: Picture | None = None, title: str = ""
) -> go.Figure:
    """Draw a feature grid as PCA colours, beside its picture if that is given.

    Args:
        grid: (D, h, w), one feature for each cell.
        basis: from `fit_basis`, the one the clouds beside it are drawn with.
        image: (3, H, W) in [0, 1] the grid was computed from.

    Raises:
        ValueError: NaN, or another width than the basis's.
    """
    array = arrays.to_numpy(grid)
    dim, rows, columns = array.shape
    cells = basis.colours(array.reshape(dim, -1).T.copy()).numpy().reshape(rows, columns, 3)
    told = f"{rows} x {columns} cells, {dim} channels"
    if image is None:
        figure = theme.new_figure(title, told, height=480)
        _add_picture(figure, cells, (rows, columns))
        _picture_axes(figure, (rows, columns), 1)
        return figure
    pixels = arrays.check_picture(image)
    size = pixels.shape[:2]
    figure = theme.new_figure(title, told, height=400)
    _add_picture(figure, pixels, size, axis=1, max_width=720)
    _add_picture(figure, cells, size, axis=2)
    _picture_axes(figure, size, 2)
    return figure


def image_grid(
    images: Mapping[str, Picture], *, title: str = "", columns: int = 3, max_width: int = 480
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
    num_rows = math.ceil(len(images) / columns)
    figure = theme.new_figure(title, height=90 + 240 * num_rows)
    gap_x, gap_y = 0.014, 0.09 if num_rows > 1 else 0.0
    width = (1 - gap_x * (columns - 1)) / columns
    height = (0.94 - gap_y * (num_rows - 1)) / num_rows
    for i, (name, image) in enumerate(images.items()):
        pixels = arrays.check_picture(image, name)
        left = (i % columns) * (width + gap_x)
        top = 0.94 - (i // columns) * (height + gap_y)
        _add_picture(figure, pixels, pixels.shape[:2], axis=i + 1, max_width=max_width)
        domain = ([left, min(left + width, 1)], [max(top - height, 0), top])
        _picture_axis(figure, pixels.shape[:2], i + 1, domain)
        theme.add_heading(figure, name, left + width / 2, top + 0.005, above=True)
    return figure


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


def _add_picture(
    figure: go.Figure,
    pixels: UInt8[np.ndarray, "H W 3"],
    size: tuple[int, int],
    axis: int = 1,
    max_width: int | None = None,
) -> None:
    """Add pixels, stretched over `size` (height, width), on the axes of this number.

    A photograph (with a max_width) travels as JPEG, scaled down if it is wider; cells travel
    exactly.
    """
    photo = Image.fromarray(pixels)
    if max_width is not None and photo.width > max_width:
        height = max(round(photo.height * max_width / photo.width), 1)
        photo = photo.resize((max_width, height), Image.Resampling.LANCZOS)
    step_x, step_y = size[1] / photo.width, size[0] / photo.height
    suffix = "" if axis == 1 else str(axis)
    figure.add_trace(
        go.Image(
            source=_data_uri(photo, exact=max_width is None),
            x0=step_x / 2,  # the first pixel covers 0 to 1, as `uv.floor()` has it
            y0=step_y / 2,
            dx=step_x,
            dy=step_y,
            zsmooth=False if max_width is None else "fast",
            hoverinfo="skip",
            xaxis=f"x{suffix}",
            yaxis=f"y{suffix}",
        )
    )


def _data_uri(photo: Image.Image, exact: bool) -> str:
    data = io.BytesIO()
    kind, options = ("PNG", {}) if exact else ("JPEG", dict(quality=88))
    photo.save(data, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"


def _picture_axes(figure: go.Figure, size: tuple[int, int], num_columns: int) -> None:
    width = (1 - 0.014 * (num_columns - 1)) / num_columns
    for i in range(num_columns):
        left = i * (width + 0.014)
        _picture_axis(figure, size, i + 1, ([left, min(left + width, 1)], [0, 1]))
    figure.update_layout(margin=theme.room_for_bar(figure))


def _picture_axis(figure: go.Figure, size: tuple[int, int], axis: int, domain: tuple) -> None:
    """Hide a pair of axes that count pixels, rows downwards, square pixels."""
    suffix = "" if axis == 1 else str(axis)
    plain = dict(visible=False, constrain="domain")
    x = dict(range=[0, size[1]], domain=domain[0], anchor=f"y{suffix}")
    y = dict(range=[size[0], 0], domain=domain[1], anchor=f"x{suffix}", scaleanchor=f"x{suffix}")
    figure.update_layout({f"xaxis{suffix}": plain | x, f"yaxis{suffix}": plain | y})
