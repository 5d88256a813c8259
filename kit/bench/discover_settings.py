"""Do simulated streets, whose truth costs nothing, agree with the constants of discovery?

Every constant is changed alone, and foreground is found on streets that are used for nothing else,
seen by two lidars. The bound says that no other value tried is clearly better on them.
"""

from collections.abc import Iterator
from types import ModuleType
from unittest.mock import patch

import kit.discover
import kit.pieces
from kit.bench import Row
from kit.bench._asking import looks
from kit.bench.discover import all_points, figures, truth
from kit.data.street import Street
from kit.discover import find_foreground
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
UNIT = "mean of AP and F1"
AS_GOOD = 0.01  # a tolerance for ten scans, chosen and not measured


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Report every constant's neighbours; `data` is not looked at."""
    look = looks(Teacher(), FeatureCache())["student of the street"]
    keyframes = []
    for street in STREETS:
        street.prepare()
        keyframes += [street[index] for index in range(len(street))]
    features = [look(keyframe) for keyframe in keyframes]
    truths = [truth(keyframe) for keyframe in keyframes]

    def found() -> float:
        scores = [
            all_points(feature, find_foreground(keyframe, feature))
            for keyframe, feature in zip(keyframes, features, strict=True)
        ]
        reached = figures(scores, truths)
        return (reached["AP"] + reached["F1"]) / 2

    shipped = best = found()
    yield Row("as shipped", shipped, UNIT)
    for module, name, values in CHOICES:
        for value in values:
            if value == getattr(module, name):
                continue
            with patch.object(module, name, value):
                changed = found()
            best = max(best, changed)
            yield Row(f"{name} {value}", changed, UNIT)
    yield Row("lost against the best of them", best - shipped, UNIT, f"<= {AS_GOOD}")
