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

BAR_ROOM = 92  # pixels to the right of the plot area, for the colour bar


@dataclass(frozen=True)
class Scale:
    """Numbers as colours.

    Attributes:
        name: one of `kit.show.theme.SCALES`.
        low, high: numbers at the two ends of the scale.
        label: text beside the colour bar.

    Raises:
        ValueError: an unknown name.
    """

    name: str
    low: float
    high: float
    label: str = ""

    def __post_init__(self):
        theme.scale_colours(self.name)

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
    def colours(self) -> tuple[str, ...]:
        """The colours from the low to the high end, evenly spaced."""
        return theme.scale_colours(self.name)

    def rgb(self, values: np.ndarray) -> UInt8[np.ndarray, "*N 3"]:
        """Interpolate the colours at numbers."""
        return theme.on_scale(values, self.colours, self.low, self.high)


@dataclass(frozen=True)
class Margins:
    """Pixels around the plot area."""

    left: int = 20
    right: int = 20
    top: int = 76
    bottom: int = 20


@dataclass(frozen=True, eq=False)
class Picture:
    """A whole picture.

    Attributes:
        title, subtitle: two lines in the upper left corner.
        height: of the figure, pixels; its width adapts to the page.
        panels: drawn in their places.
        scale: of all marks whose colours are numbers; it gets a colour bar.
        legend: "above" the plot area, "inside" its upper right corner, or "" for none.
    """

    title: str
    subtitle: str
    height: int
    panels: tuple[Scene | Chart, ...]
    scale: Scale | None = None
    legend: str = ""
    margins: Margins = field(default_factory=Margins)

    @property
    def right_margin(self) -> int:
        """Pixels to the right of the plot area, with room for a colour bar."""
        return self.margins.right if self.scale is None else BAR_ROOM


def rgb_of(mark: Cloud | Dots, scale: Scale | None) -> UInt8[np.ndarray, "N 3"]:
    """Red, green, blue of each point of a mark; numbers are looked up on the scale."""
    if isinstance(mark.colour, str):
        count = len(mark.points if isinstance(mark, Cloud) else mark.xy)
        return np.tile(np.array(theme.rgb_of(mark.colour), dtype=np.uint8), (count, 1))
    return scale.rgb(mark.colour) if mark.colour.ndim == 1 else mark.colour


def columns(number: int, gap: Number) -> list[Place]:
    """Places of panels beside each other, `gap` apart."""
    gap = gap if number > 1 else 0.0
    width = (1 - gap * (number - 1)) / number
    lefts = [i * (width + gap) for i in range(number)]
    return [(left, 0.0, min(left + width, 1.0), 1.0) for left in lefts]
