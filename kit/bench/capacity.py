"""Capacity: mIoU of students of several sizes and kinds; the paper's second claim on a small scale.

Every student of a grid is distilled with the same steps and views, then probed linearly. Random
weights of the same size are probed too. A GPU has a larger grid than a CPU. Notebook 09 draws the
files in `results`, measured on two CPU cores:

    python -m kit bench capacity [--data <root>] --out kit/bench/results/capacity_<name>.json

Source of the claim: arXiv:2310.17504, abstract of the first version.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from kit.bench import Row
from kit.data import open_dataset
from kit.data.split import split
from kit.demo import DemoConfig, learn, small, untrained_student
from kit.distill.settings import DistillConfig
from kit.evaluate.probe import ProbeConfig
from kit.evaluate.protocols import last_layer, probe_dataset, seen_points
from kit.store import FeatureCache
from kit.student.presets import preset
from kit.student.student import Student
from kit.teacher.presets import build_teacher


def _views(student: str, lr: float, **changes) -> DemoConfig:
    """A student on small views, for a CPU."""
    return DemoConfig(
        student=small(student, 4000, **changes),
        distill=DistillConfig(steps=240, batch_size=2, lr=lr),
    )


def _papers_views(student: str, lr: float, **changes) -> DemoConfig:
    """A student on views as large as the paper's, for a GPU."""
    return DemoConfig(
        student=replace(preset(student), **changes),
        distill=DistillConfig(
            steps=480, batch_size=4, lr=lr, num_workers=6, precision="bf16-mixed"
        ),
    )


# By highest learning rate: larger networks need a lower one, as usual with AdamW.
GRIDS = {
    "cpu": {
        "wi 6 x 32": _views("wi-6-64", 1e-2, width=32),
        "wi 6 x 64": _views("wi-6-64", 1e-2),
        "wi 6 x 128": _views("wi-6-128", 5e-3),
        "wi 12 x 128": _views("wi-12-128", 4e-3),
        "minkunet-18": _views("minkunet-18", 4e-3),
    },
    "cuda": {
        "wi 6 x 64": _papers_views("wi-6-64", 1e-2),
        "wi 12 x 128": _papers_views("wi-12-128", 4e-3),
        "wi 12 x 256": _papers_views("wi-12-128", 3e-3, width=256),
        "wi 48 x 256": _papers_views("wi-48-256", 2e-3),
        "wi 48 x 384": _papers_views("wi-48-384", 1e-3),
        "minkunet-18": _papers_views("minkunet-18", 4e-3),
        "minkunet-34": _papers_views("minkunet-34", 4e-3),
    },
}
PROBE = ProbeConfig(steps=100)


def _num_parameters(student: Student) -> int:
    """Parameters before the distillation head."""
    parts = (part for parts in student.stages().values() for part in parts)
    return sum(p.numel() for part in parts for p in part.parameters())


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Measure every student of the device's grid on `data`, by default the street."""
    dataset = open_dataset(data or "street")
    dataset.prepare()
    parts, teacher, cache = split(dataset), build_teacher(), FeatureCache()
    for name, size in GRIDS[device].items():
        config = replace(size, data=data or "street")
        with TemporaryDirectory() as folder:
            untrained = untrained_student(config, teacher).eval()
            yield Row(f"{name}: parameters", _num_parameters(untrained) / 1e6, "million, no head")
            began = time.perf_counter()
            run = learn(config, Path(folder), dataset, parts, teacher, cache)
            yield Row(f"{name}: distilling", time.perf_counter() - began, "s")
        for state, student in (("distilled", run.student), ("random", untrained)):
            last = last_layer(student)
            probe = probe_dataset(last, dataset, parts.train, parts.held_out, PROBE, seen_points)
            yield Row(f"{name}: {state}", 100 * probe.miou, "% mIoU")
