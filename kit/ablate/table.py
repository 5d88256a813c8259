"""The table of an ablation: one row per run, and the comparison with the base run."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import scipy.stats

from kit import store
from kit.evaluate.corruptions import CORRUPTIONS

TABLES = Path(__file__).parent / "tables"
RATIOS = ("miou", "fine_tuned", "mrr", "clean")


@dataclass(frozen=True)
class Comparison:
    """One combination of settings against the base, over the seeds that both have.

    Attributes:
        changes: the value of every axis.
        count: number of seeds.
        mean, deviation: of the metric over the seeds; the deviation of one seed is None.
        difference, error: mean of the paired differences to the base, and its standard error; None
            for the base itself, the error also for a single seed.
        limit: a difference counts from here on: half of its 95 % confidence interval.
        verdict: "base", "better", "worse", "not decided", or "one seed" if nothing can be said.
        values: the metric of every run, in the order of the seeds.
        differences: those of them to the base run with the same seed.
        name: what differs from the base, as text.
    """

    changes: dict[str, Any]
    count: int
    mean: float
    deviation: float | None
    difference: float | None
    error: float | None
    limit: float | None
    verdict: str
    values: tuple[float, ...] = ()
    differences: tuple[float, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class AblationTable:
    """All runs of an ablation.

    Attributes:
        rows: one dictionary per run: the axes, seed, miou, iou by class, held_out_loss, seconds,
            peak_memory_mb, commit, config.
        axes: names of the settings that differ.
        made: how the table was made: command, date, commit, machine, and the grid: base settings,
            axes, repeats; empty if unknown.
    """

    rows: list[dict]
    axes: tuple[str, ...]
    made: dict[str, Any] = field(default_factory=dict)

    def compare(self, metric: str = "miou", larger_is_better: bool = True) -> list[Comparison]:
        """Compare every combination with the base run, the best first.

        A difference counts only if its 95 % confidence interval, from a t-test on the differences
        of runs with the same seed, leaves out zero. With few seeds this interval is wide. Rows
        without the metric are left out.

        Raises:
            ValueError: no row has this metric; lists the columns.
        """
        self._check(metric)
        by_changes: dict[str, list[dict]] = {}
        measured = [row for row in self.rows if row.get(metric) is not None]
        for row in measured:
            by_changes.setdefault(json.dumps(self._changes(row)), []).append(row)
        base = {row["seed"]: row[metric] for row in measured if row["is_base"]}
        found = [
            self._compared(rows, base, metric, larger_is_better) for rows in by_changes.values()
        ]
        return sorted(found, key=lambda each: each.mean, reverse=larger_is_better)

    def detectable(self, seeds: int, metric: str = "miou") -> float | None:
        """The smallest mean difference that a verdict can confirm with so many seeds.

        This is the half width of the 95 % confidence interval, with the deviation of the paired
        differences pooled over all combinations.

        Returns:
            In units of the metric; None if there are not two seeds of any combination.

        Raises:
            ValueError: fewer than two seeds.
        """
        if seeds < 2:
            raise ValueError(f"a verdict needs at least 2 seeds, got {seeds}")
        pairs = [each.differences for each in self.compare(metric)]
        variances = [statistics.variance(each) for each in pairs if len(each) > 1]
        if not variances:
            return None
        error = (statistics.fmean(variances) / seeds) ** 0.5
        return float(scipy.stats.t.ppf(0.975, seeds - 1)) * error

    def records(self, metric: str = "miou", larger_is_better: bool = True) -> list[dict]:
        """The comparison as dictionaries, the best combination first; pandas is not needed."""
        found = [asdict(each) for each in self.compare(metric, larger_is_better)]
        return [{**each.pop("changes"), **each} for each in found]

    def sort_by(self, name: str, largest_first: bool = True) -> "AblationTable":
        """The same table with its rows in the order of a column; rows without a value come last.

        Raises:
            ValueError: no row has this column; lists the columns.
        """
        self._check(name)
        known = [row for row in self.rows if row.get(name) is not None]
        rest = [row for row in self.rows if row.get(name) is None]
        known.sort(key=lambda row: row[name], reverse=largest_first)
        return replace(self, rows=known + rest)

    def within(self, values: Mapping[str, Any], base: Mapping[str, Any]) -> "AblationTable":
        """The rows with some values of some axes, compared with another base.

        With axes {"distill.steps": [300, 1000], "student.width": [32, 64]}, the call
        `table.within({"distill.steps": 1000}, {"student.width": 32})` compares the two widths
        after 1000 steps.

        Args:
            values: by axis; these axes are left out of the result.
            base: the values of the other axes that mark the base runs.

        Raises:
            ValueError: there is no such axis, or no run has these values.
        """
        for name in (*values, *base):
            if name not in self.axes:
                raise ValueError(f"{name!r} is no axis of the table; it has {', '.join(self.axes)}")
        chosen = [row for row in self.rows if all(row[n] == v for n, v in values.items())]
        rows = [{**r, "is_base": all(r[n] == v for n, v in base.items())} for r in chosen]
        if not any(row["is_base"] for row in rows):
            raise ValueError(f"no run has the values {dict(values)} and {dict(base)}")
        return replace(self, rows=rows, axes=tuple(n for n in self.axes if n not in values))

    def without(self, *columns: str) -> "AblationTable":
        """The same table without some columns, e.g. "config", which makes files much smaller."""
        rows = [{k: v for k, v in row.items() if k not in columns} for row in self.rows]
        return replace(self, rows=rows)

    def summary(self, metric: str = "miou", larger_is_better: bool = True) -> str:
        """The comparison as text: a line per combination."""
        in_percent = self.in_percent(metric)
        percent = 100 if in_percent else 1
        compared = self.compare(metric, larger_is_better)
        width = max(len(each.name) for each in compared)
        unit = " in %" if in_percent else ""
        digits = 2 if in_percent else 3
        lines = [f"{metric}{unit}: mean and deviation over seeds, difference to the base run"]
        for each in compared:
            text = f"{each.name:{width}}  {percent * each.mean:7.{digits}f}"
            if each.deviation is not None:
                text += f" +-{percent * each.deviation:6.{digits}f}"
            if each.difference is not None:
                text += f"  {percent * each.difference:+7.{digits}f}"
            if each.error is not None:
                text += f" +-{percent * each.error:6.{digits}f}"
            lines.append(f"{text}  {each.verdict} ({each.count} seeds)")
        return "\n".join([*lines, *self.limit_of_verdicts(metric)])

    def limit_of_verdicts(self, metric: str = "miou") -> list[str]:
        """A sentence: how large a difference usually must be for a verdict with these seeds.

        Empty if every combination has one seed, or there is nothing to compare with the base.
        """
        seeds = max((each.count for each in self.compare(metric)), default=1)
        least = self.detectable(seeds, metric) if seeds > 1 else None
        if least is None:
            return []
        limit = f"{100 * least:.1f} points" if self.in_percent(metric) else f"{least:.3g}"
        return [f"With {seeds} seeds, a verdict usually needs a difference of {limit}."]

    @staticmethod
    def in_percent(metric: str) -> bool:
        """Whether a column is a ratio; those of corruptions, such as "fog 2", are, too."""
        return metric in RATIOS or metric.rpartition(" ")[0] in CORRUPTIONS

    def frame(self):
        """The rows as a pandas data frame."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError("AblationTable.frame needs pandas: pip install pandas") from error
        return pandas.DataFrame(self.rows)

    def save(self, path: str | Path) -> None:
        """Write JSON lines: first the axes and how the table was made, then a line per run."""
        head = {"axes": self.axes, **({"made": self.made} if self.made else {})}
        lines = [json.dumps(head), *(json.dumps(row) for row in self.rows)]
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
        if not rows or not isinstance(rows[0], dict) or not set(rows[0]) <= {"axes", "made"}:
            raise ValueError(f"{path}: no table of an ablation, its first line has no axes")
        if not isinstance(rows[0].get("axes"), list) or not all(isinstance(r, dict) for r in rows):
            raise ValueError(f"{path}: no table of an ablation, its first line has no axes")
        return cls(rows[1:], tuple(rows[0]["axes"]), rows[0].get("made", {}))

    @classmethod
    def stored(cls, name: str) -> "AblationTable":
        """A table that comes with the kit, measured earlier; `made` tells how.

        Raises:
            ValueError: there is none of this name; lists those there are.
        """
        files = {file.stem: file for file in sorted(TABLES.glob("*.jsonl"))}
        if name not in files:
            raise ValueError(f"no table {name!r} comes with the kit; there are: {', '.join(files)}")
        return cls.load(files[name])

    def _check(self, column: str) -> None:
        if self.rows and not any(column in row for row in self.rows):
            known = ", ".join(dict.fromkeys(key for row in self.rows for key in row))
            raise ValueError(f"the table has no column {column!r}; it has {known}")

    def _changes(self, row: Mapping) -> dict[str, Any]:
        return {name: row[name] for name in self.axes}

    def _compared(
        self, rows: Sequence[Mapping], base: Mapping[int, float], metric: str, larger: bool
    ) -> Comparison:
        rows = sorted(rows, key=lambda row: row["seed"])
        values = tuple(row[metric] for row in rows)
        mean = statistics.fmean(values)
        deviation = statistics.stdev(values) if len(values) > 1 else None
        changes = self._changes(rows[0])
        found = Comparison(changes, len(rows), mean, deviation, None, None, None, "base", values)
        found = replace(found, name=self._name(rows[0]))
        if rows[0]["is_base"]:
            return found
        pairs = tuple(row[metric] - base[row["seed"]] for row in rows if row["seed"] in base)
        difference = statistics.fmean(pairs) if pairs else None
        found = replace(found, difference=difference, verdict="one seed", differences=pairs)
        if len(pairs) < 2:
            return found
        error = statistics.stdev(pairs) / len(pairs) ** 0.5
        limit = float(scipy.stats.t.ppf(0.975, len(pairs) - 1)) * error
        verdict = "not decided"
        if abs(difference) > limit:
            verdict = "better" if (difference > 0) == larger else "worse"
        return replace(found, error=error, limit=limit, verdict=verdict)

    def _name(self, row: Mapping) -> str:
        """The values of a row's axes; of several axes, those that differ from the base."""
        base = next((each for each in self.rows if each["is_base"]), {})
        changes = self._changes(row)
        if len(changes) == 1:
            return _written(next(iter(changes.values())))
        if not row["is_base"]:
            changes = {name: value for name, value in changes.items() if base.get(name) != value}
            return ", ".join(f"{name.split('.')[-1]} {_written(v)}" for name, v in changes.items())
        return "base"


def _written(value: Any) -> str:
    if value is None:
        return "default"
    return " x ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
