"""Class maps of KITTI, SemanticKITTI, RELLIS-3D, PandaSet, Argoverse 2, and of the user."""

import colorsys
from collections.abc import Mapping, Sequence

from kit.data.classes import IGNORE, UNKNOWN, ClassMap

Colour = tuple[int, int, int]


def class_map(
    name: str, colours: Mapping[str, Colour], class_of_id: Mapping[int, str | None]
) -> ClassMap:
    """Make a class map.

    Args:
        name: of the set of classes.
        colours: (red, green, blue) by class, in the order of the classes.
        class_of_id: class by raw label id; None for ids that are not scored.
    """
    names = tuple(colours)
    raw = [UNKNOWN] * (max(class_of_id, default=-1) + 1)
    for label_id, which in class_of_id.items():
        raw[label_id] = IGNORE if which is None else names.index(which)
    return ClassMap(name, names, tuple(colours.values()), tuple(raw))


def numbered_classes(
    classes: Sequence[str] | Mapping[int, str | None], name: str, title: str | None = None
) -> ClassMap:
    """Make the class map of a user's classes, in colours of evenly spaced hues.

    Args:
        classes: names in the order of the label ids from 0; or names by label id, None for ids that
            are not scored. Several ids may have the same name.
        name: used in errors.
        title: name of the set of classes.

    Raises:
        ValueError: a name is empty, a list has a name twice, an id is not an integer within 0 to
            65,535, or there are no or more than 255 names.
    """
    given = classes if isinstance(classes, Mapping) else dict(enumerate(classes))
    names = tuple(dict.fromkeys(each for each in given.values() if each is not None))
    if isinstance(classes, str) or not all(isinstance(n, str) and n.strip() for n in names):
        raise ValueError(f"{name}: expected names of classes, got {classes!r}")
    if not isinstance(classes, Mapping) and len(names) < len(given):
        raise ValueError(f"{name}: expected different names, got {list(classes)}")
    bad = [i for i in given if isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < 65536]
    if bad:
        raise ValueError(f"{name}: expected label ids, integers of 0 to 65535, got {bad[0]!r}")
    if not 1 <= len(names) <= IGNORE:
        raise ValueError(f"{name}: expected 1 to {IGNORE} names of classes, got {len(names)}")
    title = title or f"{len(names)} class{'es' * (len(names) != 1)}"
    return class_map(title, _rainbow(names), given)


def _rainbow(names: tuple[str, ...]) -> dict[str, Colour]:
    """Colours of evenly spaced hues, alternately bright and dark."""
    found = {}
    for index, name in enumerate(names):
        rgb = colorsys.hsv_to_rgb(index / len(names), 0.8, 0.95 if index % 2 else 0.7)
        red, green, blue = (round(255 * value) for value in rgb)
        found[name] = (red, green, blue)
    return found


# Types of boxes; the benchmark has no labels of points.
KITTI_OBJECTS = class_map(
    "KITTI objects, 8 types",
    {
        "car": (255, 158, 0),
        "van": (255, 200, 80),
        "truck": (255, 99, 71),
        "pedestrian": (0, 0, 230),
        "person sitting": (60, 60, 255),
        "cyclist": (220, 20, 60),
        "tram": (255, 127, 80),
        "misc": (112, 128, 144),
    },
    {},
)

# Source: learning_map of semantic-kitti.yaml (semantic-kitti-api); moving classes are merged.
SEMANTIC_KITTI = class_map(
    "SemanticKITTI, 19 classes",
    {
        "car": (100, 150, 245),
        "bicycle": (100, 230, 245),
        "motorcycle": (30, 60, 150),
        "truck": (80, 30, 180),
        "other-vehicle": (100, 80, 250),
        "person": (255, 30, 30),
        "bicyclist": (255, 40, 200),
        "motorcyclist": (150, 30, 90),
        "road": (255, 0, 255),
        "parking": (255, 150, 255),
        "sidewalk": (75, 0, 75),
        "other-ground": (175, 0, 75),
        "building": (255, 200, 0),
        "fence": (255, 120, 50),
        "vegetation": (0, 175, 0),
        "trunk": (135, 60, 0),
        "terrain": (150, 240, 80),
        "pole": (255, 240, 150),
        "traffic-sign": (255, 0, 0),
    },
    {
        **dict.fromkeys((0, 1, 52, 99)),  # unlabelled, outlier, other structure, other object
        **dict.fromkeys((10, 252), "car"),
        11: "bicycle",
        15: "motorcycle",
        **dict.fromkeys((18, 258), "truck"),
        **dict.fromkeys((13, 16, 20, 256, 257, 259), "other-vehicle"),  # bus, rails, other
        **dict.fromkeys((30, 254), "person"),
        **dict.fromkeys((31, 253), "bicyclist"),
        **dict.fromkeys((32, 255), "motorcyclist"),
        **dict.fromkeys((40, 60), "road"),  # with lane markings
        44: "parking",
        48: "sidewalk",
        49: "other-ground",
        50: "building",
        51: "fence",
        70: "vegetation",
        71: "trunk",
        72: "terrain",
        80: "pole",
        81: "traffic-sign",
    },
)

