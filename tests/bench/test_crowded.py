"""The bench of a crowded machine, and the policy of idle threads that `import kit` sets."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kit
from kit.bench import crowded


def test_the_ratios_compare_the_same_program(monkeypatch):
    class Program:
        speeds = {"3000": (10.0, 5.0), "0": (8.0, 7.0), None: (10.1, 1.0)}  # alone, beside
        running = 0

        def __init__(self, policy):
            self.policy = policy.get("GOMP_SPINCOUNT")

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
    beside = found["soon asleep, beside one equal program"]
    assert beside.value == 2 and beside.ok
    alone = "alone, against the default policy"
    assert found[f"soon asleep, {alone}"].value == pytest.approx(1.01)
    assert found[f"asleep at once, {alone}"].value == pytest.approx(10.1 / 8)
    assert found["default policy, beside one equal program"].value == pytest.approx(10.1)


def test_a_program_counts_its_steps_for_each_line(monkeypatch, capsys):
    monkeypatch.setattr(crowded, "SECONDS", 0.1)
    monkeypatch.setattr("sys.stdin", io.StringIO("go\ngo\n"))
    crowded.count_steps()
    ready, *speeds = capsys.readouterr().out.split()
    assert ready == "ready" and len(speeds) == 2 and min(map(float, speeds)) > 0


def test_a_program_that_fails_is_an_error(monkeypatch):
    monkeypatch.setattr(crowded.sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="ended early"):
        next(crowded.rows(None, "cpu"))


def printed(code, policy=None):
    """What a new Python prints, where torch is an empty module to save seconds."""
    environment = {n: value for n, value in os.environ.items() if n not in kit.IDLE_THREADS}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[2])}
    environment |= {} if policy is None else {"OMP_WAIT_POLICY": policy}
    code = f"import os, subprocess, sys, types\n{code}"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


TORCH = "sys.modules['torch'] = types.ModuleType('torch'); "
NAMES = "print(*(os.environ.get(n) for n in ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT')))"
CHILD = f"subprocess.run([sys.executable, '-c', {'import os; ' + NAMES!r}])"


def test_idle_threads_soon_sleep_in_this_process_and_in_its_children():
    assert printed(f"import kit; {CHILD}").split() == ["PASSIVE", "3000"]
    chosen_by_the_user = printed(f"import kit; {CHILD}", "ACTIVE")
    assert chosen_by_the_user.split() == ["ACTIVE", "None"]


def test_torch_before_the_kit_is_told_once_unless_the_policy_was_set():
    said = printed(f"{TORCH}import kit; import kit.__main__")
    assert said.count("torch was imported before kit") == 1 and "OMP_WAIT_POLICY=PASSIVE" in said
    assert printed(f"{TORCH}import kit", "PASSIVE") == ""
    assert printed("import kit") == ""
