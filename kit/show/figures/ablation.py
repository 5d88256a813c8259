"""The table of an ablation as a figure: every run as a dot, and the differences to the base run.

The function returns a `plotly.graph_objects.Figure`.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import plotly.graph_objects as go

from kit.show import theme
from kit.show.chart import Axis, Chart, Dots, Line
from kit.show.figures.render import figure_of
from kit.show.picture import Margins, Picture, text_width

ROW = 30  # height of a combination, pixels
GAP = 0.05  # between the two panels, fraction of the plot area
BESIDE = 0.06  # between the outer marks and the ends of an axis, of their range
TITLES = {
    "miou": "mIoU",
    "fine_tuned": "mIoU after fine-tuning",
    "mrr": "mRR",
    "clean": "mIoU of clean scans",
}
COLOURS = {
    "base": theme.INK,
    "better": theme.SERIES[0],
    "worse": theme.SERIES[1],
    "not decided": theme.MUTED,
    "one seed": theme.MUTED,
}
LEGEND = {
    "base": "base",
    "better": "better than the base",
    "worse": "worse than the base",
    "not decided": "not decided",
    "one seed": "no verdict with one seed",
}


def title_of(metric: str) -> str:
    """The title of a column in percent; those of corruptions, such as "fog 2", have their name."""
    return TITLES.get(metric, f"mIoU, {metric}")


@runtime_checkable
class Compared(Protocol):
    """One combination of settings against the base, see `kit.ablate.table.Comparison`."""

    name: str
    mean: float
    deviation: float | None
    difference: float | None
    limit: float | None
    verdict: str
    values: tuple[float, ...]
    differences: tuple[float, ...]


@runtime_checkable
class Table(Protocol):
    """The interface of the table that is drawn, see `kit.ablate.table.AblationTable`."""

    def compare(self, metric: str, larger_is_better: bool) -> Sequence[Compared]: ...

    def in_percent(self, metric: str) -> bool: ...


def ablation(
    table: Table, metric: str = "miou", *, larger_is_better: bool = True, title: str = ""
) -> go.Figure:
    """Draw an ablation: one row per combination of settings, the best one on top.

    On the left, every run is a small dot; the large dot is the mean over the seeds, and the line
    its standard deviation. On the right, the small dots are differences to the base run with the
    same seed, and the line is the 95 % confidence interval of their mean. The colour is the
    verdict: only a difference whose interval leaves out zero counts.

    Args:
        table: of `kit.ablate`.
        metric: a number of every row, e.g. "miou" (drawn in percent), "held_out_loss", "seconds".
        larger_is_better: False for losses and times.
        title: above the figure.

    Raises:
        ValueError: the table has no rows, or one without this metric.
    """
    compared = table.compare(metric, larger_is_better)
    if not compared:
        raise ValueError("the table of the ablation has no rows")
    factor, unit, points = 1, metric.replace("_", " "), metric.replace("_", " ")
    if table.in_percent(metric):
        name = title_of(metric)
        factor, unit, points = 100, f"{name} (%)", f"points of {name}"
    names = tuple(each.name for each in compared)
    rows = Axis(labels=names, limits=(len(names) - 0.5, -0.5))
    middle = 0.5 + GAP / 2
    left = list(_values(compared, factor))
    right = list(_differences(compared, factor, len(names)))
    charts = (
        Chart(tuple(left), _axis(left, unit), rows, place=(0.0, 0.0, middle - GAP, 1.0)),
        Chart(
            tuple(right),
            _axis(right, f"difference to the base ({points})"),
            Axis(limits=rows.limits, visible=False),
            place=(middle, 0.0, 1.0, 1.0),
        ),
    )
    widest = max(text_width(name, theme.TICK) for name in names)
    margins = Margins(round(widest) + 18, 24, 52)
    picture = Picture(
        title, _seeds(compared), ROW * len(names) + 12, charts, legend="above", margins=margins
    )
    return figure_of(picture)


def _seeds(compared: Sequence[Compared]) -> str:
    counts = sorted({len(each.values) for each in compared})
    words = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    return f"{words} seed{'s' * (counts[-1] > 1)} of each"


def _values(compared: Sequence[Compared], factor: int) -> Iterator[Dots | Line]:
    """The marks of the left panel: runs, means, deviations."""
    listed = set()
    for row, each in enumerate(compared):
        colour, mean = COLOURS[each.verdict], factor * each.mean
        if each.deviation is not None:
            yield _bar(mean, factor * each.deviation, row, colour)
        yield _dots([factor * value for value in each.values], row, colour, 6, "one run", "{x:.4g}")
        name = LEGEND[each.verdict]
        yield _dots([mean], row, colour, 12, name, "mean {x:.4g}", name not in listed)
        listed.add(name)


def _differences(compared: Sequence[Compared], factor: int, count: int) -> Iterator[Dots | Line]:
    """The marks of the right panel: paired differences, their means and intervals."""
    zero = np.array([-0.5, count - 0.5])
    yield Line(np.zeros(2), zero, "base", theme.MUTED, 1.5, dotted=True, in_legend=False)
    for row, each in enumerate(compared):
        if each.difference is None:
            continue
        colour, mean = COLOURS[each.verdict], factor * each.difference
        if each.limit is not None:
            yield _bar(mean, factor * each.limit, row, colour)
        single = [factor * value for value in each.differences]
        yield _dots(single, row, colour, 6, "one seed", "{x:+.3g}")
        yield _dots([mean], row, colour, 12, "difference", "mean {x:+.3g}")


def _bar(middle: float, half: float, row: int, colour: str) -> Line:
    x = np.array([middle - half, middle + half])
    return Line(x, np.full(2, float(row)), "deviation", colour, 2, in_legend=False)


def _dots(
    x: Sequence[float],
    row: int,
    colour: str,
    size: int,
    name: str,
    hover: str,
    in_legend: bool = False,
) -> Dots:
    xy = np.array([(value, row) for value in x], dtype=np.float64).reshape(-1, 2)
    return Dots(xy, colour, size, outline="#ffffff", hover=hover, name=name, in_legend=in_legend)


def _axis(marks: Sequence[Dots | Line], title: str) -> Axis:
    """An axis around all dots, and around those bars that are not much longer.

    With two seeds a confidence interval can be ten times as long as everything else; it is cut off.
    """
    dots = np.concatenate([mark.xy[:, 0] for mark in marks if isinstance(mark, Dots)] or [[0.0]])
    lines = [mark.x for mark in marks if isinstance(mark, Line)]
    inner = np.concatenate([dots, *(x for x in lines if not x.any())])  # with the line at 0
    outer = np.concatenate([inner, *lines])
    room = 0.6 * (np.ptp(inner) or abs(inner[0]) or 1.0)
    low = max(outer.min(), inner.min() - room)
    high = min(outer.max(), inner.max() + room)
    beside = BESIDE * ((high - low) or abs(high) or 1.0)
    return Axis(title, (float(low - beside), float(high + beside)))
