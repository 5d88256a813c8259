"""What a student's size and kind are worth: the paper's second claim, on a small grid.

Every student of a grid is distilled with the same steps and views, then probed linearly; random
weights of the same size are probed beside it. A GPU has a larger grid than a CPU. Notebook 09 draws
the files in `results`, which are from two CPU cores:

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
from kit.evaluate.protocols import probe_dataset, seen_points
from kit.features.extract import source
from kit.store import FeatureCache
from kit.store import files as store
from kit.student.presets import preset
from kit.teacher.presets import build_teacher


def _views(student: str, lr: float, **changes) -> DemoConfig:
    """A student on small views, as a CPU can take them."""
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


# Highest rates: larger networks want smaller steps, as usual for AdamW.
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
RESULTS = Path(__file__).parent / "results"


def measured(name: str) -> dict[str, dict[str, float]]:
    """What this bench measured on "street" or "pandaset", by quantity and student.

    Raises:
        ValueError: nothing was measured under this name; lists what was.
    """
    there = {file.stem.removeprefix("capacity_"): file for file in RESULTS.glob("capacity_*.json")}
    if name not in there:
        raise ValueError(f"no figures of {name!r}; there are {', '.join(sorted(there)) or 'none'}")
    table: dict[str, dict[str, float]] = {}
    for row in store.read_json(there[name])["rows"]:
        student, _, quantity = row["name"].partition(": ")
        table.setdefault(quantity, {})[student] = row["value"]
    return table


def rows(data: str | None, device: str) -> Iterator[Row]:
    """For every student of the device's grid: parameters, seconds of distilling, held-out mIoU."""
    dataset = open_dataset(data or "street")
    dataset.prepare()
    parts, teacher, cache = split(dataset), build_teacher(), FeatureCache()
    for name, size in GRIDS[device].items():
        config = replace(size, data=data or "street")
        settings = ProbeConfig(steps=100)
        with TemporaryDirectory() as folder:
            untrained = untrained_student(config, teacher).eval()
            head = {id(p) for p in untrained.classif.parameters()}
            number = sum(p.numel() for p in untrained.parameters() if id(p) not in head)
            yield Row(f"{name}: parameters", number / 1e6, "million, head aside")
            began = time.perf_counter()
            run = learn(config, Path(folder), dataset, parts, teacher, cache)
            yield Row(f"{name}: distilling", time.perf_counter() - began, "s")
        for state, student in (("distilled", run.student), ("random", untrained)):
            last = source(student, layer=student.layers[-1])
            probe = probe_dataset(last, dataset, parts.train, parts.held_out, settings, seen_points)
            yield Row(f"{name}: {state}", 100 * probe.miou, "% mIoU")
