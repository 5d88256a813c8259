"""Colours, colour scales and text sizes of all pictures; no drawing library is used here.

The scales can be told apart with the common colour vision deficiencies: viridis for heights and
other numbers, plasma for depth on photographs, blue to red through grey for similarity, never green
against red.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped, UInt8

INK = "#22272e"  # text
MUTED = "#5f6873"  # secondary text, axes; a contrast of 5.6 to white
FAINT = "#d5d9df"  # range rings, borders
GRID = "#eceef1"
LABEL_BACKGROUND, LABEL_OPACITY = "rgba(255,255,255,0.8)", 0.8  # behind text over points
CORRECT = "#b4bac2"
WRONG = "#d62839"
UNSCORED = "#e3e5e9"
# Any two can be told apart with the common colour vision deficiencies; the first four are Okabe and
# Ito's.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#332288", "#5b6472", "#4a3a00", "#22272e")

VIRIDIS = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#e6d11f")
PLASMA = ("#f0e425", "#fdb42f", "#ed7953", "#cc4778", "#9c179e", "#5c01a6", "#0d0887")
BLUE_RED = ("#2446a8", "#5f86d8", "#aab9d8", "#c9c6c4", "#e3a488", "#d75f4c", "#a50f22")

# What numbers can mean: the colours of their scale, and the text beside the colour bar.
SCALES = {
    "value": (VIRIDIS, ""),
    "height": (VIRIDIS, "height z (m)"),
    "depth": (PLASMA, "depth (m)"),
    "intensity": (VIRIDIS, "intensity"),
    "similarity": (BLUE_RED, "cosine"),
    "score": (BLUE_RED, "score"),
}

DIVERGING = ("similarity", "score")  # from negative to positive numbers

FONT = "Inter, 'Source Sans 3', 'Helvetica Neue', Arial, sans-serif"
# Text heights in pixels.
TITLE, SUBTITLE, HEADING, AXIS_TITLE, TICK, LEGEND, SMALL = 19, 13, 15, 13, 12, 12, 11
LEFT, TOP = 14, 12  # of the title: pixels from the border of the picture
HEADING_GAP = 4  # between a panel and its name, pixels
LETTER = 0.58  # width of a letter, of the text height; on average, and rather too much
# Right of the plot area: place and length in fractions of it, gap and width in pixels.
COLOUR_BAR = dict(y=0.5, length=0.9, gap=11, width=11)
LEGEND_ROW = 20  # height of an entry, pixels
LEGEND_SIGN = 38  # width of an entry's sign with the space around it, pixels
BAR_GAP = 0.22  # between the groups of a bar chart, fraction of a group's place


@dataclass(frozen=True)
class PageColours:
    """Colours of the explorer's page, red, green, blue in 0..255.

    Attributes:
        background: behind the points.
        no_value: of points that have no value in the current mode.
        accent: the rim of selected points.
        divider: the line between panels.
    """

    background: tuple[int, int, int]
    no_value: tuple[int, int, int]
    accent: tuple[int, int, int]
    divider: tuple[int, int, int]


LIGHT = PageColours((236, 239, 243), (193, 198, 206), (214, 40, 120), (217, 221, 227))
DARK = PageColours((17, 20, 25), (62, 68, 77), (255, 92, 170), (43, 49, 58))


def scale_colours(name: str) -> tuple[str, ...]:
    """Look up the colours of a scale, from its low to its high end, evenly spaced.

    Raises:
        ValueError: no scale has this name; lists the names.
    """
    if name not in SCALES:
        raise ValueError(f"no colour scale is called {name!r}; there are {', '.join(SCALES)}")
    return SCALES[name][0]


def on_scale(
    values: Shaped[np.ndarray, "*N"], colours: tuple[str, ...], low: float | int, high: float | int
) -> UInt8[np.ndarray, "*N 3"]:
    """Interpolate evenly spaced colours at numbers; `low` and `high` are the two ends."""
    ratio = (np.asarray(values, dtype=np.float64) - low) / ((high - low) or 1)
    stops = np.linspace(0, 1, len(colours))
    table = np.array([rgb_of(colour) for colour in colours], dtype=np.float64)  # (P, 3)
    mixed = [np.interp(ratio, stops, table[:, channel]) for channel in range(3)]
    return np.stack(mixed, axis=-1).round().astype(np.uint8)


def rgb_of(colour: str) -> tuple[int, int, int]:
    """Read "#rrggbb" as (red, green, blue) in 0..255."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def hex_of(rgb: Iterable) -> str:
    """Write (red, green, blue) in 0..255 as "#rrggbb"."""
    red, green, blue = (int(value) for value in rgb)
    return f"#{red:02x}{green:02x}{blue:02x}"