# Source: the ontology of RELLIS-3D (arXiv:2011.12954). Void and sky are not scored.
_RELLIS = {
    1: ("dirt", (108, 64, 20)),
    3: ("grass", (0, 102, 0)),
    4: ("tree", (0, 255, 0)),
    5: ("pole", (0, 153, 153)),
    6: ("water", (0, 128, 255)),
    8: ("vehicle", (255, 255, 0)),
    9: ("object", (255, 0, 127)),
    10: ("asphalt", (64, 64, 64)),
    12: ("building", (255, 0, 0)),
    15: ("log", (102, 0, 0)),
    17: ("person", (204, 153, 255)),
    18: ("fence", (102, 0, 204)),
    19: ("bush", (255, 153, 204)),
    23: ("concrete", (170, 170, 170)),
    27: ("barrier", (41, 121, 255)),
    31: ("puddle", (134, 255, 239)),
    33: ("mud", (99, 66, 34)),
    34: ("rubble", (110, 22, 138)),
}
RELLIS = class_map(
    "RELLIS-3D, 18 classes",
    dict(_RELLIS.values()),
    {0: None, 7: None, **{label_id: name for label_id, (name, _) in _RELLIS.items()}},
)

# Source: ScaLR's PandaSet loader (arXiv:2310.17504) merges 43 ids into 17 classes.
PANDASET = class_map(
    "PandaSet, 17 classes",
    {
        "road": (0, 207, 191),
        "traffic sign": (255, 0, 0),
        "barrier": (112, 128, 144),
        "pedestrian": (0, 0, 230),
        "vegetation": (0, 175, 0),
        "road marking": (220, 220, 220),
        "sidewalk": (75, 0, 75),
        "manmade": (222, 184, 135),
        "traffic cone": (47, 79, 79),
        "car": (255, 158, 0),
        "motorcycle": (255, 61, 99),
        "truck": (255, 99, 71),
        "bus": (255, 127, 80),
        "bicycle": (220, 20, 60),
        "other vehicle": (233, 150, 70),
        "ground": (175, 0, 75),
        "driveway": (150, 90, 150),
    },
    {
        # noise, smoke, exhaust, spray, reflections; emergency vehicles, personal mobility devices,
        # scooters; animals; rolling containers
        **dict.fromkeys((0, 1, 2, 3, 4, 22, 24, 25, 32, 33, 40)),
        5: "vegetation",
        6: "ground",
        7: "road",
        **dict.fromkeys((8, 9, 10), "road marking"),
        11: "sidewalk",
        12: "driveway",
        13: "car",
        **dict.fromkeys((14, 15, 16), "truck"),
        **dict.fromkeys((17, 19, 20, 21, 27, 28, 29), "other vehicle"),
        18: "motorcycle",
        23: "bus",
        26: "bicycle",
        **dict.fromkeys((30, 31), "pedestrian"),
        **dict.fromkeys((34, 37), "traffic cone"),
        **dict.fromkeys((35, 39), "barrier"),
        **dict.fromkeys((36, 38), "traffic sign"),
        **dict.fromkeys((41, 42), "manmade"),
    },
)

# Types of boxes; the sensor data set has no labels of points.
ARGOVERSE2 = class_map(
    "Argoverse 2, 30 categories",
    _rainbow(
        (
            "ANIMAL",
            "ARTICULATED_BUS",
            "BICYCLE",
            "BICYCLIST",
            "BOLLARD",
            "BOX_TRUCK",
            "BUS",
            "CONSTRUCTION_BARREL",
            "CONSTRUCTION_CONE",
            "DOG",
            "LARGE_VEHICLE",
            "MESSAGE_BOARD_TRAILER",
            "MOBILE_PEDESTRIAN_CROSSING_SIGN",
            "MOTORCYCLE",
            "MOTORCYCLIST",
            "OFFICIAL_SIGNALER",
            "PEDESTRIAN",
            "RAILED_VEHICLE",
            "REGULAR_VEHICLE",
            "SCHOOL_BUS",
            "SIGN",
            "STOP_SIGN",
            "STROLLER",
            "TRAFFIC_LIGHT_TRAILER",
            "TRUCK",
            "TRUCK_CAB",
            "VEHICULAR_TRAILER",
            "WHEELCHAIR",
            "WHEELED_DEVICE",
            "WHEELED_RIDER",
        )
    ),
    {},
)
