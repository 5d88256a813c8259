"""Time of a training step, alone and beside a second training on the same machine.

OpenMP's idle threads either keep their core busy while they wait (the default), or sleep at once
(`OMP_WAIT_POLICY=PASSIVE`), or do one or the other by the load of the machine, as `import kit`
does (kit/_idle_threads.py). The programs of this bench are processes of their own, because the
policy is read when torch is loaded. Each program counts its steps in a few seconds; ratios are
medians over rounds in which all cases take turns.

    python -m kit bench crowded
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from statistics import median

from kit._idle_threads import CHOSEN
from kit.bench import Row

SECONDS = 4.0  # of each measurement
SETTLE = 2.0  # before it, not measured: the load is looked at twice a second
ROUNDS = 5
TIMES = "times as long"

OURS = "by the load"
POLICIES = {
    OURS: {},
    "asleep at once": {"OMP_WAIT_POLICY": "PASSIVE"},
    "default policy": {"GOMP_SPINCOUNT": "300000"},  # libgomp's own; set, so that the kit leaves it
}


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Measure on the CPU; `data` and `device` are not used."""
    speeds = {name: ([], []) for name in POLICIES}
    with ExitStack() as stack:
        programs = {
            name: [stack.enter_context(_Program(policy)) for _ in range(2)]
            for name, policy in POLICIES.items()
        }
        for _ in range(ROUNDS):
            for name, (alone, beside) in speeds.items():
                alone += _speeds(programs[name][:1])
                beside += [median(_speeds(programs[name]))]
    default = speeds["default policy"][0]
    for name, (alone, beside) in speeds.items():
        bound = "<= 2.5" if name == OURS else None
        yield Row(f"{name}, beside one equal program", _ratio(alone, beside), TIMES, bound)
        if alone is not default:
            title = f"{name}, alone, against the default policy"
            bound = "<= 1.03" if name == OURS else None
            yield Row(title, _ratio(default, alone), TIMES, bound)
    yield Row("alone", median(speeds[OURS][0]), "steps a second")


def _ratio(fast: Sequence[float], slow: Sequence[float]) -> float:
    """How many times as long a step takes, from steps a second."""
    return median(a / b for a, b in zip(fast, slow, strict=True))


def _speeds(programs: Sequence["_Program"]) -> list[float]:
    """Steps a second of programs that all run at the same time."""
    for program in programs:
        program.begin()
    return [program.speed() for program in programs]


class _Program:
    """A process that runs steps and counts them after each start signal; otherwise it waits."""

    def __init__(self, policy: Mapping[str, str]):
        others = {name: v for name, v in os.environ.items() if name not in CHOSEN}
        code = "from kit.bench.crowded import count_steps; count_steps()"
        command = [sys.executable, "-c", code]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, env=others | policy, stdin=pipe, stdout=pipe, text=True
        )

    def __enter__(self) -> "_Program":
        self._answer()  # it is ready
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.communicate()

    def begin(self) -> None:
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def speed(self) -> float:
        return float(self._answer())

    def _answer(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            self.__exit__()
            raise RuntimeError("a program of the bench ended early; its error is above")
        return line


def count_steps() -> None:
    """The program that is measured: for each line it reads, a student's training steps a second."""
    import torch

    from kit.bench._measure import train_run
    from kit.data.keyframe import Sensor
    from kit.student.point_batch import collate
    from kit.student.presets import build_student
    from kit.student.scans import prepare_scan

    generator = torch.Generator().manual_seed(0)
    points = (torch.rand(4000, 3, generator=generator) - 0.5) * torch.tensor([60.0, 60.0, 4.0])
    student = build_student("wi-6-64", 32)
    inputs = student.config.inputs
    scan = prepare_scan(points, torch.zeros(len(points)), Sensor("crowd", 0.0, 1.0), inputs)
    step = train_run(student, collate([scan, scan], inputs))
    for _ in range(3):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        _steps_a_second(step, SETTLE)
        print(_steps_a_second(step, SECONDS), flush=True)


def _steps_a_second(step: Callable[[], object], at_least: float) -> float:
    began, done = time.perf_counter(), 0
    while (seconds := time.perf_counter() - began) < at_least:
        step()
        done += 1
    return done / seconds
