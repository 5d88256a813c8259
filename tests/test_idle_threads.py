"""Idle threads of torch: when they sleep, and that libgomp is told so and again the opposite."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kit import _idle_threads as idle_threads

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="follows libgomp on Linux")


@pytest.mark.parametrize(
    "others, threads, cores, crowded",
    [
        (0.0, 2, 2, False),
        (0.2, 2, 2, False),  # noise
        (0.3, 2, 2, True),
        (1.0, 2, 2, True),
        (1.0, 1, 2, False),  # two programs, each with a core of its own
        (12.0, 4, 16, False),
        (1.9, 16, 16, False),
        (2.1, 16, 16, True),
    ],
)
def test_crowded_means_that_threads_have_no_core_of_their_own(others, threads, cores, crowded):
    assert idle_threads.is_crowded(others, threads, cores) == crowded


@ON_LINUX
def test_cores_that_others_keep_busy_are_counted_without_our_own():
    own_work = "import time\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", own_work]) as other:
        try:
            assert idle_threads._busy_others(1.0) > 0.3  # a core, or its part on a busy machine
        finally:
            other.kill()


def run(code: str, **environment: str) -> str:
    """What a new Python prints."""
    kept = {
        n: v for n, v in os.environ.items() if n not in (*idle_threads.CHOSEN, "OMP_NUM_THREADS")
    }
    kept |= {"PYTHONPATH": str(Path(__file__).parents[1])} | environment
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=kept, capture_output=True, text=True, check=True, timeout=120
    ).stdout


SLEEPERS = """
import os, time, torch
from kit import _idle_threads
def threads():
    return len(os.listdir("/proc/self/task"))
torch.set_num_threads(2)
first = [torch.relu(torch.ones(100_000)).sum() for _ in range(2)]
before = threads()
sleepers = _idle_threads.Sleepers()
print(threads() - before)
assert torch.equal(torch.relu(torch.ones(100_000)).sum(), first[0])
sleepers.end()
while threads() > before:
    time.sleep(0.01)
print(threads() - before)
"""


@ON_LINUX
def test_sleepers_are_more_threads_than_cores_until_they_end():
    held, after = map(int, run(SLEEPERS, GOMP_SPINCOUNT="300000").split())
    assert held >= len(os.sched_getaffinity(0)) + 1 and after <= 0


WATCH = """
import sys, threading, time
from kit import _idle_threads
made, others = [], [9.0, 0.0, 9.0, 9.0, 9.0, 0.0, 0.0, 9.0, 9.0]
class Sleepers:
    def __init__(self): made.append("sleep")
    def end(self): made.append("spin")
_idle_threads.Sleepers = Sleepers
def busy():
    if not others: print(*made, flush=True); sys.exit()
    return others.pop(0)
_idle_threads._busy_others, _idle_threads._num_threads = busy, lambda: 2
_idle_threads._follow_the_load()
"""


@ON_LINUX
def test_threads_sleep_when_others_stay_and_spin_when_they_have_gone():
    assert run(WATCH, GOMP_SPINCOUNT="300000").split() == ["sleep", "spin", "sleep"]


WATCHED = "import kit, threading; print(*[t.name for t in threading.enumerate()])"


@ON_LINUX
def test_importing_the_kit_follows_the_load_unless_the_user_chose():
    assert "kit-idle-threads" in run(WATCHED)
    assert "kit-idle-threads" not in run(WATCHED, OMP_WAIT_POLICY="ACTIVE")
    assert "kit-idle-threads" not in run(WATCHED, GOMP_SPINCOUNT="0")
