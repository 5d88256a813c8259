"""The demo with ten minutes instead of five: its time and its linear probes."""

from collections.abc import Iterator
from dataclasses import replace

from kit.bench import Row
from kit.bench.distill import demo_rows
from kit.demo import FIVE_MINUTES


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Run the demo on `data`, by default the street, and measure it."""
    config = replace(FIVE_MINUTES, data=data or FIVE_MINUTES.data, minutes=10.0)
    yield from demo_rows(config)
