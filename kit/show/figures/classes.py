"""Classes and errors in 3-D: one legend entry for each, a click hides it.

Points are (N, 3) in the lidar frame, metres, torch or numpy. Both functions return a
`plotly.graph_objects.Figure`; hovering tells the classes.
"""

from collections.abc import Iterator

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Integer
from torch import Tensor

from kit.data.classes import IGNORE, ClassMap
from kit.show import arrays, theme
from kit.show.arrays import Number, Points
from kit.show.figures.clouds import MAX_POINTS, PLOT_HEIGHT, SCENE_MARGINS
from kit.show.figures.render import figure_of
from kit.show.palette import distinct_colours
from kit.show.picture import Picture
from kit.show.scene import Box, Cloud, Scene, Viewpoint

Labels = Integer[Tensor, " L"] | Integer[np.ndarray, " L"]
Predicted = Integer[Tensor, " P"] | Integer[np.ndarray, " P"]

NOT_SCORED, CORRECT, WRONG = "not scored", "correct", "wrong"


def labels(
    points: Points,
    labels: Labels,
    class_map: ClassMap,
    *,
    title: str = "",
    max_points: int = MAX_POINTS,
    size: Number = 1.8,
    limit: Number = 50.0,
) -> go.Figure:
    """Draw classes in colours; a click in the legend hides a class.

    Args:
        points: (N, 3) metres, lidar frame.
        labels: (N,) class indices; IGNORE is drawn light grey as "not scored".
        class_map: names, and colours that are changed so far that all can be told apart, as in the
            explorer.
        title, max_points, size, limit: as in `points`.

    Raises:
        ValueError: as `points`, or labels that are no class.
    """
    xyz = arrays.check_points(points)
    classes = _checked_labels(labels, len(xyz), class_map, "labels")
    index = arrays.choose(len(xyz), max_points)
    colours = distinct_colours(tuple(class_map.colours))
    clouds = []
    for label in (IGNORE, *range(len(class_map))):
        of_class = index[classes[index] == label]
        if not len(of_class):
            continue
        scored = label != IGNORE
        name = class_map.names[label].replace("_", " ") if scored else NOT_SCORED
        colour = theme.hex_of(colours[label]) if scored else theme.UNSCORED
        clouds.append(Cloud(xyz[of_class], colour, size, of_class, name, True, name))
    return _draw(clouds, xyz, limit, title, arrays.count_text(len(index), len(xyz)))


def errors(
    points: Points,
    predicted: Predicted,
    labels: Labels,
    class_map: ClassMap,
    *,
    title: str = "",
    max_points: int = MAX_POINTS,
    size: Number = 1.8,
    limit: Number = 50.0,
) -> go.Figure:
    """Draw correct predictions grey and wrong ones red; hovering tells both classes.

    Args:
        points: (N, 3) metres, lidar frame.
        predicted: (N,) class indices.
        labels: (N,) class indices; points with IGNORE are "not scored".
        class_map: names.
        title, max_points, size, limit: as in `points`.

    Raises:
        ValueError: as `points`, or predictions or labels that are no class.
    """
    xyz = arrays.check_points(points)
    expected = _checked_labels(labels, len(xyz), class_map, "labels")
    found = _checked_labels(predicted, len(xyz), class_map, "predicted", ignored=False)
    index = arrays.choose(len(xyz), max_points)
    scored = expected != IGNORE
    num_wrong = int((scored & (expected != found)).sum())
    ratio = num_wrong / max(scored.sum(), 1)
    subtitle = f"{num_wrong:,} of {scored.sum():,} scored points are wrong ({ratio:.1%})"
    if len(index) < len(xyz):
        subtitle += f"; {arrays.count_text(len(index), len(xyz))} drawn"
    clouds = [
        Cloud(xyz[part], colour, size, part, name, True, hover)
        for part, colour, name, hover in _parts(index, expected, found, class_map)
    ]
    return _draw(clouds, xyz, limit, title, subtitle)


def _parts(
    index: np.ndarray, expected: np.ndarray, found: np.ndarray, class_map: ClassMap
) -> Iterator[tuple]:
    """Points not scored, correct and wrong: their index, colour, legend entry and hover text."""
    names = np.array([name.replace("_", " ") for name in class_map.names], dtype=object)
    scored = expected[index] != IGNORE
    wrong = scored & (expected != found)[index]
    if not scored.all():
        yield index[~scored], theme.UNSCORED, NOT_SCORED, NOT_SCORED
    correct = index[scored & ~wrong]
    for label in np.unique(expected[correct]):  # a cloud each: its name is stored once
        of_class = correct[expected[correct] == label]
        yield of_class, theme.CORRECT, CORRECT, f"{names[label]}, predicted correctly"
    if wrong.any():
        part = index[wrong]
        hover = names[expected[part]] + ", predicted " + names[found[part]]
        yield part, theme.WRONG, WRONG, tuple(hover)


def _draw(
    clouds: list[Cloud], xyz: np.ndarray, limit: Number, title: str, subtitle: str
) -> go.Figure:
    box = Box.around(xyz, limit)
    scene = Scene(tuple(clouds), Viewpoint.behind(box), box)
    return figure_of(
        Picture(title, subtitle, PLOT_HEIGHT, (scene,), legend="beside", margins=SCENE_MARGINS)
    )


def _checked_labels(
    values: Labels, count: int, class_map: ClassMap, name: str, ignored: bool = True
) -> np.ndarray:
    array = arrays.to_numpy(values).astype(np.int64)
    arrays.check_count(array, count, name)
    known = ((array >= 0) & (array < len(class_map))) | (ignored & (array == IGNORE))
    if not known.all():
        unknown = np.unique(array[~known])[:10].tolist()
        also = f", or {IGNORE} for not scored" if ignored else ""
        raise ValueError(
            f"{name}: {(~known).sum():,} of {count:,} are not among the {len(class_map)} classes "
            f"of {class_map.name} (0 to {len(class_map) - 1}{also}), but {unknown}"
        )
    return array
