"""Robustness of the student of the street on corrupted scans, against random weights.

    python -m kit bench robustness --data <root of a data set with labels>

Probes are fitted to clean scans. The corruption error (mCE) is relative to the baseline, which is a
student of the same size with random weights; below 100 % the student is more robust than it.
"""

from collections.abc import Iterator

from kit.bench import Row
from kit.data import open_dataset
from kit.data.split import split
from kit.evaluate.probe import ProbeConfig
from kit.evaluate.protocols import last_layer, probe_dataset, seen_points
from kit.evaluate.resilience import Robustness, robustness
from kit.student.presets import build_student
from kit.student.pretrained import pretrained

PROBE = ProbeConfig(points_per_keyframe=5_000)
TESTED = 3  # held-out keyframes; each is scored with every corruption and severity


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Corrupt scans of `data`, by default of the street, and score both students."""
    dataset = open_dataset(data or "street")
    dataset.prepare()
    parts, student = split(dataset), pretrained("street")
    tested = parts.held_out[:: max(1, len(parts.held_out) // TESTED)][:TESTED]
    found: dict[str, Robustness] = {}
    untrained = build_student(student.config, student.config.head[-1])
    for name, model in {"random": untrained, "student": student}.items():
        last = last_layer(model.eval().to(device))
        probe = probe_dataset(last, dataset, parts.train, tested, PROBE, seen_points)
        found[name] = robustness(last, probe.head, dataset, tested)
        yield from _of_one(name, found[name])
    own, baseline = found["student"], found["random"]
    for name, error in own.corruption_error(baseline).items():
        yield Row(f"student, corruption error, {name}", 100 * error, "%")
    yield Row("student, corruption error, mean", 100 * own.mce(baseline), "%", "< 100")


def _of_one(name: str, found: Robustness) -> Iterator[Row]:
    yield Row(f"{name}, clean", 100 * found.clean, "% mIoU")
    for corruption, values in found.corrupted.items():
        for severity, value in enumerate(values, 1):
            yield Row(f"{name}, {corruption} {severity}", 100 * value, "% mIoU")
        yield Row(f"{name}, resilience, {corruption}", 100 * found.resilience[corruption], "%")
    yield Row(f"{name}, resilience, mean", 100 * found.mrr, "%")
