"""The demo as shipped: seconds per step and per stage, memory, and the four linear probes."""

from collections.abc import Iterator
from tempfile import TemporaryDirectory

from kit.bench import Row, peak_memory
from kit.demo import DemoConfig, demo


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Run the demo on `data`, by default the street, and measure it."""
    config = DemoConfig(data=data or "street")
    with TemporaryDirectory() as folder:
        metrics = demo(config, folder, say=lambda _: None)
    yield Row("demo, start to end", metrics["seconds"], "s", "<= 300")
    yield from step_rows(metrics, config)
    yield Row("peak memory", peak_memory(), "MB", "<= 4000")
    probes = metrics["linear_probe"] or {}
    yield from probe_rows(probes)
    if probes:
        gain = probes["distilled"]["miou"] - probes["random"]["miou"]
        yield Row("distilled over random", 100 * gain, "points of mIoU", ">= 12")


def step_rows(metrics: dict, config: DemoConfig) -> Iterator[Row]:
    """Seconds per step and the ratio of each stage."""
    total = sum(metrics["seconds_by_stage"].values())
    yield Row("step", total / config.distill.steps, "s")
    for stage, seconds in metrics["seconds_by_stage"].items():
        yield Row(f"ratio of {stage}", 100 * seconds / total, "%")


def probe_rows(probes: dict) -> Iterator[Row]:
    """mIoU on held-out keyframes, of every source of features."""
    for name, probe in probes.items():
        yield Row(f"linear probe, {name}", 100 * probe["miou"], "% mIoU")
