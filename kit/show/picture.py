"""A whole picture as data: panels beside each other, titles, a colour scale, a legend.

The functions of `kit.show` build a `Picture`, and two renderers draw it: `kit.show.figures.render`
as a plotly figure, `kit.show.png.render` as pixels. Sizes are in pixels; colours are "#rrggbb" or
red, green, blue in 0..255.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from kit.show import theme
from kit.show.arrays import Number, robust_limits
from kit.show.chart import Chart, Dots
from kit.show.scene import Cloud, Place, Scene
from kit.store.ranges import check_number

PAGE_WIDTH = 900  # pixels; heights are chosen for a picture of this width
NARROW = 660  # pixels; texts fit into a picture of this width
BAR_ROOM = 92  # pixels to the right of the plot area, for the colour bar
MAX_NUMBER = 1e37  # of a scale: its ends are float32, and so is their difference
MAX_TEXT = 260.0  # pixels of width that are kept for a text
TITLE_ROOM, SUBTITLE_ROOM, HEADING_ROOM = 28, 22, 28  # height of each, pixels


DIVERGING_STOPS = 65  # colours of a diverging scale whose sides differ in length


@dataclass(frozen=True)
class Scale:
    """Numbers as colours.

    Attributes:
        name: one of `kit.show.theme.SCALES`.
        low, high: numbers at the two ends of the scale.
        label: text beside the colour bar.

    Raises:
        ValueError: an unknown name, or limits that are not finite.
    """

    name: str
    low: float
    high: float
    label: str = ""

    def __post_init__(self):
        theme.scale_colours(self.name)
        check_number(self, -MAX_NUMBER, MAX_NUMBER, "low", "high")

    @classmethod
    def of(
        cls,
        colours: Sequence[np.ndarray],
        name: str,
        limits: tuple[Number, Number] | None = None,
        label: str | None = None,
        percent: Number = 1.0,
    ) -> "Scale | None":
        """Fit a scale to all colours that are numbers; None if there are none.

        Args:
            colours: of each mark, (N,) numbers or (N, 3) red, green, blue.
            limits: numbers at the two ends; without, percentiles of all numbers.
            label: beside the colour bar; without, the scale's own.
            percent: of the numbers beyond either limit.
        """
        numbers = [colour for colour in colours if colour.ndim == 1]
        if not numbers:
            return None
        low, high = limits or robust_limits(np.concatenate(numbers), percent)
        own_label = theme.SCALES[name][1] if name in theme.SCALES else ""
        return cls(name, float(low), float(high), own_label if label is None else label)

    @property
    def zero(self) -> float | None:
        """The place of 0 on a diverging scale, from 0 at its low end to 1; None if it has no 0."""
        if self.name not in theme.DIVERGING or not self.low < 0 < self.high:
            return None
        return self.low / (self.low - self.high)

    @property
    def colours(self) -> tuple[str, ...]:
        """The colours from the low to the high end, evenly spaced.

        On a diverging scale with numbers of both signs, 0 has the grey of the middle, and each side
        reaches its darkest colour.
        """
        colours = theme.scale_colours(self.name)
        if self.zero is None:
            return colours
        numbers = np.linspace(self.low, self.high, DIVERGING_STOPS)
        signed = np.where(numbers < 0, numbers / -self.low, numbers / self.high)
        return tuple(theme.hex_of(rgb) for rgb in theme.on_scale(signed, colours, -1, 1))

    def rgb(self, values: np.ndarray) -> UInt8[np.ndarray, "*N 3"]:
        """Interpolate the colours at numbers."""
        return theme.on_scale(values, self.colours, self.low, self.high)


@dataclass(frozen=True)
class Margins:
    """Pixels around the plot area, without those for title, legend and colour bar."""

    left: int = 20
    right: int = 20
    bottom: int = 20


@dataclass(frozen=True, eq=False)
class Picture:
    """A whole picture.

    Attributes:
        title, subtitle: two lines in the upper left corner.
        plot_height: of the plot area, pixels; its width adapts to the page.
        panels: drawn in their places; a panel's name stands above it.
        scale: of all marks whose colours are numbers; it gets a colour bar.
        legend: "above" the plot area, "beside" it, or "" for none.
        legend_title: above the entries of a legend beside the plot area.
    """

    title: str
    subtitle: str
    plot_height: int
    panels: tuple[Scene | Chart, ...]
    scale: Scale | None = None
    legend: str = ""
    legend_title: str = ""
    margins: Margins = field(default_factory=Margins)

    @property
    def height(self) -> int:
        """The height of the figure, pixels."""
        return self.top_margin + self.plot_height + self.margins.bottom

    @property
    def right_margin(self) -> int:
        """Pixels to the right of the plot area, with room for a colour bar or a legend."""
        if self.legend == "beside":
            texts = [text_width(name, theme.LEGEND) for name in self.legend_names()]
            title = text_width(self.legend_title, theme.LEGEND) + 16
            return max(theme.LEGEND_SIGN + round(max(texts, default=0)), round(title))
        return self.margins.right if self.scale is None else BAR_ROOM

    @property
    def top_margin(self) -> int:
        """Pixels above the plot area: title, subtitle, legend, names of panels."""
        named = any(panel.name and panel.place[3] == 1 for panel in self.panels)
        rows = self.legend_rows() if self.legend == "above" else 0
        room = TITLE_ROOM * bool(self.title) + SUBTITLE_ROOM * bool(self.subtitle)
        return theme.TOP + room + theme.LEGEND_ROW * rows + HEADING_ROOM * named + 4

    def legend_names(self) -> list[str]:
        """The entries of the legend, each once."""
        marks = [mark for panel in self.panels for mark in panel.marks]
        return list(dict.fromkeys(mark.name for mark in marks if getattr(mark, "in_legend", False)))

    def legend_rows(self, width: Number = NARROW - 92) -> int:
        """Rows of a legend above a plot area of this width in pixels."""
        widths = [theme.LEGEND_SIGN + text_width(n, theme.LEGEND) for n in self.legend_names()]
        in_row = max(int(width // max(widths)), 1)  # plotly makes all entries equally wide
        return -(-len(widths) // in_row)


def rgb_of(mark: Cloud | Dots, scale: Scale | None) -> UInt8[np.ndarray, "N 3"]:
    """Red, green, blue of each point of a mark; numbers are looked up on the scale."""
    if isinstance(mark.colour, str):
        count = len(mark.points if isinstance(mark, Cloud) else mark.xy)
        return np.tile(np.array(theme.rgb_of(mark.colour), dtype=np.uint8), (count, 1))
    return scale.rgb(mark.colour) if mark.colour.ndim == 1 else mark.colour


def text_width(text: str, pixels: Number) -> float:
    """Estimate the width of a text in pixels from the height of its letters; an upper bound.

    At most `MAX_TEXT`: longer texts are cut off, so that the plot area keeps its room.
    """
    return min(theme.LETTER * pixels * len(text), MAX_TEXT)


def panel_width(columns: int, gap: Number, room: Number) -> float:
    """Pixels of a panel's width on a usual page.

    Args:
        columns: panels beside each other.
        gap: between them, fraction of the plot area.
        room: pixels left and right of the plot area.
    """
    return (PAGE_WIDTH - room) * (1 - gap * (columns - 1)) / columns


def in_rows(
    number: int, columns: int, gap: Number, heights: Sequence[Number], row_gap: Number
) -> tuple[list[Place], int]:
    """Places of panels in rows, and the height of the plot area in pixels.

    Args:
        number: of panels.
        columns: panels in a row.
        gap: between panels of a row, fraction of the plot area.
        heights: of each row, pixels.
        row_gap: between two rows, pixels.
    """
    total = sum(heights) + row_gap * (len(heights) - 1)
    width = (1 - gap * (columns - 1)) / columns
    places = []
    for i in range(number):
        row, column = divmod(i, columns)
        top = 1 - (sum(heights[:row]) + row_gap * row) / total
        low = max(top - heights[row] / total, 0.0) if row < len(heights) - 1 else 0.0
        left = column * (width + gap)
        places.append((left, low, min(left + width, 1.0), top))
    return places, round(total)
