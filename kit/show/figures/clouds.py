"""Pictures of point clouds in 3-D: numbers, colours, features, similarity.

Points are (N, 3) in the lidar frame, metres (nuScenes: x right, y forward, z up), torch or numpy.
Every function returns a `plotly.graph_objects.Figure`; hovering tells position and row of a point.
More than `max_points` are thinned, the same way every time, and the subtitle says so.
"""

import operator
from collections.abc import Mapping
from typing import SupportsIndex

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from kit.show import arrays, theme
from kit.show.arrays import Colour, Features, Number, Points
from kit.show.figures.scene import Cloud, add_cloud, add_pin, colour_markers, finish, fit_box
from kit.show.pca import PcaBasis, fit_basis

MAX_POINTS = 35_000  # one scene redraws in about a third of a second on a slow machine
MAX_POINTS_PER_PANEL = 15_000


def points(
    points: Points,
    colour: Colour | None = None,
    *,
    title: str = "",
    scale: str | None = None,
    legend: str | None = None,
    limits: tuple[Number, Number] | None = None,
    max_points: int = MAX_POINTS,
    size: Number = 1.6,
    limit: Number = 50.0,
) -> go.Figure:
    """Draw a point cloud that can be turned.

    Args:
        points: (N, 3) metres, lidar frame.
        colour: (N,) numbers, or (N, 3) uint8 red, green, blue; height if left out.
        title: of the figure.
        scale: what the numbers are: "height", "depth", "intensity", "similarity" or "value".
        legend: words beside the colour bar instead of the scale's own.
        limits: numbers at the two ends of the scale; without, the 1st and 99th percentile.
        max_points: more are thinned.
        size: of a point, pixels.
        limit: farther points to the side or ahead are cut off, metres.

    Raises:
        ValueError: no points, NaN, another number of colours than points, or an unknown scale.
    """
    xyz = arrays.check_points(points)
    return side_by_side(
        {"": (xyz, xyz[:, 2] if colour is None else colour)},
        title=title,
        scale=scale,
        legend=legend,
        limits=limits,
        max_points=max_points,
        size=size,
        limit=limit,
    )


def side_by_side(
    clouds: Mapping[str, tuple[Points, Colour]],
    *,
    title: str = "",
    scale: str | None = None,
    legend: str | None = None,
    limits: tuple[Number, Number] | None = None,
    max_points: int = MAX_POINTS_PER_PANEL,
    size: Number = 1.6,
    limit: Number = 50.0,
) -> go.Figure:
    """Draw clouds beside each other, from one viewpoint and with one colour scale.

    Args:
        clouds: points (N, 3) and colour (as in `points`) by name; N may differ.
        max_points: of each cloud.
        title, scale, legend, limits, size, limit: as in `points`.

    Raises:
        ValueError: as `points`, naming the cloud; or no cloud.
    """
    ready = {name: _checked(name, *cloud) for name, cloud in clouds.items()}
    numbers = [colour for _, colour in ready.values() if colour.ndim == 1]
    axis = None
    if numbers:
        if scale is None:
            scale = "height" if _are_heights(ready) else "value"
        low, high = limits or arrays.robust_limits(np.concatenate(numbers))
        axis = theme.colour_axis(scale, low, high, legend)
    rows = {name: arrays.choose(len(xyz), max_points) for name, (xyz, _) in ready.items()}
    markers, layout = colour_markers([c[rows[name]] for name, (_, c) in ready.items()], size)
    drawn = [
        Cloud(name, xyz, rows[name], marker)
        for (name, (xyz, _)), marker in zip(ready.items(), markers, strict=True)
    ]
    return _draw(drawn, title, limit, layout | ({} if axis is None else dict(coloraxis=axis)))


def feature_pca(
    clouds: Mapping[str, tuple[Points, Features]],
    basis: PcaBasis | None = None,
    *,
    title: str = "",
    max_points: int = MAX_POINTS_PER_PANEL,
    size: Number = 1.6,
    limit: Number = 50.0,
) -> go.Figure:
    """Draw features as colours with one PCA basis for all clouds: equal features, equal colours.

    Args:
        clouds: points (N, 3) and features (N, D) by name, e.g. teacher, random, distilled.
        basis: from `fit_basis`; without, it is fitted on the first cloud given (the teacher).

    Raises:
        ValueError: as `points`, or clouds of different feature widths.
    """
    if not clouds:
        raise ValueError("feature_pca needs at least one cloud, got none")
    for name, (xyz, feat) in clouds.items():
        arrays.check_rows(feat, len(xyz), f"features of {name or 'the cloud'}")
    if basis is None:
        basis = fit_basis(next(iter(clouds.values()))[1])
    coloured = {name: (xyz, basis.colours(feat)) for name, (xyz, feat) in clouds.items()}
    return side_by_side(coloured, title=title, max_points=max_points, size=size, limit=limit)


