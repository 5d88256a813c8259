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

from kit import store
from kit.bench import Row
from kit.data import open_dataset
from kit.data.split import split
from kit.demo import DemoConfig, learn, untrained_student
from kit.evaluate import probe_source, seen_points, student_source
from kit.probe import ProbeConfig
from kit.store import FeatureCache
from kit.teacher import Teacher

_SMALL_VIEWS = {"points_per_view": 4000, "steps": 240, "augment": True}
_PAPERS_VIEWS = {
    "voxel_size": 0.1,
    "points_per_view": 20_000,
    "batch_size": 4,
    "steps": 480,
    "augment": True,
}
# Highest rates: larger networks want smaller steps, as usual for AdamW.
GRIDS = {
    "cpu": {
        "wi 6 x 32": DemoConfig(width=32, lr=1e-2, **_SMALL_VIEWS),
        "wi 6 x 64": DemoConfig(width=64, lr=1e-2, **_SMALL_VIEWS),
        "wi 6 x 128": DemoConfig(lr=5e-3, **_SMALL_VIEWS),
        "wi 12 x 128": DemoConfig(student="wi-12-128", lr=4e-3, **_SMALL_VIEWS),
        "minkunet-18": DemoConfig(student="minkunet-18", lr=4e-3, **_SMALL_VIEWS),
    },
    "cuda": {
        "wi 6 x 64": DemoConfig(width=64, lr=1e-2, **_PAPERS_VIEWS),
        "wi 12 x 128": DemoConfig(student="wi-12-128", lr=4e-3, **_PAPERS_VIEWS),
        "wi 12 x 256": DemoConfig(depth=12, width=256, lr=3e-3, **_PAPERS_VIEWS),
        "wi 48 x 256": DemoConfig(student="wi-48-256", lr=2e-3, **_PAPERS_VIEWS),
        "wi 48 x 384": DemoConfig(student="wi-48-384", lr=1e-3, **_PAPERS_VIEWS),
        "minkunet-18": DemoConfig(student="minkunet-18", lr=4e-3, **_PAPERS_VIEWS),
        "minkunet-34": DemoConfig(student="minkunet-34", lr=4e-3, **_PAPERS_VIEWS),
    },
}
HOW = {"cpu": {}, "cuda": {"num_workers": 6, "precision": "bf16-mixed"}}
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
    parts, teacher, cache = split(dataset), Teacher(), FeatureCache()
    for name, size in GRIDS[device].items():
        config = replace(size, data=data or "street")
        settings = ProbeConfig(steps=100, seed=config.seed)
        with TemporaryDirectory() as folder:
            untrained = untrained_student(config, teacher).eval()
            head = {id(p) for p in untrained.classif.parameters()}
            number = sum(p.numel() for p in untrained.parameters() if id(p) not in head)
            yield Row(f"{name}: parameters", number / 1e6, "million, head aside")
            began = time.perf_counter()
            run = learn(config, Path(folder), dataset, parts, teacher, cache, **HOW[device])
            yield Row(f"{name}: distilling", time.perf_counter() - began, "s")
        for state, student in (("distilled", run.student), ("random", untrained)):
            probe = probe_source(
                student_source(student), dataset, parts.train, parts.held_out, settings, seen_points
            )
            yield Row(f"{name}: {state}", 100 * probe.miou, "% mIoU")
