"""`python -m kit bench NAME`: measure speed and quality, each value beside its target.

In: the name of a bench and, if it takes one, the root of a data set. Out: rows of measured values,
printed and written as JSON, from which `figures.py` writes docs/figures.md. Read `distill.py` first
(the demo as shipped), then `figures.py`.

A bench is a module of this folder with a function `rows(data, device)` that yields `Row`s; `device`
is "cpu" or "cuda". Modules whose names begin with _ are no benches.
"""

import dataclasses
import importlib
import inspect
import operator
import os
import pkgutil
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import torch

from kit import store
from kit.store.machine import commit, describe_machine, peak_memory, versions

SIGNS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
__all__ = ["Row", "names", "peak_memory", "run"]


@dataclass(frozen=True)
class Row:
    """One measured figure.

    Attributes:
        name: what was measured, unique in its bench.
        value: None where it could not be measured here.
        unit: e.g. "s", "MB", "points of mIoU"; "" for plain numbers.
        target: the bound it has to keep: >=, >, <=, < or == and a number, e.g. ">= 12".
        seconds: how long measuring took; `run` fills in the time since the last row.
    """

    name: str
    value: float | int | None
    unit: str = ""
    target: str | None = None
    seconds: float | None = None

    def __post_init__(self):
        if self.target is not None:
            _parse_target(self.target)

    @property
    def ok(self) -> bool | None:
        """Whether the bound is kept; None without one. A missing or NaN value keeps no bound."""
        if self.target is None:
            return None
        keeps, bound = _parse_target(self.target)
        return self.value is not None and keeps(self.value, bound)


def names() -> list[str]:
    """The names of all benches."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if not name.startswith("_") and name != "figures")


def run(
    name: str,
    data: str | None = None,
    out: str | os.PathLike | None = None,
    device: str | None = None,
    student: str | None = None,
) -> list[Row]:
    """Run a bench, print its rows as they come, and write them to a JSON file.

    Args:
        name: one of `names()`.
        data: root of a data set for the benches that take one.
        out: file for rows, machine, versions and commit, rewritten after every row, so that an
            interrupted bench keeps what it measured.
        device: "cpu" or "cuda"; by default a GPU if there is one.
        student: file of a student, for the benches that compare one.

    Raises:
        ValueError: no such bench; lists those there are. Or "cuda" without a GPU, or a student for
            a bench that takes none.
    """
    if name not in names():
        raise ValueError(f"no bench is called {name!r}. There are: {', '.join(names()) or 'none'}")
    module = importlib.import_module(f"{__name__}.{name}")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: PyTorch sees no GPU here; leave it out for the CPU")
    options = {} if student is None else {"student": student}
    if options.keys() - inspect.signature(module.rows).parameters.keys():
        raise ValueError(f"--student {student}: the bench {name} compares no student; leave it out")
    done: list[Row] = []
    made = _how_made()
    print(_line("name", "value", "unit", "target", "ok", "seconds"), flush=True)
    _write(out, done, made)
    start = time.perf_counter()
    for row in module.rows(data, device, **options):
        if row.seconds is None:
            row = dataclasses.replace(row, seconds=time.perf_counter() - start)
        done.append(row)
        print(_format(row), flush=True)
        _write(out, done, made)
        start = time.perf_counter()
    print(_closing_line(done, out))
    return done


def _parse_target(target: str) -> tuple[Callable, float]:
    match = re.fullmatch(r"(>=|<=|==|>|<)\s*(-?\d+(?:\.\d+)?(?:e-?\d+)?)", target.strip())
    if match is None:
        raise ValueError(f"target {target!r}: expected a sign and a number, e.g. '>= 12'")
    return SIGNS[match[1]], float(match[2])


def _how_made() -> dict:
    head, dirty = commit()
    return {
        "machine": describe_machine(),
        "versions": versions(),
        "commit": f"{head}-dirty" if dirty else head,
        "date": datetime.now(UTC).date().isoformat(),
    }


def _write(out: str | os.PathLike | None, rows: list[Row], made: dict) -> None:
    if out is not None:
        figures = [{**dataclasses.asdict(row), "ok": row.ok} for row in rows]
        store.write_json(out, {"rows": figures, **made})


def _format(row: Row) -> str:
    verdict = {True: "yes", False: "NO", None: ""}[row.ok]
    return _line(
        row.name, _number(row.value), row.unit, row.target or "", verdict, f"{row.seconds:.1f}"
    )


def _number(value: float | int | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _line(name: str, value: str, unit: str, target: str, ok: str, seconds: str) -> str:
    return f"{name:<44} {value:>12} {unit:<16} {target:<10} {ok:<4} {seconds:>8}".rstrip()


def _closing_line(rows: list[Row], out: str | os.PathLike | None) -> str:
    bounds = [row.ok for row in rows if row.ok is not None]
    kept = f"{sum(bounds)} of {len(bounds)} bounds kept" if bounds else "no bounds"
    return f"{len(rows)} rows, {kept}" + (f", written to {out}" if out is not None else "")
