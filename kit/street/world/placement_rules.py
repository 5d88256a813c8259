"""Placement rules of the street: tables of districts, plots, kerbsides and traffic."""

from typing import NamedTuple

from kit.street.assets import buildings

BLOCK_LENGTH = 28.0  # metres of street that share one random generator
BUILD_RADIUS = 98.0  # metres of street that are built ahead of and behind the car
PLOT_DEPTH = 42.0  # metres


class Rule(NamedTuple):
    """Places assets in a row along the road.

    Attributes:
        names: of assets; one is drawn for each position.
        lateral: lowest and highest distance from the edge of the zone that faces the road, metres.
        step: distance between positions along the road, metres.
        probability: of placing an asset at a position.
        heading: "along" or "across" the traffic, facing "oncoming" traffic or the "road", or "any".
        jitter: largest random shift along the road, as a ratio of `step`.
        max_distance: assets further from the car are omitted, because they are too small to see.
    """

    names: tuple[str, ...]
    lateral: tuple[float, float]
    step: float
    probability: float = 1.0
    heading: str = "along"
    jitter: float = 0.25
    max_distance: float = BUILD_RADIUS


class Plot(NamedTuple):
    """A plot of land beside the pavement.

    Attributes:
        ground: material of the ground.
        rules: of its objects and plants.
        building: name in `BUILDING_TYPES`; "" for none.
        setback: lowest and highest distance of the building from the pavement, metres.
    """

    ground: str
    rules: tuple[Rule, ...]
    building: str = ""
    setback: tuple[float, float] = (0.0, 0.0)


