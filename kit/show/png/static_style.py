"""What a plotly figure says about numbers, colours and settings, for drawing it without plotly."""

import base64
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import UInt8
from matplotlib.colors import to_rgb

from kit.show.arrays import Number

PX = 0.72  # points of type per pixel, at 100 pixels an inch
DPI = 100


def array_of(values: Any) -> np.ndarray:
    """Read numbers as a figure holds them: an array, a list, or text from a saved figure."""
    if isinstance(values, dict):
        raw = np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
        shape = str(values.get("shape", raw.size)).split(",")
        return raw.reshape([int(length) for length in shape])
    return np.asarray(values)


def setting(layout: go.Layout, path: str, default: Any = None) -> Any:
    """Look up a setting such as "title.font.size" in the layout, then in its template."""
    for start in (layout, layout.template.layout):
        value = start
        for name in path.split("."):
            value = value[name] if value is not None and name in value else None
        if value is not None:
            return value
    return default


def rgb_of(marker: Any, layout: go.Layout, count: int) -> UInt8[np.ndarray, "N 3"]:
    """Return the colour of each of `count` markers as plotly would show it.

    Raises:
        ValueError: a colour that is neither a name, nor "#rrggbb", nor numbers on a scale.
    """
    colour = marker.color
    if isinstance(colour, str) or colour is None:
        return np.tile(_rgb(colour or "black"), (count, 1))
    axis = layout[marker.coloraxis] if marker.coloraxis else marker
    return on_scale(array_of(colour), axis.colorscale, axis.cmin, axis.cmax)


def on_scale(
    values: np.ndarray, scale: Any, low: Number, high: Number
) -> UInt8[np.ndarray, "*N 3"]:
    """Interpolate a plotly colour scale, between `low` and `high`, at the values."""
    stops = np.array([stop for stop, _ in scale], dtype=np.float64)
    colours = np.array([_rgb(colour) for _, colour in scale], dtype=np.float64)  # (P, 3)
    share = (values.astype(np.float64) - low) / (high - low)
    mixed = [np.interp(share, stops, colours[:, channel]) for channel in range(3)]
    return np.stack(mixed, axis=-1).round().astype(np.uint8)


def _rgb(colour: str) -> np.ndarray:
    return (np.array(to_rgb(colour)) * 255).round().astype(np.uint8)
