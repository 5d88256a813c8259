"""The marks of a `Chart` on matplotlib axes: dots, lines, bars, photographs."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from kit.show import theme
from kit.show.chart import Axis, Bars, Chart, Dots, Line, Names, Photo
from kit.show.picture import Scale, rgb_of

DPI = 100
PX = 72 / DPI  # points of type per pixel
SYMBOLS = {"disc": "o", "triangle": "^"}
LIGHT_GROUND = dict(facecolor="white", alpha=theme.LABEL_OPACITY, edgecolor="none", pad=0.8)


def draw_chart(axes: Axes, chart: Chart, scale: Scale | None) -> None:
    """Draw a chart on axes that cover its place.

    Args:
        axes: empty.
        chart: what is drawn.
        scale: of dots whose colours are numbers.
    """
    if chart.equal:
        axes.set_aspect("equal", adjustable="box", anchor="N")  # below its name
    right = None if chart.right is None else axes.twinx()
    bars = [mark for mark in chart.marks if isinstance(mark, Bars)]
    for mark in chart.marks:
        if isinstance(mark, Dots):
            _draw_dots(axes, mark, scale)
        elif isinstance(mark, Line):
            _draw_line(right if mark.on_right else axes, mark)
        elif isinstance(mark, Names):
            _write_names(axes, mark)
        elif isinstance(mark, Bars):
            _draw_bars(axes, mark, bars.index(mark), len(bars))
        else:
            _draw_photo(axes, mark)
    if chart.x.labels:
        _write_labels(axes, chart.x)
    if chart.y.labels:
        axes.set_yticks(np.arange(len(chart.y.labels)), chart.y.labels)
    _style_axis(axes, chart.x, "x")
    _style_axis(axes, chart.y, "y")
    if right is not None:
        _style_axis(right, chart.right, "y")
    for each in (axes, right) if right is not None else (axes,):
        for spine in each.spines.values():
            spine.set_visible(False)


def _draw_dots(axes: Axes, dots: Dots, scale: Scale | None) -> None:
    axes.scatter(
        *dots.xy.T,
        s=(dots.size * PX) ** 2,
        c=rgb_of(dots, scale) / 255,
        marker=SYMBOLS[dots.symbol],
        edgecolors=dots.outline or "none",
        linewidths=PX if dots.outline else 0,
        zorder=3,
    )


def _draw_line(axes: Axes, line: Line) -> None:
    axes.margins(x=0.06 if line.marker else 0)
    style = ":" if line.dotted else "-"
    axes.plot(line.x, line.y, style, color=line.colour, lw=line.width * PX, solid_joinstyle="round")
    if line.marker:
        size = (line.marker * PX) ** 2
        axes.scatter(line.x, line.y, s=size, color=line.colour, linewidths=0, zorder=3)


def _write_names(axes: Axes, names: Names) -> None:
    style = dict(fontsize=theme.TICK * PX, color=theme.INK, bbox=LIGHT_GROUND, zorder=5)
    above = dict(textcoords="offset pixels", ha="center", va="bottom")
    for at, text, rise in zip(names.xy, names.texts, names.rise, strict=True):
        axes.annotate(text, at, (0, rise), **above, **style)


def _draw_bars(axes: Axes, bars: Bars, series: int, num_series: int) -> None:
    """Draw one series: bars of all series stand beside each other, with a gap between groups."""
    width = (1 - theme.BAR_GAP) / num_series
    x = np.arange(len(bars.heights)) + (series - (num_series - 1) / 2) * width
    heights = [np.nan if height is None else height for height in bars.heights]
    axes.bar(x, heights, width, color=bars.colour, zorder=2)
    axes.set_xlim(-0.5, max(len(bars.heights), 1) - 0.5)


def _draw_photo(axes: Axes, photo: Photo) -> None:
    height, width = photo.size
    smooth = "nearest" if photo.max_width is None else "antialiased"
    extent = (0, width, height, 0)
    aspect = axes.get_aspect()
    axes.imshow(photo.pixels, extent=extent, interpolation=smooth, aspect=aspect, zorder=0)


def _write_labels(axes: Axes, axis: Axis) -> None:
    tilted = dict(rotation=axis.tilt, ha="right", rotation_mode="anchor") if axis.tilt else {}
    axes.set_xticks(np.arange(len(axis.labels)), axis.labels, **tilted)


def _style_axis(axes: Axes, axis: Axis, which: str) -> None:
    """Set the range, title, ticks and grid of one axis, "x" or "y"."""
    side = axes.xaxis if which == "x" else axes.yaxis
    set_limits = axes.set_xlim if which == "x" else axes.set_ylim
    if axis.log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        side.set_minor_locator(NullLocator())
    if axis.ticks:
        side.set_major_locator(FixedLocator(axis.ticks))
        side.set_major_formatter(StrMethodFormatter("{x:g}"))
    elif not axis.log and not axis.labels:
        side.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))  # as plotly's; not 2.5
    if axis.limits is not None:
        set_limits(*axis.limits)
    elif axis.from_zero:
        set_limits(0, None)
    if not axis.visible:
        side.set_visible(False)
        return
    axes.tick_params(axis=which, length=0, labelsize=theme.TICK * PX, labelcolor=theme.MUTED)
    side.set_label_text(axis.title, color=theme.MUTED, fontsize=theme.AXIS_TITLE * PX)
    if axis.grid:
        axes.grid(axis=which, color=theme.GRID, lw=0.8, zorder=0)
        axes.set_axisbelow(True)
