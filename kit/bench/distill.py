"""The demo as shipped: seconds per step and per stage, memory, and the linear probes.

Also the student of the same demo from random weights, with as many minutes.
"""

from collections.abc import Generator, Iterator
from dataclasses import replace
from tempfile import TemporaryDirectory

from kit.bench import Row, peak_memory
from kit.demo import FIVE_MINUTES, DemoConfig, LearnConfig, demo

# What the distilled student is compared with, and by how many points it has to be better.
GAINS = {"random": ("random", ">= 12"), "teacher": ("its teacher", "> 0")}


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Run the demo on `data`, by default the street, and measure it."""
    config = replace(FIVE_MINUTES, data=data or FIVE_MINUTES.data)
    probes = yield from demo_rows(config)
    if probes:
        other = miou_of(run_demo(from_random(config))["linear_probe"])["distilled"]
        yield Row("linear probe, distilled from random weights", other, "% mIoU")


def demo_rows(config: DemoConfig) -> Generator[Row, None, dict]:
    """Run a demo with a time limit and measure it; returns its probes, empty without labels."""
    metrics = run_demo(config)
    yield Row("demo, start to end", metrics["seconds"], "s", f"<= {60 * config.minutes:.0f}")
    yield from step_rows(metrics)
    yield Row("peak memory", peak_memory(), "MB", "<= 4000")
    probes = metrics["linear_probe"] or {}
    yield from probe_rows(probes)
    if probes:
        miou = miou_of(probes)
        for other, (title, bound) in GAINS.items():
            gain = miou["distilled"] - miou[other]
            yield Row(f"distilled over {title}", gain, "points of mIoU", bound)
    return probes


def from_random(config: DemoConfig) -> DemoConfig:
    """The same demo with the student of `LearnConfig` from random weights, with its higher lr."""
    plain = LearnConfig()
    distill = replace(config.distill, lr=plain.distill.lr)
    return replace(config, student=plain.student, init="none", distill=distill)


def run_demo(config: DemoConfig) -> dict:
    """The metrics of a demo, whose files are deleted."""
    with TemporaryDirectory() as folder:
        return demo(config, folder, say=lambda _: None)


def miou_of(probes: dict) -> dict[str, float]:
    """The linear probe's mIoU in percent, by the kind of features."""
    return {name: 100 * probe["miou"] for name, probe in probes.items()}


def step_rows(metrics: dict) -> Iterator[Row]:
    """Seconds per step and the ratio of each stage."""
    total = sum(metrics["seconds_by_stage"].values())
    yield Row("step", total / metrics["config"]["distill"]["steps"], "s")
    for stage, seconds in metrics["seconds_by_stage"].items():
        yield Row(f"ratio of {stage}", 100 * seconds / total, "%")


def probe_rows(probes: dict) -> Iterator[Row]:
    """mIoU on held-out keyframes, of every source of features."""
    for name, miou in miou_of(probes).items():
        yield Row(f"linear probe, {name}", miou, "% mIoU")
