"""Choice of the method of discovery and of its settings, on simulated streets.

Foreground is found on streets that are used for nothing else, with three lidars: as shipped, by
other methods, with steps left out or added, and with each field of `DiscoverConfig` changed alone.
The target says that nothing that was tried is clearly better.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from kit.bench import Row
from kit.bench._asking import all_sources
from kit.bench.discover import METHODS, scored_foreground
from kit.discover.components import mean_of_components
from kit.discover.foreground import all_points, cluster_score, principal_component_score, refine
from kit.discover.settings import DiscoverConfig
from kit.discover.shape import Geometry, height_band_score, shape_score
from kit.evaluate.metrics import foreground_metrics
from kit.features.spaces import Features
from kit.store import FeatureCache
from kit.street.dataset import Street
from kit.teacher.presets import build_teacher

STREETS = [
    Street(num_scenes=12, keyframes_per_scene=1, seed=3100, sensor=sensor)
    for sensor in ("nuscenes", "pandaset", "kitti")
]
Method = Callable[[Features, Geometry], Tensor]


def _refined(initial: Callable[[Features, Geometry], Tensor], rounds: int = 1) -> Method:
    def method(features: Features, geometry: Geometry) -> Tensor:
        config = replace(geometry.config, rounds=rounds)
        return refine(features, initial(features, geometry), geometry.component, config)

    return method


VARIANTS: dict[str, Method] = {
    **{title: method for title, method in METHODS.items() if title != "refined"},
    "clusters over connected components": lambda f, g: mean_of_components(
        cluster_score(f, g), g.component
    ),
    "shape alone": lambda f, g: shape_score(g),
    "shape, refined without connected components": lambda f, g: refine(f, shape_score(g)),
    "heights, refined": _refined(lambda f, g: height_band_score(g.height)),
    "first component, refined": _refined(lambda f, g: principal_component_score(f, g).sign()),
    "clusters, refined": _refined(lambda f, g: cluster_score(f, g).sign()),
    "two rounds": _refined(lambda f, g: shape_score(g), 2),
    "three rounds": _refined(lambda f, g: shape_score(g), 3),
    "five rounds": _refined(lambda f, g: shape_score(g), 5),
}
VALUES: dict[str, tuple[float | str, ...]] = {
    "prior": ("none", "veto", "both"),
    "ground_node": (3.0, 5.0, 10.0),
    "ground_stiffness": (0.1, 1.0, 10.0, 1e6),  # the last one leaves the plane as it is
    "ground_tolerance": (0.1, 0.2, 0.3),
    "min_height": (0.2, 0.3, 0.5, 0.6),
    "max_height": (1.8, 2.0, 2.5, 3.0, 4.0),
    "max_top": (2.5, 3.2, 3.6, 4.2),
    "tall_top": (3.2, 4.0, 5.0),
    "max_surface_variation": (0.03, 0.05, 0.06, 0.07, 0.08, 1.0),  # 1: plants are foreground too
    "component_floor": (0.1, 0.15, 0.2, 0.3, 0.4),
    "component_gap": (0.3, 0.4, 0.5, 0.6),
    "component_gap_per_metre": (0.02, 0.025, 0.03),
    "max_component_length": (12.0, 15.0, 18.0, 25.0, 1e4),
    "component_neighbours": (6, 10, 16),
    "surface_neighbours": (8, 12, 14, 16, 24, 32, 48),
    "surface_voxel": (0.05, 0.1, 0.15),
}
SHIPPED = DiscoverConfig()
UNIT = "mean of AP and F1"
TOLERANCE = 0.002  # for 36 scans; other scans change a score by more


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Measure everything that is tried; `data` is not used."""
    measure = measured_on(STREETS)
    shipped = best = measure()
    yield Row("as shipped", shipped, UNIT)
    for title, changed in _changes(measure):
        best = max(best, changed)
        yield Row(title, changed, UNIT)
    yield Row("lost against the best of them", best - shipped, UNIT, f"<= {TOLERANCE}")


def measured_on(streets: Sequence[Street]) -> Callable[..., float]:
    """Function that scores a method with settings on all keyframes: the mean of AP and F1."""
    source = all_sources(build_teacher(), FeatureCache())["student of the street"]
    keyframes = []
    for street in streets:
        street.prepare()
        keyframes += [street[index] for index in range(len(street))]
    features = [source(keyframe) for keyframe in keyframes]
    annotations = [scored_foreground(keyframe) for keyframe in keyframes]

    def measure(method: Method = METHODS["refined"], config: DiscoverConfig = SHIPPED) -> float:
        geometries = [
            Geometry.of(k.points, config).restrict(f.index)
            for k, f in zip(keyframes, features, strict=True)
        ]
        scores = [all_points(f, method(f, g)) for f, g in zip(features, geometries, strict=True)]
        found = foreground_metrics(scores, annotations)
        return (found["AP"] + found["F1"]) / 2

    return measure


def _changes(measure: Callable[..., float]) -> Iterator[tuple[str, float]]:
    for title, method in VARIANTS.items():
        yield title, measure(method)
    for title, config in changed_settings(VALUES):
        yield title, measure(config=config)


def changed_settings(
    values: Mapping[str, Sequence[float | str]],
) -> Iterator[tuple[str, DiscoverConfig]]:
    """Each setting changed alone, with a title."""
    for name, tried in values.items():
        for value in tried:
            if value != getattr(SHIPPED, name):
                yield f"{name} {value}", replace(SHIPPED, **{name: value})
