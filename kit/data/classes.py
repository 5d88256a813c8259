"""Class names, colours, and the maps from a data set's raw label ids to them."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

IGNORE = 255  # label of points that are not scored


@dataclass(frozen=True)
class ClassMap:
    """The classes of a benchmark.

    Attributes:
        name: what the set of classes is called.
        names: C class names; a label is an index into them.
        colours: C colours, (red, green, blue) in 0..255.
        class_of_raw: for every raw label id its class index, or IGNORE. Ids beyond it are unknown.
    """

    name: str
    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    class_of_raw: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def colour_table(self) -> UInt8[Tensor, "256 3"]:
        """(256, 3) colours by label; grey for IGNORE and anything without a class."""
        table = torch.full((256, 3), 128, dtype=torch.uint8)
        table[: len(self)] = torch.tensor(self.colours, dtype=torch.uint8)
        return table

    def from_raw(self, raw: Int[Tensor, " N"], source: str) -> Int[Tensor, " N"]:
        """Map raw label ids to class indices.

        Raises:
            ValueError: ids without an entry, naming `source` (the file) and the ids.
        """
        unknown = raw[(raw < 0) | (raw >= len(self.class_of_raw))].unique().tolist()
        if unknown:
            raise ValueError(
                f"{source}: label ids {unknown[:10]} are not among the {len(self.class_of_raw)} ids "
                f"of {self.name}; is this file labelled for another data set?"
            )
        return torch.tensor(self.class_of_raw)[raw.long()]


# Source of the 32 -> 16 map: nuScenes lidarseg challenge (devkit, python-sdk/nuscenes/eval/lidarseg).
NUSCENES = ClassMap(
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
    class_of_raw=tuple(
        IGNORE if one_based == 0 else one_based - 1
        for one_based in (
            *(0, 0, 7, 7, 7, 0, 7, 0, 0, 1, 0, 0, 8, 0, 2, 3),
            *(3, 4, 5, 0, 0, 6, 9, 10, 11, 12, 13, 14, 15, 0, 16, 0),
        )
    ),
)
