"""Where the constants of discovery come from: simulated streets, whose truth costs nothing.

Every constant is changed alone, and foreground is found on streets that are used for nothing else,
seen by two lidars. No label of a recording has a part in it. The bound says that what is in the
code is what the streets choose, or as good.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from types import ModuleType
from unittest.mock import patch

import kit.discover
import kit.pieces
from kit.bench import Row
from kit.bench._asking import looks
from kit.bench.discover import all_points, figures, truth
from kit.data.keyframe import Keyframe
from kit.data.street import Street
from kit.discover import Geometry, by_shape, refine
from kit.spaces import Features
from kit.store import FeatureCache
from kit.teacher import Teacher

STREETS = [
    Street(num_scenes=5, keyframes_per_scene=1, seed=3000, sensor=sensor)
    for sensor in ("nuscenes", "pandaset")
]
CHOICES: list[tuple[ModuleType, str, tuple[float, ...]]] = [
    (kit.discover, "LOW", (0.2, 0.3, 0.5)),
    (kit.discover, "HIGH", (2.0, 2.5, 3.0, 4.0)),
    (kit.discover, "TOP", (2.5, 3.2, 3.6, 4.2)),
    (kit.discover, "TALL", (3.2, 4.0, 5.0)),
    (kit.discover, "ROUGH", (0.03, 0.05, 0.07)),
    (kit.pieces, "STANDING", (0.2, 0.3, 0.4)),
    (kit.pieces, "GAP", (0.3, 0.4, 0.5)),
    (kit.pieces, "GAP_PER_METRE", (0.02, 0.025, 0.03)),
    (kit.pieces, "PATCH", (12, 16, 24)),
    (kit.pieces, "GRAIN", (0.05, 0.1, 0.15)),
]
AS_GOOD = 0.01  # of average precision and F1 together; less is chance on ten scans


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Report every constant's neighbours; `data` is not looked at."""
    look = looks(Teacher(), FeatureCache())["student of the street"]
    keyframes = []
    for street in STREETS:
        street.prepare()
        keyframes += [street[index] for index in range(len(street))]
    features = [look(keyframe) for keyframe in keyframes]
    shipped = _found(keyframes, features, {})
    yield from _rows("as shipped", shipped)
    best = sum(shipped.values())
    for module, name, values in CHOICES:
        for value in values:
            if value != getattr(module, name):
                found = _found(keyframes, features, {(module, name): value})
                best = max(best, sum(found.values()))
                yield from _rows(f"{name} {value}", found)
    lost = (best - sum(shipped.values())) / 2
    yield Row("lost against the best of them", lost, "AP and F1", f"<= {AS_GOOD}")


def _found(
    keyframes: list[Keyframe],
    features: list[Features],
    changes: dict[tuple[ModuleType, str], float],
) -> dict[str, float]:
    """Average precision and F1 with some constants changed."""
    with ExitStack() as changed:
        for (module, name), value in changes.items():
            changed.enter_context(patch.object(module, name, value))
        scores = []
        for keyframe, feature in zip(keyframes, features, strict=True):
            geometry = Geometry.of(keyframe.points).of_rows(feature.rows)
            score = refine(feature, by_shape(geometry), piece=geometry.piece)
            scores.append(all_points(feature, score))
    found = figures(scores, [truth(keyframe) for keyframe in keyframes])
    return {unit: found[unit] for unit in ("AP", "F1")}


def _rows(title: str, found: dict[str, float]) -> Iterator[Row]:
    for unit, value in found.items():
        yield Row(f"{title}, {unit}", value, unit)
