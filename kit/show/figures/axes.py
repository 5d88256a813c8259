"""Ranges, ticks and names of points, for charts of curves."""

from collections.abc import Mapping, Sequence

import numpy as np

from kit.show import theme
from kit.show.arrays import Number
from kit.show.chart import Axis, Names
from kit.show.picture import NARROW, text_width

PLOT_HEIGHT = 300  # pixels
BESIDE = 0.08  # between the outer points and the ends of an axis, of the points' range
MAX_TICKS = 7
RISE = 8  # of a name above its point, pixels
ROW = 16  # height of a name, pixels


def axis_around(
    values: Sequence[Number] | np.ndarray, title: str, log: bool = False, above: float = BESIDE
) -> Axis:
    """An axis that begins a little before its points and ends a little behind them.

    Args:
        values: of the points.
        log: logarithmic; its ticks are 1, 2 and 5 times powers of ten, or fewer.
        above: space after the largest value, of the points' range.

    Raises:
        ValueError: a logarithmic axis of values that are not positive.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return Axis(title)
    if log and values.min() <= 0:
        raise ValueError(f"a logarithmic axis needs values above 0, got {values.min():g}")
    low, high = values.min(), values.max()
    if log:
        low, high = np.log10([low, high])
    span = high - low or (0.3 if log else abs(high) or 1.0)
    low, high = float(low - BESIDE * span), float(high + above * span)
    if not log:
        return Axis(title, (low, high))
    limits = 10.0**low, 10.0**high
    return Axis(title, limits, log=True, ticks=log_ticks(*limits))


def log_ticks(low: Number, high: Number) -> tuple[float, ...]:
    """At most 7 ticks between two numbers: 1, 2, 5 times powers of ten, or 1, 3, or 1 alone.

    Where fewer than three of these lie between, steps of 1, 2 or 5 that are equal.
    """
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for leading in ((1, 2, 5), (1, 3), (1,)):
        ticks = [float(f"{lead}e{power}") for power in powers for lead in leading]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= MAX_TICKS:
            break
    if len(ticks) >= 3:
        return tuple(ticks[:: -(-len(ticks) // MAX_TICKS)])
    power = 10.0 ** np.floor(np.log10((high - low) / 3))
    step = next(s for s in (10 * power, 5 * power, 2 * power, power) if high // s - low // s >= 3)
    first = np.ceil(low / step)
    return tuple(float(f"{tick:.12g}") for tick in np.arange(first, high / step) * step)[:MAX_TICKS]


def names_above(
    series: Mapping[str, Mapping[str, Number]], position: Mapping[str, Number], x: Axis, y: Axis
) -> Names:
    """The name of each place, above its highest point; a name that would cover others rises.

    Args:
        series: by name, the value at each named place.
        position: of each place on the x axis.
        x, y: the axes, with limits.
    """
    highest: dict[str, Number] = {}
    points = []  # pixels from the lower left of the plot area
    for values in series.values():
        for place, value in values.items():
            if place in position and np.isfinite(value):
                highest[place] = max(value, highest.get(place, value))
                points.append((_along(x, position[place]), _up(y, value)))
    texts = sorted(highest, key=position.get)
    rises, taken = [], []
    for text in texts:
        left, width = _along(x, position[text]), text_width(text, theme.TICK)
        bottom = _up(y, highest[text]) + RISE
        left -= width / 2
        while any(
            abs(bottom - other) < ROW and left < right and begin < left + width
            for begin, right, other in taken
        ) or any(left < u < left + width and bottom - 4 < v < bottom + ROW for u, v in points):
            bottom += 4
        taken.append((left, left + width, bottom))
        rises.append(bottom - _up(y, highest[text]))
    xy = np.array([(position[text], highest[text]) for text in texts], dtype=np.float64)
    return Names(xy.reshape(-1, 2), tuple(texts), tuple(round(rise) for rise in rises))


def _along(axis: Axis, value: Number) -> float:
    """Pixels from the left of the plot area, in a narrow picture."""
    return _ratio(axis, value) * (NARROW - 112)


def _up(axis: Axis, value: Number) -> float:
    return _ratio(axis, value) * PLOT_HEIGHT


def _ratio(axis: Axis, value: Number) -> float:
    ends = np.array([*axis.limits, value], dtype=np.float64)
    low, high, at = np.log10(ends) if axis.log else ends
    return float((at - low) / (high - low))
