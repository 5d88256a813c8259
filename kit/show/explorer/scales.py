"""Colour scales of the explorer, and the colours of its dark and its light background."""

from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float

from kit.show import theme

# The part of a colour map that can be seen on each background.
VISIBLE = {"dark": (0.18, 1.0), "light": (0.0, 0.88)}

# For numbers; all can be read with the common colour vision deficiencies.
COLOUR_MAPS = {
    "viridis": theme.VIRIDIS,
    "cividis": (
        "#00224e",
        "#1f3b6e",
        "#4a546d",
        "#6c6f73",
        "#8f8b76",
        "#b5a86f",
        "#dcc75e",
        "#fee838",
    ),
    "inferno": (
        "#160b39",
        "#420a68",
        "#6a176e",
        "#932667",
        "#bc3754",
        "#dd513a",
        "#f37819",
        "#fca50a",
        "#f6d746",
    ),
    "mako": (
        "#221425",
        "#35264c",
        "#403f7b",
        "#366fa0",
        "#3792a8",
        "#49bfad",
        "#9adcb6",
        "#def5e5",
    ),
    "grey": ("#2c2f36", "#5d626b", "#9399a3", "#c5cad1", "#f4f6f8"),
}


def visible_part(stops: tuple[str, ...], page: str) -> tuple[str, ...]:
    """A colour map without its end that is close to the background, "dark" or "light"."""
    ratios = np.linspace(*VISIBLE[page], len(stops))
    return tuple(theme.hex_of(rgb) for rgb in theme.on_scale(ratios, stops, 0, 1))


# Similar points glow, the others are close to the background.
SCALES = {
    f"{name} {page}": visible_part(stops, page)
    for name, stops in COLOUR_MAPS.items()
    for page in VISIBLE
} | {
    "similarity dark": (
        "#2b323f",
        "#39406a",
        "#63409a",
        "#a83f93",
        "#e4576a",
        "#fb8d4b",
        "#fdc95c",
        "#fdf6b0",
    ),
    "similarity light": (
        "#c6cbd3",
        "#bfb8d6",
        "#bd9fd0",
        "#b070b6",
        "#9c3f8d",
        "#7a1663",
        "#4a063f",
    ),
}


def similarity_limits(scores: Float[np.ndarray, " N"]) -> tuple[float, float]:
    """The range of a similarity: from the median, which is dim, to all but two in a thousand."""
    if not len(scores):
        return 0.0, 1.0
    low, high = np.percentile(scores, [50, 99.8])
    return float(low), float(max(high, low + 0.02))


def _stage(page: theme.PageColours, **others: tuple[int, int, int]) -> dict[str, Any]:
    return asdict(page) | others


# Correct points are close to the background, so that the wrong ones can be seen.
STAGES = {
    "dark": _stage(theme.DARK, frustum=(140, 152, 170), correct=(84, 96, 112), wrong=(255, 82, 96)),
    "light": _stage(
        theme.LIGHT, frustum=(90, 100, 116), correct=(166, 173, 183), wrong=(214, 40, 57)
    ),
}
