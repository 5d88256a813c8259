"""The bench of a crowded machine."""

import io

import pytest

from kit.bench import crowded


def test_the_ratios_compare_the_same_program(monkeypatch):
    class Program:
        speeds = {"{}": (10.0, 5.0), "PASSIVE": (8.0, 7.0), "300000": (10.1, 1.0)}  # alone, beside
        running = 0

        def __init__(self, policy):
            self.policy = next(iter(policy.values()), "{}")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def begin(self):
            Program.running += 1

        def speed(self):
            return self.speeds[self.policy][self.all_running() - 1]

        def all_running(self):
            count, Program.asked = Program.running, getattr(Program, "asked", 0) + 1
            if Program.asked == count:
                Program.running = Program.asked = 0
            return count

    monkeypatch.setattr(crowded, "_Program", Program)
    found = {row.name: row for row in crowded.rows(None, "cpu")}
    beside = found["by the load, beside one equal program"]
    assert beside.value == 2 and beside.ok
    alone = "alone, against the default policy"
    assert found[f"by the load, {alone}"].value == pytest.approx(1.01)
    assert found[f"asleep at once, {alone}"].value == pytest.approx(10.1 / 8)
    assert found["default policy, beside one equal program"].value == pytest.approx(10.1)


def test_a_program_counts_its_steps_for_each_line(monkeypatch, capsys):
    monkeypatch.setattr(crowded, "SECONDS", 0.1)
    monkeypatch.setattr(crowded, "SETTLE", 0.1)
    monkeypatch.setattr("sys.stdin", io.StringIO("go\ngo\n"))
    crowded.count_steps()
    ready, *speeds = capsys.readouterr().out.split()
    assert ready == "ready" and len(speeds) == 2 and min(map(float, speeds)) > 0


def test_a_program_that_fails_is_an_error(monkeypatch):
    monkeypatch.setattr(crowded.sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="ended early"):
        next(crowded.rows(None, "cpu"))
