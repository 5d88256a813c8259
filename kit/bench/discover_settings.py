"""Simulated streets, whose truth costs nothing, choose the method of discovery and its constants.

Foreground is found on streets that are used for nothing else, seen by two lidars: as shipped, by
other methods, with steps left out or added, and with each constant of `kit.discover` and
`kit.discover.components` changed alone. The bound says that nothing tried is clearly better on them.
"""

from collections.abc import Callable, Iterator
from types import ModuleType
from unittest.mock import patch

from torch import Tensor

import kit.discover
import kit.pieces
from kit.bench import Row
from kit.bench._asking import all_sources
from kit.bench.discover import ON_FEATURES, all_points, figures, truth
from kit.discover.components import mean_of_pieces
from kit.discover.foreground import (
    Geometry,
    by_clusters,
    by_shape,
    first_component,
    height_band,
    refine,
)
from kit.features.spaces import Features
from kit.store import FeatureCache
from kit.street.dataset import Street
from kit.teacher.presets import build_teacher

STREETS = [
    Street(num_scenes=5, keyframes_per_scene=1, seed=3000, sensor=sensor)
    for sensor in ("nuscenes", "pandaset")
]
Way = Callable[[Features, Geometry], Tensor]
WAYS: dict[str, Way] = {
    **{title: way for title, way in ON_FEATURES.items() if title != "refined"},
    "clusters over pieces": lambda f, g: mean_of_pieces(by_clusters(f, g), g.piece),
    "shape alone": lambda f, g: by_shape(g),
    "shape, refined without pieces": lambda f, g: refine(f, by_shape(g)),
    "heights, refined": lambda f, g: refine(f, height_band(g.height), piece=g.piece),
    "first component, refined": lambda f, g: refine(f, first_component(f, g).sign(), piece=g.piece),
    "clusters, refined": lambda f, g: refine(f, by_clusters(f, g).sign(), piece=g.piece),
    "two rounds": lambda f, g: refine(f, by_shape(g), 2, piece=g.piece),
    "three rounds": lambda f, g: refine(f, by_shape(g), 3, piece=g.piece),
    "five rounds": lambda f, g: refine(f, by_shape(g), 5, piece=g.piece),
}
CHOICES: list[tuple[ModuleType, str, tuple[float, ...]]] = [
    (kit.discover, "FLAT", (0.1, 0.2, 0.3)),
    (kit.discover, "LOW", (0.2, 0.3, 0.5, 0.6)),
    (kit.discover, "HIGH", (1.8, 2.0, 2.5, 3.0, 4.0)),
    (kit.discover, "TOP", (2.5, 3.2, 3.6, 4.2)),
    (kit.discover, "TALL", (3.2, 4.0, 5.0)),
    (kit.discover, "ROUGH", (0.03, 0.05, 0.07, 0.08, 1.0)),  # 1: plants are things too
    (kit.discover.components, "FLOOR", (0.1, 0.15, 0.2, 0.3, 0.4)),
    (kit.discover.components, "GAP", (0.3, 0.4, 0.5, 0.6)),
    (kit.discover.components, "GAP_PER_METRE", (0.02, 0.025, 0.03)),
    (kit.discover.components, "NEIGHBOURS", (6, 10, 16)),
    (kit.discover.components, "PATCH", (12, 16, 24, 32, 48)),
    (kit.discover.components, "GRAIN", (0.05, 0.1, 0.15)),
]
UNIT = "mean of AP and F1"
AS_GOOD = 0.002  # a tolerance for ten scans, chosen and not measured


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Report everything that was tried; `data` is not looked at."""
    look = all_sources(build_teacher(), FeatureCache())["student of the street"]
    keyframes = []
    for street in STREETS:
        street.prepare()
        keyframes += [street[index] for index in range(len(street))]
    features = [look(keyframe) for keyframe in keyframes]
    truths = [truth(keyframe) for keyframe in keyframes]

    def reached(way: Way = ON_FEATURES["refined"]) -> float:
        geometries = [
            Geometry.of(k.points).of_rows(f.index) for k, f in zip(keyframes, features, strict=True)
        ]
        scores = [all_points(f, way(f, g)) for f, g in zip(features, geometries, strict=True)]
        found = figures(scores, truths)
        return (found["AP"] + found["F1"]) / 2

    shipped = best = reached()
    yield Row("as shipped", shipped, UNIT)
    for title, changed in _changes(reached):
        best = max(best, changed)
        yield Row(title, changed, UNIT)
    yield Row("lost against the best of them", best - shipped, UNIT, f"<= {AS_GOOD}")


def _changes(reached: Callable[..., float]) -> Iterator[tuple[str, float]]:
    for title, way in WAYS.items():
        yield title, reached(way)
    for module, name, values in CHOICES:
        for value in values:
            if value != getattr(module, name):
                with patch.object(module, name, value):
                    changed = reached()
                yield f"{name} {value}", changed
