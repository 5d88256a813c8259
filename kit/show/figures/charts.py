"""Pictures with two axes: points from above, loss curves, IoU bars.

Every function returns a `plotly.graph_objects.Figure`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from kit.show import arrays, theme
from kit.show.arrays import Colour, Number, Points
from kit.show.figures.scene import colour_markers

MAX_SVG_POINTS = 5_000  # more are drawn by WebGL, of which a page has only about 16 contexts


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

    Args:
        points: (N, 3) metres, lidar frame (nuScenes: x right, y forward).
        colour: (N,) numbers, or (N, 3) uint8 red, green, blue; height if left out.
        title, scale, legend, limits, max_points, size: as in `points`.
        limit: the first view reaches so far to each side, metres; zooming out shows the rest.

    Raises:
        ValueError: no points, NaN, another number of colours than points, or an unknown scale.
    """
    xyz = arrays.check_points(points)
    values = arrays.check_colour(xyz[:, 2] if colour is None else colour, len(xyz))
    rows = arrays.choose(len(xyz), max_points)
    rows = rows[np.argsort(xyz[rows, 2], kind="stable")]
    figure = theme.new_figure(title, arrays.told(len(rows), len(xyz)), height=680)
    add_points(figure, xyz[rows, :2], values[rows], size, "x %{x:.1f}  y %{y:.1f} m")
    if values.ndim == 1:
        guess = "height" if np.array_equal(values, xyz[:, 2]) else "value"
        low, high = limits or arrays.robust_limits(values)
        figure.update_layout(coloraxis=theme.colour_axis(scale or guess, low, high, legend))
    ego = dict(size=11, color=theme.INK, symbol="triangle-up", line=dict(width=1, color="white"))
    figure.add_trace(
        go.Scatter(x=[0.0], y=[0.0], mode="markers", marker=ego, name="ego", showlegend=False)
    )
    reach = float(min(np.abs(xyz[:, :2]).max() * 1.05 + 0.1, limit))
    span = dict(range=[-reach, reach], constrain="domain")
    figure.update_xaxes(title="x, right (m)", **span)
    figure.update_yaxes(title="y, forward (m)", scaleanchor="x", **span)
    figure.update_layout(margin=dict(l=64, b=52) | theme.room_for_bar(figure))
    return figure


def loss_curve(history: Sequence[Mapping], title: str = "") -> go.Figure:
    """Draw the loss of a run: every step thin, its running mean thick, the learning rate dotted.

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
    told = f"{len(loss):,} steps, last loss {loss[-1]:.4g}"
    told += f"; {num_bad:,} without a finite loss" if num_bad else ""
    figure = theme.new_figure(title, told, height=420)
    colour, window = theme.SERIES[0], max(len(loss) // 25, 1)
    thin = dict(color="#aebfd8" if window > 1 else colour, width=1 if window > 1 else 2)
    figure.add_trace(go.Scatter(x=step, y=loss, mode="lines", line=thin, name="loss"))
    if window > 1:
        name, thick = f"mean of {window} steps", dict(color=colour, width=2.5)
        mean = _running_mean(loss, window)
        figure.add_trace(go.Scatter(x=step, y=mean, mode="lines", line=thick, name=name))
    if all("lr" in row for row in history):
        _add_learning_rate(figure, step, np.array([row["lr"] for row in history]))
    figure.update_xaxes(title="step")
    figure.update_yaxes(title="loss", selector=dict(overlaying=None))
    figure.update_layout(margin=dict(l=72, r=92, t=108, b=52), legend=_legend_above())
    return figure


def iou_bars(results: Mapping[str, Mapping], title: str = "") -> go.Figure:
    """Draw the IoU of every class as bars, one colour for each result, best class first.

    Args:
        results: by name, `{"miou": x, "iou": {class: x or None}}` with x in [0, 1]; None where a
            class does not occur.

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
    told = f"{len(present)} classes"
    told += f"; not in this data: {', '.join(absent)}" if absent else ""
    figure = theme.new_figure(title, told, height=460)
    for i, (name, result) in enumerate(results.items()):
        figure.add_trace(
            go.Bar(
                x=[key.replace("_", " ") for key in present],
                y=[_percent(result["iou"].get(key)) for key in present],
                name=f"{name}, mIoU {_percent(result['miou']):.1f} %",
                marker=dict(color=theme.SERIES[i % len(theme.SERIES)]),
                hovertemplate="%{x}: %{y:.1f} %<extra>" + name + "</extra>",
            )
        )
    figure.update_xaxes(showgrid=False, tickangle=-30 if len(present) > 6 else 0)
    figure.update_yaxes(title="IoU (%)", range=[0, 100])
    margin = dict(l=64, r=20, t=108, b=110)
    figure.update_layout(barmode="group", bargap=0.22, margin=margin)
    figure.update_layout(showlegend=True, legend=_legend_above())
    return figure


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
        x: where each place of the first series lies; evenly spaced, named, if left out.
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
    where = dict(zip(places, places if x is None else x, strict=True))
    order = places if x is None else sorted(places, key=where.get)
    figure = theme.new_figure(title, height=440)
    for i, (name, values) in enumerate(series.items()):
        there = [place for place in order if place in values]
        colour = theme.SERIES[i % len(theme.SERIES)]
        named = x is not None and i == 0  # once is enough
        figure.add_trace(
            go.Scatter(
                x=[where[place] for place in there],
                y=[values[place] for place in there],
                text=there,
                mode="lines+markers+text" if named else "lines+markers",
                textposition="top center",
                name=name,
                line=dict(color=colour, width=2),
                marker=dict(size=8, color=colour),
                hovertemplate="%{text}: %{y:.3g}<extra>" + name + "</extra>",
            )
        )
    figure.update_xaxes(title=x_title, type="log" if log_x else None)
    figure.update_yaxes(title=y_title)
    figure.update_layout(margin=dict(l=72, r=40, t=96, b=60), legend=_legend_above())
    return figure.update_layout(showlegend=True)


