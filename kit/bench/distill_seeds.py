"""The table of the demo with other seeds: of the views, of the augmentation, of the probes.

A number of steps replaces the time limit, so that all runs are alike, on any machine.
"""

from collections.abc import Iterator
from dataclasses import replace
from statistics import mean, stdev
from tempfile import TemporaryDirectory

from kit.bench import Row
from kit.demo import FIVE_MINUTES, DemoConfig, demo

SEEDS = (0, 1, 2)
STEPS = 500  # about as many as five minutes allow on two cores


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Run the demo on `data`, by default the street, with each seed."""
    config = replace(FIVE_MINUTES, data=data or FIVE_MINUTES.data, minutes=None)
    runs = [_miou(_with_seed(config, seed)) for seed in SEEDS]
    for name in runs[0]:
        values = [run[name] for run in runs]
        yield Row(f"{name}, mean of {len(SEEDS)} seeds", mean(values), "% mIoU")
        yield Row(f"{name}, standard deviation", stdev(values), "points of mIoU")
    for other, bound in (("random", ">= 12"), ("teacher", "> 0")):
        least = min(run["distilled"] - run[other] for run in runs)
        yield Row(f"distilled over {other}, least", least, "points of mIoU", bound)


def _with_seed(config: DemoConfig, seed: int) -> DemoConfig:
    distill = replace(config.distill, steps=STEPS, seed=seed)
    return replace(config, distill=distill, probe=replace(config.probe, seed=seed))


def _miou(config: DemoConfig) -> dict[str, float]:
    """The linear probe's mIoU in percent, by the kind of features."""
    with TemporaryDirectory() as folder:
        probes = demo(config, folder, say=lambda _: None)["linear_probe"]
    return {name: 100 * probe["miou"] for name, probe in probes.items()}
