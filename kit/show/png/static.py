"""A plotly figure of the kit as a PNG, for places that show no widgets: README, CI, a report.

The same traces, cameras and colours are drawn with numpy and matplotlib; no browser is needed.
"""

import io
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kit.show.arrays import Number
from kit.show.png.static_axes import DASHES, draw_trace, dress_axis
from kit.show.png.static_scene import draw_scene
from kit.show.png.static_style import DPI, PX, on_scale, setting


def save_png(figure: go.Figure, path: str | Path, width: int = 1200, height: int = 700) -> Path:
    """Write a figure of kit.show as a PNG of this many pixels; returns the path.

    Args:
        figure: any figure kit.show returns: 3-D scenes, points, lines, bars, images.
        path: of the file; folders above it are made.
        width, height: pixels.

    Raises:
        ValueError: a type of trace the kit does not make, or a size below 100 pixels.
        OSError: the file cannot be written.
    """
    from kit.store import files as store

    store.write_bytes(path, to_png(figure, width, height))
    return Path(path)


def to_png(figure: go.Figure, width: int = 1200, height: int = 700) -> bytes:
    """Draw a figure of kit.show; arguments and errors as in `save_png`."""
    if min(width, height) < 100:
        raise ValueError(f"a picture needs at least 100 x 100 pixels, got {width} x {height}")
    page = _Page(figure, width, height)
    page.draw()
    data = io.BytesIO()
    page.canvas.print_png(data, metadata={"Software": None})
    return data.getvalue()


