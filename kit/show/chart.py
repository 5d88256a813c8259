"""Marks on two axes as data: the content of a chart or of a picture over an image."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from kit.show.arrays import Number
from kit.show.scene import MAX_SIZE, WHOLE, Place
from kit.store.ranges import check_number


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes:
        title: with the unit.
        limits: numbers at its two ends, the first may be the larger; None: as the marks need.
        labels: names instead of numbers: the marks' coordinates are positions in this list.
        tilt: degrees by which labels are turned.
        log: logarithmic.
        ticks: where numbers stand; none: the renderer chooses.
        from_zero: starts at 0.
        grid: has grid lines.
        visible: False hides everything but the marks.
    """

    title: str = ""
    limits: tuple[Number, Number] | None = None
    labels: tuple[str, ...] = ()
    tilt: Number = 0.0
    log: bool = False
    ticks: tuple[Number, ...] = ()
    from_zero: bool = False
    grid: bool = True
    visible: bool = True


@dataclass(frozen=True, eq=False)
class Dots:
    """Points in a chart.

    Attributes:
        xy: (N, 2) in units of the axes.
        colour: as of `Cloud`.
        size: pixels.
        symbol: "disc" or "triangle".
        outline: colour of the rim, if any.
        hover: text of a point, with {x}, {y} and {colour} as in Python's format strings;
            no text from outside.
        name: for hovering, and in the legend.
        in_legend: the legend lists the points.

    Raises:
        ValueError: a size out of its range.
    """

    xy: Float[np.ndarray, "N 2"]
    colour: np.ndarray | str
    size: Number
    symbol: str = "disc"
    outline: str = ""
    hover: str = ""
    name: str = "points"
    in_legend: bool = False

    def __post_init__(self):
        check_number(self, 0, MAX_SIZE, "size", above=True)


@dataclass(frozen=True, eq=False)
class Names:
    """Text above points, over everything else.

    Attributes:
        xy: (N, 2) in units of the axes.
        texts: one for each point.
        rise: of the text's lower border above the point, pixels, one for each.
    """

    xy: Float[np.ndarray, "N 2"]
    texts: tuple[str, ...]
    rise: tuple[Number, ...]


@dataclass(frozen=True, eq=False)
class Line:
    """A line through points.

    Attributes:
        x, y: (N,) in units of the axes; NaN in y leaves a gap.
        name: in the legend.
        colour, width: "#rrggbb", pixels.
        dotted: drawn as dots.
        marker: size of a disc at each point, pixels; 0: none.
        labels: name of each point, for hovering.
        on_right: belongs to the right-hand y axis.
        in_legend: the legend lists the line.
    """

    x: np.ndarray
    y: np.ndarray
    name: str
    colour: str
    width: Number = 2
    dotted: bool = False
    marker: Number = 0
    labels: tuple[str, ...] = ()
    on_right: bool = False
    in_legend: bool = True


@dataclass(frozen=True, eq=False)
class Bars:
    """One series of bars, beside the bars of the other series.

    Attributes:
        heights: one for each label of the x axis; None: no bar.
        name: in the legend.
        colour: "#rrggbb".
        hover: name when hovering.
        unit: after the number when hovering.
        in_legend: the legend lists the series.
    """

    heights: tuple[Number | None, ...]
    name: str
    colour: str
    hover: str = ""
    unit: str = ""
    in_legend: bool = True


@dataclass(frozen=True, eq=False)
class Photo:
    """Pixels stretched over a part of the axes.

    Attributes:
        pixels: (H, W, 3).
        size: (height, width) in units of the axes; the upper left corner is at (0, 0).
        max_width: pixels; a wider photograph is stored smaller, as JPEG. None: the pixels are
            cells of a map: they are stored exactly and drawn with sharp borders.
    """

    pixels: UInt8[np.ndarray, "H W 3"]
    size: tuple[int, int]
    max_width: int | None = None


@dataclass(frozen=True, eq=False)
class Chart:
    """Marks on two axes.

    Attributes:
        marks: later ones are drawn over earlier ones.
        x, y: the axes.
        right: a second y axis, at the right-hand side.
        equal: one unit is equally long on both axes.
        name: above the panel.
    """

    marks: tuple[Dots | Names | Line | Bars | Photo, ...]
    x: Axis = Axis()
    y: Axis = Axis()
    right: Axis | None = None
    equal: bool = False
    name: str = ""
    place: Place = WHOLE