def add_points(
    figure: go.Figure,
    uv: Float[np.ndarray, "R 2"],
    colour: np.ndarray,
    size: Number,
    words: str,
) -> None:
    """Add points in 2-D; `words` is the hover text, `colour` numbers or (R, 3) uint8."""
    kind = go.Scatter if len(uv) <= MAX_SVG_POINTS else go.Scattergl
    words += "<br>%{marker.color:.3g}" if colour.ndim == 1 else ""
    (marker,), layout = colour_markers([colour], size)
    figure.update_layout(layout)
    figure.add_trace(
        kind(
            x=uv[:, 0],
            y=uv[:, 1],
            mode="markers",
            marker=marker | dict(line=dict(width=0)),
            name="points",
            showlegend=False,
            hovertemplate=words + "<extra></extra>",
        )
    )


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the finite values in a centred window, shorter at both ends."""
    finite = np.isfinite(values)
    ones = np.ones(window)
    total = np.convolve(np.where(finite, values, 0), ones, mode="same")
    count = np.convolve(finite.astype(np.float64), ones, mode="same")
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _add_learning_rate(figure: go.Figure, step: np.ndarray, lr: np.ndarray) -> None:
    colour = theme.SERIES[1]
    line = dict(color=colour, width=1.5, dash="dot")
    trace = go.Scatter(x=step, y=lr, mode="lines", line=line, name="learning rate", yaxis="y2")
    figure.add_trace(trace)
    figure.update_layout(
        yaxis2=dict(
            title="learning rate",
            overlaying="y",
            side="right",
            showgrid=False,
            rangemode="tozero",
            tickmode="auto",
            tickformat="~g",
        )
    )


def _legend_above() -> dict:
    return dict(orientation="h", x=0, xanchor="left", y=1.01, yanchor="bottom")


def _check_result(name: str, result: Mapping) -> None:
    if not {"miou", "iou"} <= set(result):
        raise ValueError(f"{name} needs miou and iou, it has {', '.join(result) or 'nothing'}")
    for key, value in {"mIoU": result["miou"], **result["iou"]}.items():
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"{name}: the IoU of {key} must be in [0, 1] or None, got {value}")


def _best(results: Mapping[str, Mapping], name: str) -> float | None:
    known = [r["iou"][name] for r in results.values() if r["iou"].get(name) is not None]
    return max(known, default=None)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * float(share)
