"""A smaller student, distilled longer and with augmentation as in the paper, and its teacher."""

from collections.abc import Iterator
from dataclasses import replace
from tempfile import TemporaryDirectory

from kit.bench import Row
from kit.bench.distill import probe_rows, step_rows
from kit.demo import LONG, demo


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Run the demo with `LONG` on `data`, by default the street, and measure it."""
    config = replace(LONG, data=data or "street")
    with TemporaryDirectory() as folder:
        metrics = demo(config, folder, say=lambda _: None)
    yield Row("long run, start to end", metrics["seconds"], "s", "<= 600")
    yield from step_rows(metrics)
    probes = metrics["linear_probe"] or {}
    yield from probe_rows(probes)
    if probes:
        gain = probes["distilled"]["miou"] - probes["teacher"]["miou"]
        yield Row("distilled over its teacher", 100 * gain, "points of mIoU", "> 0")
