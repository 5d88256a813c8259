"""Figures with two axes: points from above, loss curves, IoU bars, curves.

Every function returns a `plotly.graph_objects.Figure`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Real

import numpy as np
import plotly.graph_objects as go

from kit.show import arrays, theme
from kit.show.arrays import Colour, Number, Points
from kit.show.chart import Axis, Bars, Chart, Dots, Line
from kit.show.figures.axes import PLOT_HEIGHT, axis_around, names_above
from kit.show.figures.discrete import by_value, few_values
from kit.show.figures.render import figure_of
from kit.show.picture import NARROW, Margins, Picture, Scale, text_width
from kit.show.scene import check_limit

PLACE = "x {x:.1f}  y {y:.1f} m"  # of a point, for hovering


def points_from_above(
    points: Points,
    colour: Colour | None = None,
    *,
    title: str = "",
    scale: str | None = None,
    legend: str | None = None,
    limits: tuple[Number, Number] | None = None,
    max_points: int = 35_000,
    size: Number = 2.2,
    limit: Number = 50.0,
) -> go.Figure:
    """Draw a point cloud from above: x to the right, y upwards, metres, the higher point on top.

    At most 8 different integers as colour get a legend instead of a colour bar, and the points of
    a larger number lie on top.

    Args:
        points: (N, 3) metres, lidar frame (nuScenes: x right, y forward).
        colour: (N,) numbers, or (N, 3) uint8 red, green, blue; height above the ground if left out.
        title, scale, legend, limits, max_points: as in `points`.
        size: of a point, pixels.
        limit: the first view ends so many metres to each side at most; zooming out shows the rest.

    Raises:
        ValueError: no points, NaN, another number of colours than points, or an unknown scale.
    """
    xyz = arrays.check_points(points)
    listed = None if colour is None or limits else few_values([colour])
    colour, scale, legend = arrays.colour_or_height(xyz, colour, scale, legend)
    values = arrays.check_colour(colour, len(xyz))
    index = arrays.choose(len(xyz), max_points)
    index = index[np.argsort(xyz[index, 2], kind="stable")]
    heights = values.ndim == 1 and np.array_equal(values, xyz[:, 2])
    check_limit(limit)
    half = float(min(np.abs(xyz[:, :2]).max() * 1.05 + 0.1, limit))
    scale = scale or ("height" if heights else "value")
    fitted = Scale.of([values], scale, limits, legend)
    if listed is None:
        hover = f"{PLACE}\n{{colour:.3g}}" if values.ndim == 1 else PLACE
        dots = [Dots(xyz[index, :2], values[index], size, hover=hover)]
    else:
        dots = _dots_by_value(xyz, by_value(listed, values, index, scale), size)
    ego = Dots(np.zeros((1, 2)), theme.INK, 11, "triangle", outline="#ffffff", name="ego")
    axes = (Axis(name, (-half, half)) for name in ("x, right (m)", "y, forward (m)"))
    chart = Chart((*dots, ego), *axes, equal=True)
    subtitle, margins = arrays.count_text(len(index), len(xyz)), Margins(left=64, bottom=60)
    picture = Picture(title, subtitle, 560, (chart,), fitted, margins=margins)
    if listed is not None:
        picture = replace(picture, scale=None, legend="beside", legend_title=fitted.label)
    return figure_of(picture)


def _dots_by_value(
    xyz: np.ndarray, parts: Iterable[tuple[int, str, np.ndarray]], size: Number
) -> list[Dots]:
    return [
        Dots(xyz[index, :2], rgb, size, hover=f"{PLACE}\n{value}", name=f"{value}", in_legend=True)
        for value, rgb, index in parts
    ]


def loss_curve(history: Sequence[Mapping], title: str = "") -> go.Figure:
    """Draw the loss of a run: each step thin, the running mean thick, the learning rate dotted.

    Args:
        history: one mapping with `step`, `loss` and, if known, `lr` for each step.

    Raises:
        ValueError: no step, or one without `step` or `loss`.
    """
    if not history:
        raise ValueError("loss_curve needs at least one step, got an empty history")
    for i, row in enumerate(history):
        if not {"step", "loss"} <= set(row):
            raise ValueError(f"history[{i}] needs step and loss, it has {', '.join(row) or 'none'}")
    step = np.array([row["step"] for row in history])
    loss = np.array([row["loss"] for row in history], dtype=np.float64)
    num_bad = int((~np.isfinite(loss)).sum())
    subtitle = f"{len(loss):,} steps, last loss {loss[-1]:.4g}"
    subtitle += f"; {num_bad:,} without a finite loss" if num_bad else ""
    colour, window = theme.SERIES[0], max(len(loss) // 25, 1)
    if window == 1:
        lines = [Line(step, loss, "loss", colour)]
    else:
        mean = _running_mean(loss, window)
        lines = [
            Line(step, loss, "loss", "#aebfd8", width=1),
            Line(step, mean, f"mean of {window} steps", colour, width=2.5),
        ]
    right = None
    if all("lr" in row for row in history):
        lr = np.array([row["lr"] for row in history])
        right = Axis("learning rate", from_zero=True, grid=False)
        dotted = dict(width=1.5, dotted=True, on_right=True)
        lines.append(Line(step, lr, "learning rate", theme.SERIES[1], **dotted))
    chart = Chart(tuple(lines), Axis("step"), Axis("loss"), right)
    margins = Margins(72, 92, 52)
    legend = "above" if len(lines) > 1 else ""
    return figure_of(Picture(title, subtitle, 280, (chart,), legend=legend, margins=margins))


def iou_bars(results: Mapping[str, Mapping], title: str = "") -> go.Figure:
    """Draw the IoU of every class as bars, one colour for each result, best class first.

    Args:
        results: by name, `{"miou": x, "iou": {class: x or None}}` with x in [0, 1]; None where a
            class does not occur, or none does.

    Raises:
        ValueError: no result, one without `miou` and `iou`, or a number outside [0, 1].
    """
    if not results:
        raise ValueError("iou_bars needs at least one result, got none")
    for name, result in results.items():
        _check_result(name, result)
    names = list(dict.fromkeys(key for result in results.values() for key in result["iou"]))
    best = {name: _best(results, name) for name in names}
    present = sorted((n for n in names if best[n] is not None), key=lambda n: -best[n])
    absent = [name.replace("_", " ") for name in names if name not in present]
    subtitle = f"{len(present)} classes"
    subtitle += f"; not in this data: {', '.join(absent)}" if absent else ""
    bars = tuple(
        Bars(
            tuple(_percent(result["iou"].get(key)) for key in present),
            f"{name}, mIoU {_written(result['miou'])}",
            theme.SERIES[i % len(theme.SERIES)],
            hover=name,
            unit="%",
        )
        for i, (name, result) in enumerate(results.items())
    )
    labels = tuple(key.replace("_", " ") for key in present)
    if len(set(labels)) < len(labels):  # two names that differ in this alone would share a place
        labels = tuple(present)
    tilt, margins = _room_for_labels(labels)
    chart = Chart(bars, Axis(labels=labels, tilt=tilt, grid=False), Axis("IoU (%)", (0, 100)))
    return figure_of(Picture(title, subtitle, 260, (chart,), legend="above", margins=margins))


def curves(
    series: Mapping[str, Mapping[str, Number]],
    x: Sequence[Number] | None = None,
    *,
    x_title: str = "",
    y_title: str = "",
    log_x: bool = False,
    title: str = "",
) -> go.Figure:
    """Draw one curve per series through named places.

    Args:
        series: by name, the value at each named place; a place may be missing.
        x: position of each place of the first series; without, places are evenly spaced and named.
        x_title, y_title: of the axes, with units.
        log_x: a logarithmic x axis.

    Raises:
        ValueError: no series, or not one x for each place.
    """
    if not series:
        raise ValueError("curves needs at least one series, got none")
    places = list(next(iter(series.values())))
    if x is not None and len(x) != len(places):
        raise ValueError(f"{len(x)} values of x for {len(places)} places: {', '.join(places)}")
    position = dict(zip(places, range(len(places)) if x is None else x, strict=True))
    order = sorted(places, key=position.get)
    marks = []
    for i, (name, values) in enumerate(series.items()):
        there = tuple(place for place in order if place in values)
        marks.append(
            Line(
                np.array([position[place] for place in there], dtype=np.float64),
                np.array([values[place] for place in there], dtype=np.float64),
                name,
                theme.SERIES[i % len(theme.SERIES)],
                marker=8,
                labels=there,
            )
        )
    x_axis, y_axis = Axis(x_title, labels=tuple(places)), Axis(y_title)
    if x is not None:
        x_axis = axis_around([position[place] for place in places], x_title, log_x)
        y_axis = axis_around(np.concatenate([line.y for line in marks]), y_title, above=0.16)
        marks.append(names_above(series, position, x_axis, y_axis))
    chart, margins = Chart(tuple(marks), x_axis, y_axis), Margins(72, 40, 60)
    picture = Picture(title, "", PLOT_HEIGHT, (chart,), legend="above", margins=margins)
    return figure_of(picture)


def _room_for_labels(labels: Sequence[str]) -> tuple[float, Margins]:
    """Degrees by which labels below bars are turned so that they fit, and margins for them.

    A turned label ends below the middle of its bars: the first ones reach beyond the left border.
    """
    margins = Margins(64, 20, 36)
    slot = (NARROW - margins.left - margins.right) / max(len(labels), 1)
    widths = [text_width(label, theme.TICK) for label in labels]
    if max(widths, default=0) < slot:
        return 0.0, margins
    tilt = 40.0
    ahead, below = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    beyond = max(width * ahead - (i + 0.5) * slot for i, width in enumerate(widths))
    left = max(margins.left, round(beyond) + 8)
    return tilt, Margins(left, margins.right, round(max(widths) * below) + 28)


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the finite values in a centred window, shorter at both ends."""
    finite = np.isfinite(values)
    ones = np.ones(window)
    total = np.convolve(np.where(finite, values, 0), ones, mode="same")
    count = np.convolve(finite.astype(np.float64), ones, mode="same")
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _check_result(name: str, result: Mapping) -> None:
    if not {"miou", "iou"} <= set(result):
        raise ValueError(f"{name} needs miou and iou, it has {', '.join(result) or 'nothing'}")
    if not isinstance(result["iou"], Mapping):
        raise ValueError(f"{name}: iou must be numbers by class, got {result['iou']!r:.60}")
    for key, value in {"mIoU": result["miou"], **result["iou"]}.items():
        if value is not None and not (isinstance(value, Real) and 0 <= value <= 1):
            raise ValueError(f"{name}: the IoU of {key} must be in [0, 1] or None, got {value}")


def _best(results: Mapping[str, Mapping], name: str) -> float | None:
    known = [r["iou"][name] for r in results.values() if r["iou"].get(name) is not None]
    return max(known, default=None)


def _written(ratio: float | None) -> str:
    return "unknown" if ratio is None else f"{_percent(ratio):.1f} %"


def _percent(ratio: float | None) -> float | None:
    return None if ratio is None else 100 * float(ratio)
