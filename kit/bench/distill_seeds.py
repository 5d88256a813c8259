"""The linear probes of the demo with several seeds, of the training and of the probes.

A number of steps replaces the time limit, so that all runs are alike, on any machine.
"""

from collections.abc import Iterator
from dataclasses import replace

from kit.bench import Row
from kit.bench.distill import GAINS, miou_of, run_demo
from kit.demo import FIVE_MINUTES, DemoConfig
from kit.evaluate.protocols import OverSeeds

SEEDS = (0, 1, 2)
STEPS = 500  # about as many as five minutes allow on two cores


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Run the demo on `data`, by default the street, with each seed."""
    config = replace(FIVE_MINUTES, data=data or FIVE_MINUTES.data, minutes=None)
    runs = {s: miou_of(run_demo(_with_seed(config, s))["linear_probe"]) for s in SEEDS}
    for name in runs[SEEDS[0]]:
        miou = OverSeeds({seed: run[name] for seed, run in runs.items()})
        yield Row(f"{name}, mean of {len(SEEDS)} seeds", miou.mean, "% mIoU")
        yield Row(f"{name}, standard deviation", miou.deviation, "points of mIoU")
    for other, (title, bound) in GAINS.items():
        least = min(run["distilled"] - run[other] for run in runs.values())
        yield Row(f"distilled over {title}, least", least, "points of mIoU", bound)


def _with_seed(config: DemoConfig, seed: int) -> DemoConfig:
    distill = replace(config.distill, steps=STEPS, seed=seed)
    return replace(config, distill=distill, probe=replace(config.probe, seed=seed))
