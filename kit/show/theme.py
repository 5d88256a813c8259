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
MUTED = "#7b8490"  # secondary text, axes
FAINT = "#d5d9df"  # range rings, borders
GRID = "#eceef1"
CORRECT = "#b4bac2"
WRONG = "#d62839"
UNSCORED = "#e3e5e9"
SERIES = ("#3b6fb6", "#e07b39", "#3a9d86", "#8a5fbf", "#c2476b", "#7a8b2f", "#5b6472", "#c9a227")

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
}

FONT = "Inter, 'Source Sans 3', 'Helvetica Neue', Arial, sans-serif"
# Text heights in pixels.
TITLE, SUBTITLE, HEADING, AXIS_TITLE, TICK, LEGEND, SMALL = 19, 13, 15, 13, 12, 12, 11
TITLE_PLACE = (0.016, 0.975)  # fractions of the picture, from its lower left
HEADING_Y = 0.985  # of a panel's name in a 3-D picture, fraction of the plot area
COLOUR_BAR = dict(x=1.012, y=0.5, length=0.8, width=11)  # fractions of the plot area; pixels
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


LIGHT = PageColours((247, 248, 250), (205, 209, 215), (214, 40, 120), (217, 221, 227))
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
    ratio = (np.asarray(values, dtype=np.float64) - low) / (high - low)
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
