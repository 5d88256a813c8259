"""Colour scales of the explorer, and the colours of its dark and its light background."""

from dataclasses import asdict
from typing import Any

from kit.show import theme

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

# Similar points glow, the others are close to the background.
SCALES = COLOUR_MAPS | {
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
        "#d6dae0",
        "#c9c5dc",
        "#bd9fd0",
        "#b070b6",
        "#9c3f8d",
        "#7a1663",
        "#4a063f",
    ),
}


def _stage(page: theme.PageColours, frustum: tuple[int, int, int]) -> dict[str, Any]:
    return asdict(page) | {"frustum": frustum}


STAGES = {
    "dark": _stage(theme.DARK, (140, 152, 170)),
    "light": _stage(theme.LIGHT, (90, 100, 116)),
}
