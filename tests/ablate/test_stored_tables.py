"""Tables that come with the kit: they say how they were made, and can be compared and repeated."""

import pytest

from kit import show
from kit.ablate.grid import grid
from kit.ablate.settings import AblationConfig
from kit.ablate.table import TABLES, AblationTable
from kit.demo import config_of_plain

NAMES = sorted(file.stem for file in TABLES.glob("*.jsonl"))


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_table_is_small_and_complete(name):
    table = AblationTable.stored(name)
    assert (TABLES / f"{name}.jsonl").stat().st_size < 60_000
    assert {"command", "date", "commit", "machine", "grid"} <= set(table.made)
    assert "/" not in table.made["grid"].get("data", "")  # no path of the machine it was made on
    seeds = {row["seed"] for row in table.rows}
    assert len(seeds) >= 2 and all(0 < row["miou"] < 1 for row in table.rows)
    assert sum(each.verdict == "base" for each in table.compare()) == 1
    assert len(show.ablation(table).layout.yaxis.ticktext) == len(table.compare())


@pytest.mark.parametrize("name", NAMES)
def test_its_runs_are_those_of_its_grid(name):
    table = AblationTable.stored(name)
    made = table.made["grid"]
    base = config_of_plain(made["base"], kind=AblationConfig)
    runs = grid(base, made["axes"], 1, made.get("one_at_a_time", False))
    combinations = {tuple(map(str, run.changes.values())) for run in runs}
    assert combinations == {tuple(str(row[axis]) for axis in table.axes) for row in table.rows}
