"""Point clouds in 3-D: numbers, colours, features, similarity.

Points are (N, 3) in the lidar frame, metres (nuScenes: x right, y forward, z up), torch or numpy.
Every function returns a `plotly.graph_objects.Figure`; hovering tells position and index of a
point. More than `max_points` are thinned, the same way every time, and the subtitle says so.
"""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import SupportsIndex

import numpy as np
import plotly.graph_objects as go
import torch

from kit.data.keyframe import Keyframe
from kit.features.pca import PcaBasis, fit_basis
from kit.features.spaces import Features
from kit.show import arrays
from kit.show.arrays import Colour, Number, Points
from kit.show.features import Given, named_features
from kit.show.figures.discrete import by_value, few_values
from kit.show.figures.render import figure_of
from kit.show.picture import BAR_ROOM, HEADING_ROOM, Margins, Picture, Scale, in_rows, panel_width
from kit.show.scene import Box, Cloud, Place, Scene, Viewpoint

MAX_POINTS = 35_000  # one scene redraws in about a third of a second on a slow machine
MAX_POINTS_PER_PANEL = 15_000
GAP = 0.012  # between panels, of the plot area
IN_ROW = 3  # panels beside each other
PLOT_HEIGHT = 520  # pixels, of one panel
ASPECT = 1.15  # width by height that a cloud fills from the usual distance
SCENE_MARGINS = Margins(left=8, right=8, bottom=8)


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
        colour: (N,) numbers, or (N, 3) uint8 red, green, blue; height above the ground if left out.
            At most 8 different integers get a legend instead of a colour bar.
        title: of the figure.
        scale: what the numbers are: "height", "depth", "intensity", "similarity" or "value".
        legend: text beside the colour bar instead of the scale's own.
        limits: numbers at the two ends of the scale; without, the 1st and 99th percentile.
        max_points: more are thinned.
        size: of a point; 1 is about 1.7 pixels.
        limit: points farther to the side or ahead are cut off, metres.

    Raises:
        ValueError: no points, NaN, another number of colours than points, or an unknown scale.
    """
    xyz = arrays.check_points(points)
    colour, scale, legend = arrays.colour_or_height(xyz, colour, scale, legend)
    return side_by_side(
        {"": (xyz, colour)},
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
    checked = {name: _checked(name, *cloud) for name, cloud in clouds.items()}
    colours = [colour for _, colour in checked.values()]
    heights = all(np.array_equal(colour, xyz[:, 2]) for xyz, colour in checked.values())
    scale = scale or ("height" if heights else "value")
    fitted = Scale.of(colours, scale, limits, legend)
    values = None if limits else few_values([colour for _, colour in clouds.values()])
    label = fitted.label if fitted else ""
    fitted = fitted if values is None else None
    panels = {}
    for name, (xyz, colour) in checked.items():
        index = arrays.choose(len(xyz), max_points)
        panels[name] = ([Cloud(xyz[index], colour[index], size, index, name)], xyz)
        if values is not None:
            parts = by_value(values, colour, index, scale)
            clouds_of = [Cloud(xyz[i], c, size, i, f"{v}", True, f"{v}") for v, c, i in parts]
            panels[name] = (clouds_of, xyz)
    return _draw(panels, title, limit, fitted, legend_title=label)


def feature_pca(
    keyframe: Keyframe,
    features: Given | Mapping[str, Given],
    basis: PcaBasis | None = None,
    *,
    title: str = "",
    max_points: int = MAX_POINTS_PER_PANEL,
    size: Number = 1.6,
    limit: Number = 50.0,
) -> go.Figure:
    """Draw features as colours, with one PCA basis for all panels: equal features, equal colours.

    Args:
        keyframe: whose points are drawn; a panel draws the points that have a feature.
        features: of the keyframe, by name, e.g. teacher, random, distilled: `kit.Features`, or
            (N, D) for all points. Restrict them to draw the same points in each panel, e.g.
            `student_features.restrict(teacher_features.index)`.
        basis: from `fit_basis`; without, it is fitted on the first features given (the teacher's).
        max_points: of each panel.
        title, size, limit: as in `points`.

    Raises:
        ValueError: features of other points or of another width than the basis, or no features.
    """
    named = named_features(features, len(keyframe.points))
    basis = basis or fit_basis(next(iter(named.values())))
    panels = {}
    for name, each in named.items():
        xyz, kept = _points_of(each, keyframe, max_points)
        rgb = basis.colours(each.feat[kept]).numpy()
        panels[name] = ([Cloud(xyz[kept], rgb, size, each.index[kept].numpy(), name)], xyz)
    return _draw(panels, title, limit, None)


def similarity(
    keyframe: Keyframe,
    features: Given | Mapping[str, Given],
    point: SupportsIndex,
    title: str = "",
    *,
    centred: bool = True,
    limits: tuple[Number, Number] | None = None,
    max_points: int | None = None,
    size: Number = 1.8,
    limit: Number = 50.0,
) -> go.Figure:
    """Draw the cosine between each point's feature and that of one point, which a pin marks.

    Args:
        keyframe: whose points are drawn; a panel draws the points that have a feature.
        features: of the keyframe: `kit.Features` or (N, D) for all points; or several by name,
            drawn beside each other with one colour scale.
        point: which of the keyframe's points.
        centred: cosines of features without their mean (`kit.Features.centred`), which all of them
            have in common; otherwise of the features as they are.
        limits: cosines drawn blue and red, e.g. (-1, 1); without, the lowest 2nd percentile of the
            panels, and 1. The colour bar says which.
        max_points: of each panel; without, 35,000, or 15,000 for several panels.
        title, size, limit: as in `points`.

    Raises:
        ValueError: features of other points, no features, or a point without a feature.
    """
    named = named_features(features, len(keyframe.points))
    point = operator.index(point)
    cosines = {name: cosine_to(each, point, name, centred) for name, each in named.items()}
    if limits is None:
        lowest = min(float(np.percentile(cosine, 2)) for cosine in cosines.values())
        limits = (min(lowest, 0.999), 1.0)
    low, high = limits
    if max_points is None:
        max_points = MAX_POINTS if len(named) == 1 else MAX_POINTS_PER_PANEL
    panels = {}
    for name, each in named.items():
        xyz, kept = _points_of(each, keyframe, max_points)
        index = each.index[kept].numpy()
        cloud = Cloud(xyz[kept], cosines[name][kept], size, index, name)
        panels[name] = ([cloud], xyz)
    label = f"cosine to the pin, {low:.2f} to {high:.2f}"
    scale = Scale("similarity", float(low), float(high), label)
    pin = arrays.to_numpy(keyframe.points[point])
    limit = max(limit, 1.1 * float(np.abs(pin[:2]).max()))  # the pin must be seen
    return _draw(panels, title, limit, scale, (pin,))


def cosine_to(features: Features, point: int, name: str = "", centred: bool = True) -> np.ndarray:
    """Return the cosine (S,) between each feature and that of one point; 0 for zero features.

    Raises:
        ValueError: a point that is not among the keyframe's, or that has no feature.
    """
    of = f" of {name}" if name else ""
    if not 0 <= point < features.num_points:
        raise ValueError(
            f"point {point} is not one of the {features.num_points:,} points (0 to N - 1)"
        )
    row = int(features.row_of(torch.tensor([point])))
    if row < 0:
        raise ValueError(
            f"point {point} has no feature in the features{of}, no camera sees it; choose one of "
            "features.index"
        )
    feat = features.centred if centred else features.unit
    return (feat @ feat[row]).clamp(-1, 1).cpu().numpy()


def _points_of(
    features: Features, keyframe: Keyframe, max_points: int
) -> tuple[np.ndarray, np.ndarray]:
    """The points (S, 3) that have a feature, and which rows of them are drawn."""
    xyz = arrays.check_points(keyframe.points[features.index])
    return xyz, arrays.choose(len(xyz), max_points)


def _checked(name: str, xyz: Points, colour: Colour) -> tuple[np.ndarray, np.ndarray]:
    of = f" of {name}" if name else ""
    xyz = arrays.check_points(xyz, f"points{of}")
    return xyz, arrays.check_colour(colour, len(xyz), f"colour{of}")


def _draw(
    panels: Mapping[str, tuple[Sequence[Cloud], np.ndarray]],
    title: str,
    limit: Number,
    scale: Scale | None,
    pins: Sequence[np.ndarray] = (),
    legend_title: str = "",
) -> go.Figure:
    """Draw clouds in rows, all with one box and one viewpoint.

    Args:
        panels: by name, clouds and all the points (N, 3) they were thinned from.
        legend_title: of the legend, which pictures without a scale have whose clouds are listed.
    """
    if not panels:
        raise ValueError("there are 0 clouds to draw; give at least one name: (points, ...)")
    box = Box.around(np.concatenate([xyz for _, xyz in panels.values()]), limit)
    places, height, aspect = _places(len(panels))
    view = Viewpoint.behind(box, farther=max(ASPECT / aspect, 1.0))
    scenes = tuple(
        Scene(tuple(clouds), view, box, name, tuple(pins), place=place)
        for (name, (clouds, _)), place in zip(panels.items(), places, strict=True)
    )
    counts = [(sum(len(c.points) for c in clouds), len(xyz)) for clouds, xyz in panels.values()]
    subtitle = _subtitle(list(panels), [arrays.count_text(*count) for count in counts])
    listed = any(cloud.in_legend for scene in scenes for cloud in scene.clouds)
    picture = Picture(title, subtitle, height, scenes, scale, margins=SCENE_MARGINS)
    if listed:
        picture = replace(picture, legend="beside", legend_title=legend_title)
    return figure_of(picture)


def _places(number: int) -> tuple[list[Place], int, float]:
    """Places of so many panels, the height of the plot area, width by height of a panel.

    Panels of one row are about as high as they are wide on a usual page.
    """
    columns = 2 if number == 4 else min(number, IN_ROW)
    width = panel_width(columns, GAP, BAR_ROOM)
    height = min(PLOT_HEIGHT, round(1.15 * width))
    num_rows = -(-number // columns)
    places, total = in_rows(number, columns, GAP, [height] * num_rows, HEADING_ROOM)
    return places, total, width / height


def _subtitle(names: list[str], counts: list[str]) -> str:
    """Say how many points each panel draws, once if it is the same everywhere."""
    if len(counts) == 1:
        return counts[0]
    if len(set(counts)) == 1:
        return f"{counts[0]} each"
    return " · ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True))