def similarity(
    points: Points,
    feat: Features,
    index: SupportsIndex,
    title: str = "",
    *,
    limits: tuple[Number, Number] | None = None,
    max_points: int = MAX_POINTS,
    size: Number = 1.8,
    limit: Number = 50.0,
) -> go.Figure:
    """Draw how similar every point's feature is to that of one point, which a pin marks.

    Args:
        points: (N, 3) metres, lidar frame.
        feat: (N, D).
        index: row of the picked point.
        limits: cosines drawn blue and red, e.g. (-1, 1); without, the 2nd percentile and 1. The
            colour bar says which.

    Raises:
        ValueError: as `points`, or an index beyond the points.
    """
    clouds = {"": (points, feat, index)}
    return similarity_side_by_side(
        clouds, title, limits=limits, max_points=max_points, size=size, limit=limit
    )


def similarity_side_by_side(
    clouds: Mapping[str, tuple[Points, Features, SupportsIndex]],
    title: str = "",
    *,
    limits: tuple[Number, Number] | None = None,
    max_points: int = MAX_POINTS_PER_PANEL,
    size: Number = 1.8,
    limit: Number = 50.0,
) -> go.Figure:
    """Draw `similarity` for several features beside each other, with one colour scale for all.

    Args:
        clouds: points (N, 3), features (N, D) and the picked row by name; each cloud may have its
            own points and width.
        limits, max_points, size, limit: as in `similarity`; max_points counts for each cloud.
    """
    ready = {}
    for name, (xyz, feat, index) in clouds.items():
        of = f" of {name}" if name else ""
        xyz = arrays.check_points(xyz, f"points{of}")
        arrays.check_rows(feat, len(xyz), f"features{of}")
        ready[name] = (xyz, cosine_to(feat, index), operator.index(index))
    if limits is None and ready:
        worst = min(float(np.percentile(cosine, 2)) for _, cosine, _ in ready.values())
        limits = (min(worst, 0.999), 1.0)
    drawn = []
    for name, (xyz, cosine, index) in ready.items():
        rows = arrays.choose(len(xyz), max_points)
        marker = dict(size=size, color=cosine[rows], coloraxis="coloraxis")
        drawn.append(Cloud(name, xyz, rows, marker, index))
    low, high = limits or (0.0, 1.0)
    words = f"cosine to the pin, {low:.2f} to {high:.2f}"
    axis = theme.colour_axis("similarity", low, high, words)
    return _draw(drawn, title, limit, dict(coloraxis=axis))


def cosine_to(feat: Features, index: SupportsIndex) -> Float[np.ndarray, " M"]:
    """Return the cosine between each row of (N, D) and row `index`; 0 for rows that are zero.

    Raises:
        ValueError: an index beyond the rows, or NaN.
    """
    array = arrays.to_numpy(feat).astype(np.float32)
    arrays.check_finite(array, "features")
    index = operator.index(index)
    if not 0 <= index < len(array):
        raise ValueError(f"index {index} is not one of the {len(array):,} points (0 to N - 1)")
    length = np.linalg.norm(array, axis=1, keepdims=True)
    unit = array / np.where(length > 0, length, 1)
    return (unit @ unit[index]).clip(-1, 1)


def _checked(name: str, xyz: Points, colour: Colour) -> tuple[np.ndarray, np.ndarray]:
    of = f" of {name}" if name else ""
    xyz = arrays.check_points(xyz, f"points{of}")
    return xyz, arrays.check_colour(colour, len(xyz), f"colour{of}")


def _are_heights(clouds: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> bool:
    return all(np.array_equal(colour, xyz[:, 2]) for xyz, colour in clouds.values())


def _draw(clouds: list[Cloud], title: str, limit: Number, layout: dict) -> go.Figure:
    """Draw each cloud in a scene of its own, all with one box and one viewpoint."""
    if not clouds:
        raise ValueError("there are 0 clouds to draw; give at least one name: (points, ...)")
    for cloud in clouds:
        if cloud.picked is not None:  # a pin must be seen
            limit = max(limit, 1.1 * float(np.abs(cloud.points[cloud.picked, :2]).max()))
    box = fit_box(np.concatenate([cloud.points for cloud in clouds]), limit)
    figure = theme.new_figure(title, _told(clouds))
    for i, cloud in enumerate(clouds):
        scene = f"scene{i + 1 if i else ''}"
        words = "%{marker.color:.3g}" if cloud.marker["coloraxis"] == "coloraxis" else ""
        add_cloud(figure, cloud, scene, words)
        if cloud.picked is not None:
            add_pin(figure, cloud.points[cloud.picked], scene, box)
    figure.update_layout(layout)
    finish(figure, [(cloud.name, box) for cloud in clouds])
    return figure


def _told(clouds: list[Cloud]) -> str:
    """Say how many points are drawn, once if it is the same everywhere."""
    told = [arrays.told(len(cloud.rows), len(cloud.points)) for cloud in clouds]
    if len(clouds) > 1 and len(set(told)) == 1:
        return f"{told[0]} each"
    if len(clouds) > 1:
        told = [f"{cloud.name}: {words}" for cloud, words in zip(clouds, told, strict=True)]
    return " · ".join(told)
