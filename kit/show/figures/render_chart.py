"""A `Chart` as plotly's 2-D traces: dots, lines, bars, photographs."""

import math

import numpy as np
import plotly.graph_objects as go

from kit.show import theme
from kit.show.chart import Axis, Bars, Chart, Dots, Line, Names, Photo
from kit.show.figures.colours import Markers
from kit.show.figures.template import add_heading
from kit.store.images import data_uri, jpeg_bytes, png_bytes, shrink

MAX_SVG_POINTS = 5_000  # more are drawn by WebGL, of which a page has only about 16 contexts
SYMBOLS = {"disc": None, "triangle": "triangle-up"}
JPEG_QUALITY = 88


def add_chart(figure: go.Figure, chart: Chart, number: int, markers: Markers) -> None:
    """Add a chart as the figure's panel of this number, counted from 0."""
    suffix = str(number + 1) if number else ""
    axes = dict(xaxis=f"x{suffix}", yaxis=f"y{suffix}")
    for mark in chart.marks:
        if isinstance(mark, Dots):
            figure.add_trace(_dots(mark, markers, axes))
        elif isinstance(mark, Line):
            on = axes | (dict(yaxis="y2") if mark.on_right else {})
            figure.add_trace(_line(mark, chart.x, on))
        elif isinstance(mark, Names):
            _add_names(figure, mark, chart, suffix)
        elif isinstance(mark, Bars):
            figure.add_trace(_bars(mark, chart.x))
            figure.update_layout(barmode="group", bargap=theme.BAR_GAP)
        else:
            figure.add_trace(_photo(mark, axes))
    left, low, right, high = chart.place
    x = _axis(chart.x) | dict(domain=[left, right], anchor=f"y{suffix}")
    y = _axis(chart.y, upright=True) | dict(domain=[low, high], anchor=f"x{suffix}")
    if chart.equal:
        x |= dict(constrain="domain")
        y |= dict(constrain="domain", scaleanchor=f"x{suffix}", constraintoward="top")
    if chart.name:
        add_heading(figure, chart.name, chart.place)
    figure.update_layout({f"xaxis{suffix}": x, f"yaxis{suffix}": y})
    if chart.right is not None:
        beside = dict(overlaying="y", side="right", tickmode="auto", tickformat="~g")
        figure.update_layout(yaxis2=_axis(chart.right) | beside)


def _axis(axis: Axis, upright: bool = False) -> dict:
    """The settings of an axis that differ from the template's; `upright` is a y axis."""
    settings: dict = dict(title=axis.title) if axis.title else {}
    if axis.labels and not upright:
        settings["type"] = "category"  # names such as "1" and "2024" are no numbers
    elif axis.labels:
        places = list(range(len(axis.labels)))
        settings |= dict(tickmode="array", tickvals=places, ticktext=list(axis.labels))
    if axis.limits is not None:
        limits = np.log10(axis.limits).tolist() if axis.log else axis.limits
        settings["range"] = list(limits)
    if axis.ticks:
        texts = [f"{tick:g}" for tick in axis.ticks]
        settings |= dict(tickmode="array", tickvals=list(axis.ticks), ticktext=texts)
    if axis.tilt:
        settings["tickangle"] = -axis.tilt
    if axis.log:
        settings["type"] = "log"
    if axis.from_zero:
        settings["rangemode"] = "tozero"
    if not axis.grid:
        settings["showgrid"] = False
    if not axis.visible:
        settings["visible"] = False
    return settings


def _dots(dots: Dots, markers: Markers, axes: dict) -> go.Scatter | go.Scattergl:
    kind = go.Scatter if len(dots.xy) <= MAX_SVG_POINTS else go.Scattergl
    rim = dict(width=1, color=dots.outline) if dots.outline else dict(width=0)
    hover = dots.hover.replace("{colour", "{marker.color").replace("{", "%{").replace("\n", "<br>")
    return kind(
        x=dots.xy[:, 0],
        y=dots.xy[:, 1],
        mode="markers",
        marker=markers.marker(dots.colour, dots.size) | dict(line=rim, symbol=SYMBOLS[dots.symbol]),
        name=dots.name,
        showlegend=dots.in_legend,
        hovertemplate=f"{hover}<extra></extra>" if hover else None,
        **axes,
    )


def _add_names(figure: go.Figure, names: Names, chart: Chart, suffix: str) -> None:
    """Notes, which plotly draws over all marks and beyond the axes; on a light ground."""
    for (x, y), text, rise in zip(names.xy.tolist(), names.texts, names.rise, strict=True):
        figure.add_annotation(
            x=math.log10(x) if chart.x.log else x,
            y=y,
            xref=f"x{suffix}",
            yref=f"y{suffix}",
            text=text,
            showarrow=False,
            yanchor="bottom",
            yshift=rise,
            bgcolor=theme.LABEL_BACKGROUND,
            borderpad=0,
            font=dict(color=theme.INK, size=theme.TICK),
        )


def _line(line: Line, x: Axis, axes: dict) -> go.Scatter:
    labels = list(line.labels) or None
    mode = "lines" + ("+markers" if line.marker else "")
    return go.Scatter(
        x=[x.labels[int(i)] for i in line.x] if x.labels else line.x,
        y=line.y,
        text=labels,
        mode=mode,
        name=line.name,
        line=dict(color=line.colour, width=line.width, dash="dot" if line.dotted else None),
        marker=dict(size=line.marker, color=line.colour) if line.marker else None,
        showlegend=None if line.in_legend else False,  # None: not for the only trace
        hovertemplate="%{text}: %{y:.3g}<extra>" + line.name + "</extra>" if labels else None,
        **axes,
    )


def _bars(bars: Bars, x: Axis) -> go.Bar:
    return go.Bar(
        x=list(x.labels),
        y=list(bars.heights),
        name=bars.name,
        marker=dict(color=bars.colour),
        showlegend=None if bars.in_legend else False,
        hovertemplate="%{x}: %{y:.1f} " + bars.unit + "<extra>" + bars.hover + "</extra>",
    )


def _photo(photo: Photo, axes: dict) -> go.Image:
    """Pixels as an image trace; the first pixel covers 0 to 1, as `uv.floor()` has it."""
    if photo.max_width is None:
        stored, source = photo.pixels, data_uri(png_bytes(photo.pixels), "png")
    else:
        stored = shrink(photo.pixels, photo.max_width)
        source = data_uri(jpeg_bytes(stored, JPEG_QUALITY), "jpeg")
    step_x, step_y = photo.size[1] / stored.shape[1], photo.size[0] / stored.shape[0]
    return go.Image(
        source=source,
        x0=step_x / 2,
        y0=step_y / 2,
        dx=step_x,
        dy=step_y,
        zsmooth=False if photo.max_width is None else "fast",
        hoverinfo="skip",
        **axes,
    )
