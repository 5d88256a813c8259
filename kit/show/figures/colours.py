"""Colours of points as plotly markers: numbers on one axis, red, green, blue as palette entries."""

from collections.abc import Iterable

import numpy as np

from kit.show import arrays, theme
from kit.show.arrays import Number


class Markers:
    """The markers of all marks of one figure.

    Numbers lie on the figure's first colour axis. Red, green, blue (uint8) become indices into one
    palette on the second axis, so equal colours are drawn equal in every cloud of the figure.

    Attributes:
        layout: the palette as a part of plotly's layout.
    """

    def __init__(self, colours: Iterable[np.ndarray]):
        rgb = [colour for colour in colours if colour.ndim == 2]
        self.layout: dict = {}
        self._entries: dict[int, np.ndarray] = {}
        if not rgb:
            return
        index, table = arrays.palette(np.concatenate(rgb))
        parts = np.split(index, np.cumsum([len(colour) for colour in rgb])[:-1])
        self._entries = {id(colour): part for colour, part in zip(rgb, parts, strict=True)}
        last = max(len(table) - 1, 1)
        stops = [[i / last, theme.hex_of(colour)] for i, colour in enumerate(table)]
        stops = stops if len(stops) > 1 else [stops[0], [1.0, stops[0][1]]]
        axis = dict(colorscale=stops, cmin=0, cmax=last, showscale=False)
        self.layout = dict(coloraxis2=axis)

    def marker(self, colour: np.ndarray | str, size: Number) -> dict:
        """The plotly marker of a mark whose colours the constructor was given, or of one colour."""
        if isinstance(colour, str):
            return dict(size=size, color=colour)
        if colour.ndim == 1:
            return dict(size=size, color=colour, coloraxis="coloraxis")
        return dict(size=size, color=self._entries[id(colour)], coloraxis="coloraxis2")
