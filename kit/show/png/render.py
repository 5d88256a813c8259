"""A `Picture` as a PNG, for places that show no widgets: README, CI, a report.

Clouds are drawn with numpy; titles, axes, legend and colour bar with matplotlib. No browser is
needed.
"""

import io
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kit.show import theme
from kit.show.arrays import Number
from kit.show.chart import Bars, Line
from kit.show.figures.render import picture_of
from kit.show.picture import Picture, Scale
from kit.show.png.render_chart import DPI, LIGHT_GROUND, PX, draw_chart
from kit.show.png.render_scene import draw_scene
from kit.show.scene import Place, Scene
from kit.show.text import for_matplotlib, map_texts
from kit.store import files as store


def save_png(figure: go.Figure, path: str | Path, width: int = 1200, height: int = 700) -> Path:
    """Write a figure of kit.show as a PNG of this many pixels; returns the path.

    The picture is drawn from the figure's description, with the first viewpoint. What was changed
    in the plotly figure afterwards is not in the PNG; a warning says so.

    Args:
        figure: any figure kit.show returns: 3-D scenes, points, lines, bars, images.
        path: of the file; folders above it are made.
        width, height: pixels.

    Raises:
        ValueError: a figure that kit.show did not make, or a size below 100 pixels.
        OSError: the file cannot be written.
    """
    store.write_bytes(path, to_png(figure, width, height))
    return Path(path)


def to_png(figure: go.Figure, width: int = 1200, height: int = 700) -> bytes:
    """Draw a figure of kit.show; arguments and errors as in `save_png`."""
    if min(width, height) < 100:
        raise ValueError(f"a picture needs at least 100 x 100 pixels, got {width} x {height}")
    return draw_picture(picture_of(figure), width, height)


def draw_picture(picture: Picture, width: int, height: int) -> bytes:
    """Draw a description as the bytes of a PNG file."""
    data = io.BytesIO()
    with rc_context({"text.parse_math": False}):  # $ means itself
        page = _Page(map_texts(picture, for_matplotlib), width, height)
        page.draw()
        page.canvas.print_png(data, metadata={"Software": None})
    return data.getvalue()


