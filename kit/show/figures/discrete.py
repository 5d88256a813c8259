"""Colours that are only a few integers: a legend entry for each instead of a colour bar."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from kit.show import theme
from kit.show.arrays import to_numpy

MAX_VALUES = 8


def few_values(colours: Sequence[Tensor | np.ndarray]) -> list[int] | None:
    """Return the distinct values, ascending, of whole numbers that a legend can list.

    Args:
        colours: of several clouds, each (N,) numbers or (N, 3) red, green, blue; N may differ.

    Returns:
        None for numbers with fractions, red, green, blue, or more than 8 values.
    """
    given = [to_numpy(colour) for colour in colours]
    if any(colour.ndim != 1 or colour.dtype.kind not in "iub" for colour in given):
        return None
    values = np.unique(np.concatenate([np.unique(colour).astype(np.int64) for colour in given]))
    return values.tolist() if len(values) <= MAX_VALUES else None


def by_value(
    values: Sequence[int], colour: np.ndarray, index: np.ndarray, scale: str
) -> Iterator[tuple[int, str, np.ndarray]]:
    """Split an index by the value of its points.

    Args:
        values: all values, which share the scale's colours evenly.
        colour: (N,) numbers.
        index: which of them are drawn.
        scale: one of `kit.show.theme.SCALES`.

    Returns:
        For each value that occurs: the value, its colour, the part of the index.
    """
    table = theme.on_scale(np.arange(len(values)), theme.scale_colours(scale), 0, len(values) - 1)
    for value, rgb in zip(values, table, strict=True):
        part = index[colour[index] == value]
        if len(part):
            yield value, theme.hex_of(rgb), part
