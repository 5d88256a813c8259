"""Classes of a benchmark: names, colours, and the map from raw label ids to class indices."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Int, Integer, UInt8
from torch import Tensor

IGNORE = 255  # label of points that are not scored
UNKNOWN = -1  # in `ClassMap.class_of_raw`: this raw id does not exist


@dataclass(frozen=True)
class ClassMap:
    """The classes of a benchmark.

    Attributes:
        name: of the set of classes.
        names: C class names; a label is an index into them.
        colours: C colours, (red, green, blue) in 0..255.
        class_of_raw: for every raw label id its class index, IGNORE, or UNKNOWN. Larger ids are
            unknown too.
    """

    name: str
    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    class_of_raw: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def colour_table(self) -> UInt8[Tensor, "256 3"]:
        """(256, 3) colours by label; grey for IGNORE and for labels without a class."""
        table = torch.full((256, 3), 128, dtype=torch.uint8)
        table[: len(self)] = torch.tensor(self.colours, dtype=torch.uint8)
        return table

    def from_raw(self, raw: Integer[Tensor, " N"], source: str) -> Int[Tensor, " N"]:
        """Map raw label ids to class indices.

        Raises:
            ValueError: ids without an entry, naming `source` (the file) and the ids.
        """
        table = torch.tensor((*self.class_of_raw, UNKNOWN))
        outside = (raw < 0) | (raw >= len(self.class_of_raw))
        labels = table[torch.where(outside, len(self.class_of_raw), raw.long())]
        if (labels == UNKNOWN).any():
            unknown = raw[labels == UNKNOWN].unique().tolist()
            known = sum(entry != UNKNOWN for entry in self.class_of_raw)
            raise ValueError(
                f"{source}: label ids {unknown[:10]} are not among the {known} ids of {self.name}; "
                "is this file labelled for another data set?"
            )
        return labels


_NUSCENES = ClassMap(
    name="nuScenes lidarseg, 16 classes",
    names=(
        "barrier",
        "bicycle",
        "bus",
        "car",
        "construction_vehicle",
        "motorcycle",
        "pedestrian",
        "traffic_cone",
        "trailer",
        "truck",
        "driveable_surface",
        "other_flat",
        "sidewalk",
        "terrain",
        "manmade",
        "vegetation",
    ),
    colours=(
        (112, 128, 144),
        (220, 20, 60),
        (255, 127, 80),
        (255, 158, 0),
        (233, 150, 70),
        (255, 61, 99),
        (0, 0, 230),
        (47, 79, 79),
        (255, 140, 0),
        (255, 99, 71),
        (0, 207, 191),
        (175, 0, 75),
        (75, 0, 75),
        (112, 180, 60),
        (222, 184, 135),
        (0, 175, 0),
    ),
    class_of_raw=(),
)

# Raw category -> class, None if it is not scored; in the order of the raw ids 0..31.
# Source: the nuScenes lidarseg challenge (devkit, python-sdk/nuscenes/eval/lidarseg).
_CLASS_OF_CATEGORY = {
    "noise": None,
    "animal": None,
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.personal_mobility": None,
    "human.pedestrian.police_officer": "pedestrian",
    "human.pedestrian.stroller": None,
    "human.pedestrian.wheelchair": None,
    "movable_object.barrier": "barrier",
    "movable_object.debris": None,
    "movable_object.pushable_pullable": None,
    "movable_object.trafficcone": "traffic_cone",
    "static_object.bicycle_rack": None,
    "vehicle.bicycle": "bicycle",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.car": "car",
    "vehicle.construction": "construction_vehicle",
    "vehicle.emergency.ambulance": None,
    "vehicle.emergency.police": None,
    "vehicle.motorcycle": "motorcycle",
    "vehicle.trailer": "trailer",
    "vehicle.truck": "truck",
    "flat.driveable_surface": "driveable_surface",
    "flat.other": "other_flat",
    "flat.sidewalk": "sidewalk",
    "flat.terrain": "terrain",
    "static.manmade": "manmade",
    "static.other": None,
    "static.vegetation": "vegetation",
    "vehicle.ego": None,
}
CATEGORIES = tuple(_CLASS_OF_CATEGORY)  # raw label id -> category name


def nuscenes_classes(index_of_category: Mapping[str, int]) -> ClassMap:
    """Make the class map of nuScenes lidarseg, 16 classes, for given raw label ids.

    Args:
        index_of_category: raw label id by category name, as listed in category.json of a data set;
            categories may be missing.

    Raises:
        ValueError: a name is not a nuScenes category, or two names share an id.

    Source: the nuScenes lidarseg challenge merges the categories by name.
    """
    class_of_raw = [UNKNOWN] * 256
    for category, index in index_of_category.items():
        if category not in _CLASS_OF_CATEGORY:
            raise ValueError(
                f"category {category!r} is not one of the {len(_CLASS_OF_CATEGORY)} of nuScenes "
                "lidarseg, so its class is unknown. Rename it to one of them; 'noise' is not scored"
            )
        if not 0 <= index <= 255 or class_of_raw[index] != UNKNOWN:
            raise ValueError(
                f"category {category!r} has the index {index}: each needs its own, in 0..255"
            )
        name = _CLASS_OF_CATEGORY[category]
        class_of_raw[index] = IGNORE if name is None else _NUSCENES.names.index(name)
    used = max(index_of_category.values(), default=-1) + 1
    return replace(_NUSCENES, class_of_raw=tuple(class_of_raw[:used]))


NUSCENES = nuscenes_classes({name: index for index, name in enumerate(_CLASS_OF_CATEGORY)})
