"""Classes and mistakes in 3-D: one legend entry for each, a click hides it.

Points are (N, 3) in the lidar frame, metres, torch or numpy. Both functions return a
`plotly.graph_objects.Figure`; hovering tells the classes.
"""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Integer
from torch import Tensor

from kit.data.classes import IGNORE, ClassMap
from kit.show import arrays, theme
from kit.show.arrays import Number, Points
from kit.show.figures.clouds import MAX_POINTS
from kit.show.figures.scene import Cloud, add_cloud, finish, fit_box

Labels = Integer[Tensor, " L"] | Integer[np.ndarray, " L"]
Predicted = Integer[Tensor, " P"] | Integer[np.ndarray, " P"]


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
    """Draw classes in their colours; a click in the legend hides a class.

    Args:
        points: (N, 3) metres, lidar frame.
        labels: (N,) class indices; IGNORE is drawn light grey as "not scored".
        class_map: names and colours.

    Raises:
        ValueError: as `points`, or labels that are no class.
    """
    xyz = arrays.check_points(points)
    classes = _checked_labels(labels, len(xyz), class_map, "labels")
    rows = arrays.choose(len(xyz), max_points)
    box = fit_box(xyz, limit)
    figure = theme.new_figure(title, arrays.told(len(rows), len(xyz)))
    for label in (IGNORE, *range(len(class_map))):
        of_class = rows[classes[rows] == label]
        if not len(of_class):
            continue
        scored = label != IGNORE
        name = class_map.names[label].replace("_", " ") if scored else "not scored"
        colour = theme.hex_of(class_map.colours[label]) if scored else theme.UNSCORED
        cloud = Cloud(name, xyz, of_class, dict(color=colour, size=size))
        add_cloud(figure, cloud, "scene", name, showlegend=True)
    finish(figure, [("", box)])
    return figure


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
    """Draw right predictions grey and wrong ones red; hovering tells both classes.

    Args:
        points: (N, 3) metres, lidar frame.
        predicted: (N,) class indices.
        labels: (N,) class indices; IGNORE counts as neither right nor wrong.
        class_map: names.

    Raises:
        ValueError: as `points`, or predictions or labels that are no class.
    """
    xyz = arrays.check_points(points)
    truth = _checked_labels(labels, len(xyz), class_map, "labels")
    guess = _checked_labels(predicted, len(xyz), class_map, "predicted", ignored=False)
    scored = truth != IGNORE
    wrong = scored & (truth != guess)
    rows = arrays.choose(len(xyz), max_points)
    share = wrong.sum() / max(scored.sum(), 1)
    told = f"{wrong.sum():,} of {scored.sum():,} scored points are wrong ({share:.1%})"
    if len(rows) < len(xyz):
        told += f"; {arrays.told(len(rows), len(xyz))} drawn"
    figure = theme.new_figure(title, told)

    def add(group: str, members: np.ndarray, colour: str, words: str, text=None) -> None:
        first = all(trace.legendgroup != group for trace in figure.data)
        cloud = Cloud(group, xyz, members, dict(color=colour, size=size))
        add_cloud(figure, cloud, "scene", words, showlegend=first, text=text)
        figure.data[-1].legendgroup = group

    if (unscored := rows[~scored[rows]]).size:
        add("not scored", unscored, theme.UNSCORED, "not scored")
    names = np.array([name.replace("_", " ") for name in class_map.names], dtype=object)
    right = rows[(scored & ~wrong)[rows]]
    for label in np.unique(truth[right]):  # a trace each: the name travels once, not per point
        members = right[truth[right] == label]
        add("right", members, theme.RIGHT, f"{names[label]}, predicted right")
    if (mistaken := rows[wrong[rows]]).size:
        text = names[truth[mistaken]] + ", predicted " + names[guess[mistaken]]
        add("wrong", mistaken, theme.WRONG, "%{text}", text)
    finish(figure, [("", fit_box(xyz, limit))])
    return figure


def _checked_labels(
    values: Labels, count: int, class_map: ClassMap, name: str, ignored: bool = True
) -> np.ndarray:
    array = arrays.to_numpy(values).astype(np.int64)
    arrays.check_rows(array, count, name)
    known = ((array >= 0) & (array < len(class_map))) | (ignored & (array == IGNORE))
    if not known.all():
        unknown = np.unique(array[~known])[:10].tolist()
        also = f", or {IGNORE} for not scored" if ignored else ""
        raise ValueError(
            f"{name}: {(~known).sum():,} of {count:,} are not among the {len(class_map)} classes "
            f"of {class_map.name} (0 to {len(class_map) - 1}{also}), but {unknown}"
        )
    return array
