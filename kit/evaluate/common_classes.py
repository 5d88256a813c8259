"""Classes that data sets have in common, so that a probe of one is scored on another.

Each data set has its own classes: 16, 17, 18, 19, or types of boxes only. Here they are merged into
nine groups that most of them can tell apart. For example nuScenes has no class for poles; there,
they belong to `manmade`, so all poles, signs and fences are "built" here.
"""

import colorsys

import torch
from jaxtyping import Int
from torch import Tensor

from kit.data.classes import IGNORE, ClassMap

# Names of classes by group, in lower case and with spaces. Classes that are in no group, such as
# temporary barriers, traffic cones, animals and "other" ground, are not compared.
_CLASSES = {
    "road": "driveable surface, road, road marking, parking, asphalt, concrete",
    "sidewalk": "sidewalk, driveway",
    "terrain": "terrain, ground, grass, dirt, mud, puddle",
    "built": "manmade, building, fence, pole, traffic sign",
    "vegetation": "vegetation, trunk, tree, bush, log",
    "car": "car, van, regular vehicle, vehicle",
    "truck": (
        "truck, bus, trailer, construction vehicle, other vehicle, tram, large vehicle, box truck, "
        "truck cab, vehicular trailer, articulated bus, school bus, railed vehicle, "
        "message board trailer, traffic light trailer"
    ),
    "person": "pedestrian, person, person sitting, official signaler",
    "two-wheeler": (
        "bicycle, motorcycle, bicyclist, motorcyclist, cyclist, wheeled rider, wheeled device"
    ),
}
GROUPS = tuple(_CLASSES)
MOVABLE = ("car", "truck", "person", "two-wheeler")  # boxes are annotated around these
OTHER = len(GROUPS)  # label of annotated points of no group

_GROUP_OF = {name: group for group, names in _CLASSES.items() for name in names.split(", ")}


def _colours() -> tuple[tuple[int, int, int], ...]:
    hues = (colorsys.hsv_to_rgb(i / len(GROUPS), 0.8, 0.9) for i in range(len(GROUPS)))
    return tuple((round(255 * r), round(255 * g), round(255 * b)) for r, g, b in hues)


COMMON = ClassMap("common classes, 9 groups", GROUPS, _colours(), tuple(range(len(GROUPS))))


def group_of_class(classes: ClassMap) -> Int[Tensor, " 256"]:
    """The group of every label of a data set; `OTHER` for classes of no group, IGNORE for IGNORE.

    Args:
        classes: of the data set.
    """
    table = torch.full((256,), OTHER)
    table[IGNORE] = IGNORE
    for index, name in enumerate(classes.names):
        if plain_name(name) in _GROUP_OF:
            table[index] = GROUPS.index(_GROUP_OF[plain_name(name)])
    return table


def plain_name(name: str) -> str:
    """The name of a class in lower case and with spaces, as data sets write it differently."""
    return name.lower().replace("_", " ").replace("-", " ")
