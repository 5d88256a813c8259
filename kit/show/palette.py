"""Colours of classes that can be told apart, also with the common colour vision deficiencies."""

from functools import cache

import numpy as np
from jaxtyping import Float

Rgb = tuple[int, int, int]
STEPS = 16  # of each channel, among which colours are searched
LIGHTNESS = (40.0, 93.0)  # CIELAB: visible on dark and on light backgrounds
LARGEST, LEAST = 12.0, 4.0  # CIELAB distance that is tried first, and last

# Linear red, green, blue as seen with a colour vision deficiency.
# Source: Machado, Oliveira, Fernandes, A physiologically-based model for simulation of color vision
# deficiency, 2009, severity 1.0.
SEEN = {
    "usual": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def as_seen(rgb: np.ndarray) -> Float[np.ndarray, "E N 3"]:
    """CIELAB coordinates of (N, 3) colours in 0..255, for each kind of colour vision in `SEEN`."""
    c = np.atleast_2d(rgb) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    seen = []
    for eyes in SEEN.values():
        xyz = (linear @ eyes.T).clip(1e-3, 1) @ _XYZ.T / (_XYZ @ np.ones(3))
        x, y, z = np.cbrt(xyz).T
        seen.append(np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1))
    return np.stack(seen)


def least_distance(colours: tuple[Rgb, ...]) -> float:
    """The smallest CIELAB distance of any two colours, over all kinds of colour vision."""
    seen = as_seen(np.array(colours))
    apart = np.linalg.norm(seen[:, :, None] - seen[:, None], axis=-1).min(0)
    apart[np.diag_indices(len(apart))] = np.inf
    return float(apart.min())


@cache
def distinct_colours(colours: tuple[Rgb, ...]) -> tuple[Rgb, ...]:
    """Change colours as little as needed so that any two of them can be told apart.

    One colour after the other takes the closest one that is far enough from all before it. The
    distance asked for is the largest at which all find a place.

    Args:
        colours: of the classes, red, green, blue in 0..255; the first ones change least.
    """
    if len(colours) < 2:
        return colours
    levels = np.linspace(0, 255, STEPS).round()
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    light = as_seen(grid)[0, :, 0]
    grid = grid[(light >= LIGHTNESS[0]) & (light <= LIGHTNESS[1])]
    seen, wanted = as_seen(grid), as_seen(np.array(colours))[0]
    for least in np.arange(LARGEST, LEAST - 1, -1):
        chosen = _place(seen, wanted, least)
        if chosen is not None:
            return tuple(tuple(int(v) for v in grid[number]) for number in chosen)
    return colours


def _place(seen: np.ndarray, wanted: np.ndarray, least: float) -> list[int] | None:
    """Number of the grid's colour for each wanted one; None if one finds no place."""
    free = np.ones(seen.shape[1], dtype=bool)
    chosen = []
    for colour in wanted:
        if not free.any():
            return None
        off = np.linalg.norm(seen[0] - colour, axis=1)
        number = int(np.where(free, off, np.inf).argmin())
        chosen.append(number)
        free &= (np.linalg.norm(seen - seen[:, number : number + 1], axis=-1) >= least).all(0)
    return chosen
