"""The table of an ablation: one row per run, and the comparison with the base run."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scipy.stats

from kit import store


@dataclass(frozen=True)
class Comparison:
    """One combination of settings against the base, over the seeds that both have.

    Attributes:
        changes: the value of every axis.
        count: number of seeds.
        mean, deviation: of the metric over the seeds; the deviation of one seed is None.
        difference, error: mean of the paired differences to the base, and its standard error; None
            for the base itself, the error also for a single seed.
        verdict: "base", "better", "worse", "no difference", or "one seed" if nothing can be said.
    """

    changes: dict[str, Any]
    count: int
    mean: float
    deviation: float | None
    difference: float | None
    error: float | None
    verdict: str


@dataclass(frozen=True)
class AblationTable:
    """All runs of an ablation.

    Attributes:
        rows: one dictionary per run: the axes, seed, miou, iou by class, held_out_loss, seconds,
            peak_memory_mb, commit, config.
        axes: names of the settings that differ.
    """

    rows: list[dict]
    axes: tuple[str, ...]

    def compare(self, metric: str = "miou", larger_is_better: bool = True) -> list[Comparison]:
        """Compare every combination with the base run, the best first.

        A difference counts only if its 95 % confidence interval, from a t-test on the differences
        of runs with the same seed, leaves out zero. With few seeds this interval is wide.
        """
        by_changes: dict[str, list[dict]] = {}
        for row in self.rows:
            by_changes.setdefault(json.dumps(self._changes(row)), []).append(row)
        base = {row["seed"]: row[metric] for row in self.rows if row["is_base"]}
        found = [
            self._compared(rows, base, metric, larger_is_better) for rows in by_changes.values()
        ]
        return sorted(found, key=lambda each: each.mean, reverse=larger_is_better)

    def summary(self, metric: str = "miou", larger_is_better: bool = True) -> str:
        """The comparison as text: a line per combination."""
        percent = 100 if metric == "miou" else 1
        compared = self.compare(metric, larger_is_better)
        width = max(len(_words(each.changes)) for each in compared)
        unit = " in %" if metric == "miou" else ""
        lines = [f"{metric}{unit}: mean and deviation over seeds, difference to the base run"]
        for each in compared:
            text = f"{_words(each.changes):{width}}  {percent * each.mean:7.2f}"
            text += "       " if each.deviation is None else f" +-{percent * each.deviation:5.2f}"
            if each.difference is not None:
                text += f"  {percent * each.difference:+7.2f}"
            if each.error is not None:
                text += f" +-{percent * each.error:5.2f}"
            lines.append(f"{text}  {each.verdict} ({each.count} seeds)")
        return "\n".join(lines)

    def frame(self):
        """The rows as a pandas data frame."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError("AblationTable.frame needs pandas: pip install pandas") from error
        return pandas.DataFrame(self.rows)

    def save(self, path: str | Path) -> None:
        """Write JSON lines: first the axes, then a line per run."""
        lines = [json.dumps({"axes": self.axes}), *(json.dumps(row) for row in self.rows)]
        store.write_text(path, "\n".join(lines) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "AblationTable":
        """Read what `save` wrote.

        Raises:
            ValueError: it is another file, or damaged; names the line.
        """
        rows = []
        for number, line in enumerate(Path(path).read_text().splitlines(), 1):
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number}: not JSON ({error.msg})") from error
        if not rows or not isinstance(rows[0], dict) or set(rows[0]) != {"axes"}:
            raise ValueError(f"{path}: no table of an ablation, its first line has no axes")
        return cls(rows[1:], tuple(rows[0]["axes"]))

    def _changes(self, row: Mapping) -> dict[str, Any]:
        return {name: row[name] for name in self.axes}

    def _compared(
        self, rows: Sequence[Mapping], base: Mapping[int, float], metric: str, larger: bool
    ) -> Comparison:
        values = [row[metric] for row in rows]
        mean = statistics.fmean(values)
        deviation = statistics.stdev(values) if len(values) > 1 else None
        changes = self._changes(rows[0])
        if rows[0]["is_base"]:
            return Comparison(changes, len(rows), mean, deviation, None, None, "base")
        pairs = [row[metric] - base[row["seed"]] for row in rows if row["seed"] in base]
        difference = statistics.fmean(pairs) if pairs else None
        if len(pairs) < 2:
            return Comparison(changes, len(rows), mean, deviation, difference, None, "one seed")
        error = statistics.stdev(pairs) / len(pairs) ** 0.5
        limit = scipy.stats.t.ppf(0.975, len(pairs) - 1) * error
        verdict = "no difference"
        if abs(difference) > limit:
            verdict = "better" if (difference > 0) == larger else "worse"
        return Comparison(changes, len(rows), mean, deviation, difference, error, verdict)


def _words(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.split('.')[-1]} {value}" for name, value in changes.items())