PARKED_VEHICLES = ("car",) * 22 + ("delivery van", "pickup")
PLOT_TYPES = {
    "gardens": Plot("grass", (
        Rule(("hedge",), (0.3, 0.4), 2.0, 0.55, jitter=0.02),
        Rule(("bush", "bush", "tree", "conifer"), (1.2, 3.0), 5.0, 0.6, "any"),
        Rule(("garden wall",), (0.2, 0.25), 2.0, 0.2, jitter=0.02),
    ), "house", (4, 8)),
    "shops": Plot("paving", (
        Rule(("person",), (0.3, 2.0), 6.0, 0.5, "any", 1.0, 40),
        Rule(("bin", "bench"), (0.6, 1.0), 7.0, 0.4, "road", max_distance=45),
    ), "house", (0.0, 2.5)),
    "offices": Plot("paving", (
        Rule(("tree", "bush", "palm"), (1.5, 2.5), 8.0, 0.6, "any"),
        Rule(("person",), (0.5, 3.0), 10.0, 0.5, "any", 1.0, 40),
    ), "office building", (2, 7)),
    "yard": Plot("lot", (
        Rule(("fence",), (0.3, 0.3), 2.0, 0.85, jitter=0.0),
        Rule(("truck", "trailer", "delivery van", "car", "car"), (4.5, 8.0), 9.0, 0.5, "across"),
    ), "hall", (11, 14)),
    "workshops": Plot("paving", (
        Rule(("bin", "utility pole", "billboard"), (0.3, 0.6), 12.0, 0.5),
        Rule(("car", "delivery van"), (2.6, 3.0), 9.0, 0.25, "across"),
    ), "hall", (0.0, 6.0)),
    "car park": Plot("lot", (
        Rule(("fence", "hedge"), (0.3, 0.3), 2.0, 0.4, jitter=0.0),
        Rule(PARKED_VEHICLES, (4.0, 4.4), 2.8, 0.75, "across", 0.05),
        Rule(PARKED_VEHICLES, (14.0, 14.4), 2.8, 0.6, "across", 0.05),
        Rule(("street lamp",), (9.0, 9.0), 14.0),
    ), "hall", (22, 26)),
    "park": Plot("grass", (
        Rule(("tree", "tree", "conifer", "bush"), (1.0, 9.0), 4.5, 0.8, "any"),
        Rule(("tree", "conifer", "bush"), (9.0, 26.0), 3.5, 0.8, "any"),
        Rule(("bench", "person"), (0.6, 1.2), 9.0, 0.5, "road", max_distance=45),
    )),
    "square": Plot("paving", (
        Rule(("tree", "palm"), (2.0, 2.2), 7.0, 0.7, "any", 0.1),
        Rule(("person",), (1.0, 12.0), 3.5, 0.55, "any", 1.0, 40),
        Rule(("bench", "bin"), (3.0, 4.0), 5.0, 0.5, "any", max_distance=45),
    ), "house", (18, 24)),
    "building site": Plot("soil", (
        Rule(("barrier",), (0.3, 0.4), 2.1, 0.8, jitter=0.02),
        Rule(("excavator", "wheel loader", "road roller"), (5.0, 8.0), 9.0, 0.85, "any"),
        Rule(("worker",), (1.5, 9.0), 7.0, 0.7, "any", 1.0, 40),
    ), "office building", (18, 22)),
}  # fmt: skip
# Plots of each district; a scene shuffles them.
DISTRICTS = {
    "suburb": ("gardens", "gardens", "park", "gardens", "building site", "car park", "workshops"),
    "town": ("shops", "shops", "gardens", "square", "workshops", "building site", "park"),
    "centre": ("offices", "shops", "offices", "square", "building site", "workshops", "park"),
    "industry": ("workshops", "yard", "workshops", "car park", "building site", "yard", "park"),
}
# Rules for the strip at the kerb; lateral is the distance from the kerb towards the road.
KERBSIDE_RULES = {
    "parked": (Rule(PARKED_VEHICLES, (1.1, 1.25), 6.3, 0.85, jitter=0.06),),
    "free": (Rule(PARKED_VEHICLES, (1.1, 1.25), 9.0, 0.25),),
    "roadworks": (
        Rule(("traffic cone",), (2.2, 2.5), 2.3, 0.95, jitter=0.05),
        Rule(("construction vehicle",), (0.9, 1.1), 14.0, 0.8, jitter=0.05),
        Rule(("worker",), (0.4, 1.8), 7.0, 0.6, "any"),
    ),
    "closed lane": (
        Rule(("barrier",), (2.1, 2.3), 2.1, 0.95, jitter=0.01),
        Rule(("traffic cone",), (2.9, 3.1), 4.2, 0.8, "any"),
        Rule(("worker",), (0.6, 1.5), 7.0, 0.5, "any"),
    ),
    "bus stop": (
        Rule(("bus",), (1.3, 1.3), 28.0, jitter=0.05),
        Rule(("person",), (-1.8, -0.6), 2.6, 0.45, "any", 0.6),
    ),
    "loading": (
        Rule(("trailer",), (1.3, 1.35), 28.0, 0.9, jitter=0.2),
        Rule(("traffic cone", "person"), (0.5, 2.5), 9.0, 0.5, "any"),
    ),
    "two wheels": (
        Rule(("motorcycle",), (0.8, 1.1), 1.2, 0.7, "across", 0.1),
        Rule(("bicycle",), (-1.2, -1.0), 0.55, 0.75, "across", 0.1),
    ),
}
KERBSIDE_MIX = ("parked", *KERBSIDE_RULES)
PAVEMENT_RULES = (
    Rule(("tree", "tree", "street lamp", "bush", "utility pole"), (0.5, 0.7), 8.0, 0.6),
    Rule(("traffic sign", "traffic light"), (0.3, 0.5), 14.0, 0.5, "oncoming", max_distance=45),
    Rule(("bollard", "bin", "bench"), (0.4, 0.6), 9.0, 0.4, "road", max_distance=45),
    Rule(("walking person",), (0.8, 2.4), 6.0, 0.5, "along", 1.0, 40),
)
BUILDING_TYPES = {
    "house": buildings.house,
    "office building": buildings.office,
    "hall": buildings.hall,
}
TRAFFIC_VEHICLES = ("car",) * 22 + ("delivery van", "truck", "bus", "motorcyclist", "motorcyclist")
