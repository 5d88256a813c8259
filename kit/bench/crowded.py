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
from collections.abc import Iterator
from statistics import median

from kit.bench import Row

SECONDS = 4.0  # of each measurement
ROUNDS = 5


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Measure on the CPU; `data` and `device` are not used."""
    alone, beside, default, default_beside = [], [], [], []
    for _ in range(ROUNDS):
        alone += _steps("PASSIVE", 1)
        beside += [median(_steps("PASSIVE", 2))]
        default += _steps(None, 1)
        default_beside += [median(_steps(None, 2))]
    slower = median(a / b for a, b in zip(alone, beside, strict=True))
    yield Row("beside one equal program", slower, "times as long", "<= 2.5")
    slower = median(d / a for d, a in zip(default, alone, strict=True))
    yield Row("alone, against the default policy", slower, "times as long", "<= 1.03")
    slower = median(a / b for a, b in zip(default, default_beside, strict=True))
    yield Row("default policy, beside one equal program", slower, "times as long")
    yield Row("alone", median(alone), "steps a second")


def _steps(policy: str | None, count: int) -> list[float]:
    """Steps a second of each of `count` equal programs that run at the same time."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    if policy is not None:
        environment["OMP_WAIT_POLICY"] = policy
    pipe = subprocess.PIPE
    # torch first: `import kit` would set the policy.
    code = "import torch; from kit.bench.crowded import count_steps; count_steps()"
    command = [sys.executable, "-W", "ignore", "-c", code]
    programs = [
        subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
        for _ in range(count)
    ]
    try:
        for program in programs:
            if program.stdout.readline() != "ready\n":
                raise RuntimeError("a program of the bench ended early; see its error above")
        for program in programs:
            program.stdin.write("go\n")
            program.stdin.flush()
        return [float(program.stdout.readline()) for program in programs]
    finally:
        for program in programs:
            program.kill()
            program.wait()


def count_steps() -> None:
    """The program that is measured: a student's training steps a second, after the word "go"."""
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
    sys.stdin.readline()
    began, done = time.perf_counter(), 0
    while (seconds := time.perf_counter() - began) < SECONDS:
        step()
        done += 1
    print(done / seconds, flush=True)
    sys.stdin.readline()  # the others may still be measuring
