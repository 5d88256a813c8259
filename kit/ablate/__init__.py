"""Ablations: the same distillation with some settings changed, repeated with several seeds.

In: a base configuration and axes, each a setting with the values to try. Out: an `AblationTable`
with one row per run, whose `summary` compares every combination with the base run. Read `grid.py`
first, then `run.py` and `table.py`.

    table = kit.ablate(base, {"loss": ["l2", "ppkt"], "student.width": [64, 128]}, repeats=3)
    print(table.summary())
"""

from kit._lazy import lazy, make_callable

_HOME = {
    "AblationTable": "kit.ablate.table",
    "again": "kit.ablate.run",
    "from_file": "kit.ablate.run",
}
__getattr__ = lazy(__name__, _HOME)
make_callable(__name__, "kit.ablate.run", "ablate")
