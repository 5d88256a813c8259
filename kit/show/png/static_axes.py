"""Plotly's 2-D traces on matplotlib axes: points, lines, bars, images, heatmaps."""

import base64
import io
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
from PIL import Image

from kit.show.png.static_style import PX, array_of, on_scale, rgb_of, setting

DASHES = {"dot": ":", "dash": "--", "dashdot": "-."}
SYMBOLS = {"triangle-up": "^", "diamond": "D", "square": "s", "cross": "P", "x": "X"}


def draw_trace(axes: Axes, trace: Any, figure: go.Figure) -> None:
    """Draw one trace.

    Raises:
        ValueError: a type of trace the kit does not make.
    """
    if trace.type in ("scatter", "scattergl"):
        _draw_scatter(axes, trace, figure.layout)
    elif trace.type == "bar":
        _draw_bars(axes, trace, [t for t in figure.data if t.type == "bar"], figure.layout)
    elif trace.type == "image":
        _draw_image(axes, trace)
    elif trace.type == "heatmap":
        _draw_heatmap(axes, trace, figure.layout)
    else:
        raise ValueError(
            f"save_png cannot draw a {trace.type!r} trace; it knows scatter3d, scatter, scattergl, "
            "bar, image and heatmap. Save this figure with figure.write_html(path)."
        )


def _draw_scatter(axes: Axes, trace, layout: go.Layout) -> None:
    x, y = array_of(trace.x), array_of(trace.y)
    if "lines" in (trace.mode or "lines"):
        line = trace.line
        style = DASHES.get(line.dash, "-")
        width = (line.width or 2) * PX
        axes.margins(x=0.06 if "markers" in (trace.mode or "") else 0)
        axes.plot(x, y, style, color=line.color or "black", lw=width, solid_joinstyle="round")
    if "markers" in (trace.mode or ""):
        marker = trace.marker
        size = np.asarray(marker.size or 6, dtype=np.float64) * PX
        edge = marker.line.color or "none" if marker.line.width else "none"
        axes.scatter(
            x,
            y,
            s=size**2,
            c=rgb_of(marker, layout, len(x)) / 255,
            marker=SYMBOLS.get(marker.symbol, "o"),
            edgecolors=edge,
            linewidths=(marker.line.width or 0) * PX,
            zorder=3,
        )
    if "text" in (trace.mode or ""):
        above = dict(xytext=(0, 7), textcoords="offset points", ha="center", fontsize=12 * PX)
        for place, words in zip(zip(x, y, strict=True), trace.text, strict=True):
            axes.annotate(words, place, **above)


def _draw_bars(axes: Axes, trace, bars: list, layout: go.Layout) -> None:
    """Draw one series of grouped bars: the group fills its place but for `bargap`."""
    width = (1 - (layout.bargap if layout.bargap is not None else 0.2)) / len(bars)
    index = next(i for i, other in enumerate(bars) if other is trace)
    places = np.arange(len(trace.x)) + (index - (len(bars) - 1) / 2) * width
    heights = np.array([np.nan if value is None else value for value in trace.y], dtype=np.float64)
    axes.bar(places, heights, width, color=trace.marker.color, zorder=2)
    axes.set_xlim(-0.5, len(trace.x) - 0.5)
    angle = -(layout.xaxis.tickangle or 0)
    turned = dict(rotation=angle, ha="right", rotation_mode="anchor") if angle else {}
    axes.set_xticks(np.arange(len(trace.x)), trace.x, **turned)


def _draw_image(axes: Axes, trace) -> None:
    with Image.open(io.BytesIO(base64.b64decode(trace.source.split(",", 1)[1]))) as photo:
        pixels = np.asarray(photo.convert("RGB"))
    dx, dy = trace.dx or 1, trace.dy or 1
    left, top = (trace.x0 or 0) - dx / 2, (trace.y0 or 0) - dy / 2
    extent = (left, left + dx * pixels.shape[1], top + dy * pixels.shape[0], top)
    smooth = "antialiased" if trace.zsmooth else "nearest"
    axes.imshow(pixels, extent=extent, interpolation=smooth, aspect="auto", zorder=0)


def _draw_heatmap(axes: Axes, trace, layout: go.Layout) -> None:
    z = array_of(trace.z).astype(np.float64)
    axis = layout[trace.coloraxis] if trace.coloraxis else None
    low, high = (axis.cmin, axis.cmax) if axis else (trace.zmin, trace.zmax)
    scale = axis.colorscale if axis else trace.colorscale
    if low is None or high is None or scale is None:
        raise ValueError("a heatmap needs a colour scale and its limits to be drawn without plotly")
    extent = (-0.5, z.shape[1] - 0.5, -0.5, z.shape[0] - 0.5)
    axes.imshow(on_scale(z, scale, low, high), extent=extent, origin="lower", aspect="auto")
    for values, place in ((trace.x, axes.set_xticks), (trace.y, axes.set_yticks)):
        if values is not None:
            place(np.arange(len(values)), [str(value) for value in values])


def dress_axis(axes: Axes, figure: go.Figure, which: str, name: str) -> None:
    """Give one axis ("x" or "y") the range, title and grid of the layout's `name`."""
    layout, axis = figure.layout, figure.layout[name]
    plain = "xaxis" if which == "x" else "yaxis"

    def look_up(path: str, default: Any = None) -> Any:
        return setting(layout, f"{name}.{path}") or setting(layout, f"{plain}.{path}", default)

    side = axes.xaxis if which == "x" else axes.yaxis
    if axis.type == "log":
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        side.set_major_locator(LogLocator(subs=(1, 2, 5)))
        side.set_major_formatter(StrMethodFormatter("{x:g}"))
        side.set_minor_locator(NullLocator())
    if axis.range is not None:
        (axes.set_xlim if which == "x" else axes.set_ylim)(*axis.range)
    elif axis.rangemode == "tozero":
        (axes.set_xlim if which == "x" else axes.set_ylim)(0, None)
    if axis.visible is False:
        side.set_visible(False)
        return
    quiet = look_up("tickfont.color", "black")
    size = look_up("tickfont.size", 12) * PX
    axes.tick_params(axis=which, length=0, labelsize=size, labelcolor=quiet)
    side.set_label_text(axis.title.text or "", color=quiet, fontsize=13 * PX)
    if axis.showgrid is not False:
        axes.grid(axis=which, color=to_rgb(look_up("gridcolor", "#eeeeee")), lw=0.8, zorder=0)
        axes.set_axisbelow(True)
