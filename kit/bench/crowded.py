"""A crowded machine: the steps of a student alone, and beside one program that does the same.

OpenMP's idle threads either keep their core busy while they wait (the default) or sleep, which
`OMP_WAIT_POLICY=PASSIVE` asks for and `import kit` sets. The programs of this bench are processes
of their own, because the policy is read when torch is loaded. Each program counts its steps in a
few seconds; ratios are medians over rounds in which all cases take turns.

    python -m kit bench crowded
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from statistics import median

from kit.bench import Row

SECONDS = 4.0  # of each measurement
ROUNDS = 5


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Measure on the CPU; `data` and `device` are not used."""
    alone, beside, default, default_beside = [], [], [], []
    with ExitStack() as stack:
        passive, usual = ([], [])
        for programs, policy in ((passive, "PASSIVE"), (usual, None)):
            programs += [stack.enter_context(_Program(policy)) for _ in range(2)]
        for _ in range(ROUNDS):
            alone += _speeds(passive[:1])
            beside += [median(_speeds(passive))]
            default += _speeds(usual[:1])
            default_beside += [median(_speeds(usual))]
    yield Row("beside one equal program", _ratio(alone, beside), "times as long", "<= 2.5")
    yield Row(
        "alone, against the default policy", _ratio(default, alone), "times as long", "<= 1.03"
    )
    slower = _ratio(default, default_beside)
    yield Row("default policy, beside one equal program", slower, "times as long")
    yield Row("alone", median(alone), "steps a second")


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

    def __init__(self, policy: str | None):
        environment = {name: v for name, v in os.environ.items() if name != "OMP_WAIT_POLICY"}
        if policy is not None:
            environment["OMP_WAIT_POLICY"] = policy
        # torch first: `import kit` would set the policy.
        code = "import torch; from kit.bench.crowded import count_steps; count_steps()"
        command = [sys.executable, "-W", "ignore", "-c", code]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, env=environment, stdin=pipe, stdout=pipe, text=True
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
        began, done = time.perf_counter(), 0
        while (seconds := time.perf_counter() - began) < SECONDS:
            step()
            done += 1
        print(done / seconds, flush=True)
