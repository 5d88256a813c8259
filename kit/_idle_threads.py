"""Idle threads of torch spin while the machine is free, and sleep while it is crowded.

Between two parallel operations, libgomp's threads spin for some milliseconds, so that they start at
once. Beside other busy programs this takes the cores away from the threads that work, and a
program becomes several times slower; `OMP_WAIT_POLICY=PASSIVE` never spins, which is slower alone.
Both are read once, when torch is loaded.

libgomp also stops spinning, at any time, while it manages more threads than there are cores
(`gomp_throttled_spin_count_var` in its sources, env.c). So while other programs are busy, a few
threads that only sleep are kept here. Results do not change: the threads that compute stay the
same. `python -m kit bench crowded` measures it.
"""

import ctypes
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

SECONDS = 0.5  # between two looks at the load
CHOSEN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # a user who sets one of them keeps it


def watch() -> None:
    """Follow the load of the machine in a thread from now on; on Linux, where torch has libgomp."""
    if sys.platform == "linux" and not any(name in os.environ for name in CHOSEN):
        threading.Thread(target=_watch, name="kit-idle-threads", daemon=True).start()


def is_crowded(others: float, threads: int, cores: int) -> bool:
    """Whether `threads` of this process find no core of their own; an eighth is left for noise.

    Args:
        others: cores that other programs keep busy.
        threads: of one parallel operation of this process.
        cores: that this process may use.
    """
    return others + threads > 1.125 * cores


def _watch() -> None:
    with suppress(OSError):  # the load cannot be read, or libgomp not be opened: as without it
        _follow_the_load()


def _follow_the_load() -> None:
    sleepers, before = None, False
    while True:
        others, threads = _busy_others(), _num_threads()
        now = threads > 1 and is_crowded(others, threads, len(os.sched_getaffinity(0)))
        if now and before and sleepers is None:  # twice in a row: a short command is no crowd
            sleepers = Sleepers()
        elif sleepers is not None and not now:
            sleepers.end()
            sleepers = None
        before = now


def _num_threads() -> int:
    """Threads of a parallel operation of torch; 0 until torch is loaded."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if hasattr(torch, "get_num_threads") else 0


def _busy_others(seconds: float = SECONDS) -> float:
    """Cores that other programs keep busy during the next seconds, of those we may use."""
    began, own, every = time.perf_counter(), time.process_time(), _busy_seconds()
    time.sleep(seconds)
    passed = time.perf_counter() - began
    return (_busy_seconds() - every - (time.process_time() - own)) / passed


def _busy_seconds() -> float:
    import psutil  # here, because `import kit` takes no time

    cores = os.sched_getaffinity(0)
    times = [each for core, each in enumerate(psutil.cpu_times(percpu=True)) if core in cores]
    return sum(t.user + t.nice + t.system + t.irq + t.softirq + t.steal for t in times)


class Sleepers:
    """More threads of libgomp than there are cores, which sleep until `end`."""

    def __init__(self):
        self._end = threading.Event()
        made = threading.Event()
        arguments = (_loaded_libgomp(), made, self._end)
        self._thread = threading.Thread(target=_sleep, args=arguments, daemon=True)
        self._thread.start()
        made.wait()

    def end(self) -> None:
        """Let the threads end."""
        self._end.set()
        self._thread.join()


def _sleep(libraries: list[ctypes.CDLL], made: threading.Event, end: threading.Event) -> None:
    harmless = ctypes.CDLL(None).getpid  # what each thread of the parallel region does
    count = ctypes.c_uint(len(os.sched_getaffinity(0)) + 1)
    for each in libraries:
        each.GOMP_parallel(harmless, None, count, ctypes.c_uint(0))
    made.set()
    end.wait()  # libgomp keeps the region's threads as long as this one


def _loaded_libgomp() -> list[ctypes.CDLL]:
    """The copies of libgomp in this process: torch's, and scikit-learn's where it is used."""
    maps = Path("/proc/self/maps").read_text()
    paths = {line.split(maxsplit=5)[-1] for line in maps.splitlines() if "/libgomp" in line}
    return [ctypes.CDLL(path) for path in sorted(paths) if not path.endswith("(deleted)")]