class _Page:
    """A matplotlib figure of fixed pixels, addressed in plotly's plot-area coordinates."""

    def __init__(self, figure: go.Figure, width: int, height: int):
        self.figure, self.layout = figure, figure.layout
        self.size = np.array([width, height], dtype=np.float64)
        self.page = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
        self.canvas = FigureCanvasAgg(self.page)
        margin = {side: setting(self.layout, f"margin.{side}", 40) for side in "lrtb"}
        self.low = np.array([margin["l"], margin["b"]])  # pixels from the lower left
        self.span = self.size - self.low - np.array([margin["r"], margin["t"]])
        self.ink = setting(self.layout, "font.color", "black")

    def at(self, x: Number, y: Number) -> np.ndarray:
        """Figure fractions of the point (x, y) of the plot area."""
        return (self.low + self.span * np.array([x, y])) / self.size

    def draw(self) -> None:
        for name in sorted({trace.scene or "scene" for trace in self._traces("scatter3d")}):
            self._draw_scene(name)
        self._draw_axes()
        self._write_titles()
        if setting(self.layout, "coloraxis.colorbar.len") is not None:
            self._draw_bar(self.layout.coloraxis)
        self._draw_legend()

    def write(self, x: Number, y: Number, text: str, px: Number, colour: str | None = None, **how):
        """Write text at figure fractions, its height in pixels."""
        how = dict(fontsize=px * PX, color=colour or self.ink) | how
        self.page.text(x, y, text, **how)

    def _traces(self, kind: str) -> list:
        return [trace for trace in self.figure.data if trace.type == kind]

    def _draw_scene(self, name: str) -> None:
        (x_low, x_high), (y_low, y_high) = (self.layout[name].domain[a] or (0, 1) for a in "xy")
        left, low = np.round(self.at(x_low, y_low) * self.size)
        right, top = np.round(self.at(x_high, y_high) * self.size)
        width, height = int(right - left), int(top - low)
        picture, words = draw_scene(self.figure, name, (height, width))
        place = np.array([left, low, width, height]) / np.tile(self.size, 2)
        axes = self.page.add_axes(place, frameon=False)
        axes.imshow(picture, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        for word in words:
            u, v = word.uv
            if 0 <= u < width and 0 <= v < height:
                x, y = (left + u) / self.size[0], (top - v) / self.size[1]
                how = dict(ha="center", va="center")
                self.write(x, y, word.text, word.size, word.colour, **how)

    def _draw_axes(self) -> None:
        made: dict[tuple[str, str], Axes] = {}
        for trace in self.figure.data:
            if trace.type == "scatter3d" or trace.visible in (False, "legendonly"):
                continue
            pair = ("x", "y")
            if "xaxis" in trace:
                pair = (trace.xaxis or "x", trace.yaxis or "y")
            if pair not in made:
                made[pair] = self._make_axes(*pair, made)
            draw_trace(made[pair], trace, self.figure)
        for (x, y), axes in made.items():
            for spine in axes.spines.values():
                spine.set_visible(False)
            dress_axis(axes, self.figure, "y", y.replace("y", "yaxis"))
            if not self._is_twin(y):
                dress_axis(axes, self.figure, "x", x.replace("x", "xaxis"))

    def _is_twin(self, y: str) -> bool:
        return self.layout[y.replace("y", "yaxis")].overlaying is not None

    def _make_axes(self, x: str, y: str, made: dict[tuple[str, str], Axes]) -> Axes:
        if self._is_twin(y):
            return made[x, self.layout[y.replace("y", "yaxis")].overlaying].twinx()
        x_axis, y_axis = self.layout[x.replace("x", "xaxis")], self.layout[y.replace("y", "yaxis")]
        x_domain, y_domain = x_axis.domain or (0, 1), y_axis.domain or (0, 1)
        low, high = self.at(x_domain[0], y_domain[0]), self.at(x_domain[1], y_domain[1])
        axes = self.page.add_axes([*low, *(high - low)])
        if y_axis.scaleanchor:
            axes.set_aspect("equal", adjustable="box", anchor="C")
        return axes

    def _write_titles(self) -> None:
        layout, height = self.layout, self.size[1]
        x = setting(layout, "title.x", 0.016)
        y = setting(layout, "title.y", 0.975)
        size = setting(layout, "title.font.size", 19)
        if layout.title.text:
            self.write(x, y, layout.title.text, size, va="top")
            y -= 1.9 * size / height
        quiet = setting(layout, "title.subtitle.font.color")
        subtitle = layout.title.subtitle.text or ""
        self.write(x, y, subtitle, setting(layout, "title.subtitle.font.size", 13), quiet, va="top")
        for note in layout.annotations:
            place = dict(ha=note.xanchor or "center", va=note.yanchor or "center")
            self.write(*self.at(note.x, note.y), note.text, note.font.size or 13, **place)

    def _draw_bar(self, axis: go.layout.Coloraxis) -> None:
        bar = axis.colorbar
        x, y = self.at(bar.x, 0.5)
        length = bar.len * self.span[1] / self.size[1]
        place = [x, y - length / 2, bar.thickness / self.size[0], length]
        axes = self.page.add_axes(place)
        ramp = on_scale(
            np.linspace(axis.cmin, axis.cmax, 256), axis.colorscale, axis.cmin, axis.cmax
        )
        extent = (0, 1, axis.cmin, axis.cmax)
        axes.imshow(ramp[:, None], extent=extent, origin="lower", aspect="auto")
        axes.set_xticks([])
        axes.yaxis.tick_right()
        font = dict(labelsize=(bar.tickfont.size or 11) * PX, labelcolor=bar.tickfont.color)
        axes.tick_params(length=0, pad=3, **font)
        axes.yaxis.set_label_position("right")
        axes.set_ylabel(
            bar.title.text or "", fontsize=13 * PX, color=self.ink, rotation=270, va="bottom"
        )
        for spine in axes.spines.values():
            spine.set_visible(False)

    def _draw_legend(self) -> None:
        named = [t for t in self.figure.data if t.name and t.showlegend is not False]
        if not named or self.layout.showlegend is False:
            return
        if len(named) == 1 and not (named[0].showlegend or self.layout.showlegend):
            return
        legend = self.layout.legend
        vertical = {"top": "upper", "bottom": "lower", "middle": "center"}[legend.yanchor or "top"]
        beside = legend.orientation == "h"
        box = self.page.legend(
            [_handle(trace) for trace in named],
            [trace.name for trace in named],
            loc=f"{vertical} {legend.xanchor or 'left'}",
            bbox_to_anchor=tuple(self.at(legend.x, legend.y)),
            ncols=len(named) if beside else 1,
            frameon=not beside,
            framealpha=0.8,
            edgecolor="none",
            borderaxespad=0,
            prop=dict(size=12 * PX),
            labelcolor=self.ink,
        )
        box.set_zorder(10)


def _handle(trace) -> Line2D:
    """The sign for a trace in the legend: a line, a square for bars, a dot for points."""
    if trace.type == "bar":
        return Line2D([], [], ls="", marker="s", ms=8, color=trace.marker.color)
    if "lines" in (trace.mode or "lines"):
        style = DASHES.get(trace.line.dash, "-")
        return Line2D([], [], ls=style, color=trace.line.color, lw=(trace.line.width or 2) * PX)
    colour = trace.marker.color if isinstance(trace.marker.color, str) else "grey"
    return Line2D([], [], ls="", marker="o", ms=7, color=colour, mec="none")