class _Page:
    """A matplotlib figure of fixed pixels; panels have places in its plot area."""

    def __init__(self, picture: Picture, width: int, height: int):
        self.picture = picture
        self.size = np.array([width, height], dtype=np.float64)
        self.page = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
        self.canvas = FigureCanvasAgg(self.page)
        margins = picture.margins
        self.low = np.array([margins.left, margins.bottom])  # pixels from the lower left
        span = self.size - self.low - [picture.right_margin, picture.top_margin]
        self.span = np.maximum(span, 20)  # pixels; texts may be cut off in a small picture

    def at(self, x: Number, y: Number) -> np.ndarray:
        """Figure fractions of the point (x, y) of the plot area."""
        return (self.low + self.span * [x, y]) / self.size

    def draw(self) -> None:
        """Draw all panels with their headings, and the titles."""
        for panel in self.picture.panels:
            if isinstance(panel, Scene):
                self._draw_scene(panel)
            else:
                draw_chart(self._add_axes(panel.place), panel, self.picture.scale)
            self._write_heading(panel.name, panel.place)
        self._write_titles()
        if self.picture.scale is not None:
            self._draw_bar(self.picture.scale)
        self._draw_legend()

    def _add_axes(self, place: Place) -> Axes:
        low, high = self.at(*place[:2]), self.at(*place[2:])
        return self.page.add_axes((*low, *(high - low)))

    def _write(self, x: Number, y: Number, text: str, pixels: Number, **options) -> None:
        """Write text at figure fractions, its height in pixels."""
        options = dict(color=theme.INK) | options
        self.page.text(x, y, text, fontsize=pixels * PX, **options)

    def _draw_scene(self, scene: Scene) -> None:
        left, low = np.round(self.at(*scene.place[:2]) * self.size)
        right, high = np.round(self.at(*scene.place[2:]) * self.size)
        width, height = int(right - left), int(high - low)
        pixels, labels = draw_scene(scene, (height, width), self.picture.scale)
        place = np.array([left, low, width, height]) / np.tile(self.size, 2)
        axes = self.page.add_axes(place, frameon=False)
        axes.imshow(pixels, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        for label in labels:
            u, v = label.uv
            if 0 <= u < width and 0 <= v < height:
                x, y = (left + u) / self.size[0], (high - v) / self.size[1]
                middle = dict(ha="center", va="center", color=theme.MUTED, bbox=LIGHT_GROUND)
                self._write(x, y, label.text, theme.SMALL, **middle)

    def _write_heading(self, name: str, place: Place) -> None:
        """Write the name of a panel above its place."""
        left, _, right, high = place
        x, y = self.at((left + right) / 2, high) + [0, theme.HEADING_GAP / self.size[1]]
        self._write(x, y, name, theme.HEADING, ha="center", va="bottom")

    def _write_titles(self) -> None:
        x, y = theme.LEFT / self.size[0], 1 - theme.TOP / self.size[1]
        if self.picture.title:
            self._write(x, y, self.picture.title, theme.TITLE, va="top")
            y -= 1.9 * theme.TITLE / self.size[1]
        muted = dict(va="top", color=theme.MUTED)
        self._write(x, y, self.picture.subtitle, theme.SUBTITLE, **muted)

    def _draw_bar(self, scale: Scale) -> None:
        """A slim colour bar right of the plot area."""
        bar = theme.COLOUR_BAR
        x, y = self.at(1, bar["y"]) + [bar["gap"] / self.size[0], 0]
        length = bar["length"] * self.span[1] / self.size[1]
        axes = self.page.add_axes((x, y - length / 2, bar["width"] / self.size[0], length))
        ramp = scale.rgb(np.linspace(scale.low, scale.high, 256))
        extent = (0, 1, scale.low, scale.high)
        axes.imshow(ramp[:, None], extent=extent, origin="lower", aspect="auto")
        axes.set_xticks([])
        axes.yaxis.tick_right()
        axes.tick_params(length=0, pad=3, labelsize=theme.SMALL * PX, labelcolor=theme.MUTED)
        axes.yaxis.set_label_position("right")
        if scale.zero is not None:
            axes.axhline(0, color=theme.INK, lw=2 * PX)
        upwards = dict(rotation=270, va="bottom", color=theme.INK)
        axes.set_ylabel(scale.label, fontsize=theme.AXIS_TITLE * PX, **upwards)
        for spine in axes.spines.values():
            spine.set_visible(False)

    def _draw_legend(self) -> None:
        if not self.picture.legend:
            return
        entries = _legend_entries(self.picture)
        above = self.picture.legend == "above"
        box = self.page.legend(
            list(entries.values()),
            list(entries),
            loc="lower left" if above else "upper left",
            bbox_to_anchor=tuple(self.at(0, 1) if above else self.at(1.005, 1)),
            ncols=-(-len(entries) // self.picture.legend_rows(self.span[0])) if above else 1,
            title=self.picture.legend_title or None,
            title_fontsize=theme.LEGEND * PX,
            alignment="left",
            frameon=False,
            borderaxespad=0,
            prop=dict(size=theme.LEGEND * PX),
            labelcolor=theme.INK,
        )
        box.set_zorder(10)


def _legend_entries(picture: Picture) -> dict[str, Line2D]:
    """Legend entries by name: a line for lines, a square for bars, a dot for points."""
    entries: dict[str, Line2D] = {}
    for panel in picture.panels:
        for mark in panel.marks:
            if not getattr(mark, "in_legend", False):
                continue
            if isinstance(mark, Line):
                style = ":" if mark.dotted else "-"
                sign = Line2D([], [], ls=style, color=mark.colour, lw=mark.width * PX)
            elif isinstance(mark, Bars):
                sign = Line2D([], [], ls="", marker="s", ms=8, color=mark.colour)
            else:
                sign = Line2D([], [], ls="", marker="o", ms=7, color=mark.colour, mec="none")
            entries.setdefault(mark.name, sign)
    return entries
