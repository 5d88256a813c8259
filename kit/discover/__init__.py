"""Discovery without labels: foreground, objects, and classes of objects without names.

In: a keyframe and features of its points. Out: a foreground score for every point, objects with
boxes, and unsupervised classes. Read `foreground.py` first, then `shape.py`, `objects.py`,
`settings.py` (all settings) and `prior.py` (a score that was learned on simulated streets).
"""

from kit.data.ground import height_above_ground
from kit.discover.columns import top_of_column
from kit.discover.components import connected_components, mean_of_components, surface_variation
from kit.discover.foreground import (
    background_seed,
    cluster_score,
    find_foreground,
    principal_component_score,
    refine,
    seed_score,
)
from kit.discover.objects import (
    Objects,
    box_around,
    find_objects,
    object_features,
    unsupervised_classes,
)
from kit.discover.settings import DiscoverConfig
from kit.discover.shape import Geometry, height_band_score, shape_score

__all__ = [
    "DiscoverConfig",
    "Geometry",
    "Objects",
    "background_seed",
    "box_around",
    "cluster_score",
    "connected_components",
    "find_foreground",
    "find_objects",
    "height_above_ground",
    "height_band_score",
    "mean_of_components",
    "object_features",
    "principal_component_score",
    "refine",
    "seed_score",
    "shape_score",
    "surface_variation",
    "top_of_column",
    "unsupervised_classes",
]
