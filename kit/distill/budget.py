"""Compute how many steps of a distillation fit into a given time on this machine."""

import statistics
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

from kit.data.keyframe import Dataset
from kit.distill.loop import distill, make_fabric
from kit.distill.settings import DistillConfig
from kit.store import FeatureCache
from kit.student.student import Student
from kit.teacher.teacher import Teacher

TRIAL = 8  # steps whose time is taken; the first one is slower and does not count
FEWEST = 20
RESERVE = 0.9  # of the time is planned for: a machine that has been busy for minutes is slower


def steps_within(
    minutes: float,
    dataset: Dataset,
    teacher: Teacher,
    student: Student,
    config: DistillConfig,
    keyframes: Sequence[int],
    cache: FeatureCache | None = None,
) -> tuple[int, float]:
    """Number of steps that take about so many minutes, at most `config.steps`.

    A few steps of a copy of the student are made and timed; they are a part of the minutes. With a
    cache, each image goes through the teacher once; this time is counted for images, not for steps.

    Args:
        minutes: of the whole distillation.
        dataset, teacher, student, config, keyframes, cache: as in `kit.distill.loop.distill`.

    Returns:
        The number of steps, at least `FEWEST` of them, and the seconds that one of them takes. All
        processes of a run get those of the first one.
    """
    began, fabric = time.perf_counter(), make_fabric(config)
    trial = replace(config, steps=TRIAL)
    run = distill(
        dataset,
        teacher,
        deepcopy(student),
        trial,
        keyframes=keyframes,
        cache=cache,
        fabric=fabric,
        progress=False,
    )
    times = [row["seconds"] for row in run.history]
    looking = run.seconds.get("teacher", 0.0) / TRIAL
    step = statistics.median(b - a for a, b in zip(times[:-1], times[1:], strict=True))
    images = 0.0
    if cache is not None:
        step = max(step - looking, 0.1 * step)
        count = sum(len(dataset[i].cameras) for i in keyframes[:1]) * len(keyframes)
        images = looking / config.batch_size * count
    left = 60 * minutes - images - (time.perf_counter() - began)
    fitting = int(RESERVE * left / step)
    return fabric.broadcast((min(max(fitting, FEWEST), config.steps), step))
