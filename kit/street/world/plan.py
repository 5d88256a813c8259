"""What stands where, in tables: districts choose plots, plots and kerbsides hold rules."""

from typing import NamedTuple

from kit.street.assets import buildings

BLOCK, REACH = 28.0, 98.0  # metres with the same random numbers; metres built around the car
PLOT_DEPTH = 42.0


class Rule(NamedTuple):
    """Every `step` metres stands one of `names`, with a probability.

    Attributes:
        names: of assets, one of them is drawn.
        lateral: metres from the zone's edge that faces the road, lowest and highest.
        step: metres along the road. chance: of each place being taken.
        heading: "along" the traffic or "across" it, facing the "oncoming" or the "road", or "any".
        jitter: share of a step by which a place may move.
        near: metres from the car beyond which it is left out, being too small to see.
    """

    names: tuple[str, ...]
    lateral: tuple[float, float]
    step: float
    chance: float = 1.0
    heading: str = "along"
    jitter: float = 0.25
    near: float = REACH


class Plot(NamedTuple):
    """What is behind the pavement: its ground, its rules, its buildings and how far back."""

    ground: str
    rules: tuple[Rule, ...]
    building: str = ""
    setback: tuple[float, float] = (0.0, 0.0)


PARKED = ("car",) * 22 + ("delivery van", "pickup")
PLOTS = {
    "gardens": Plot("grass", (
        Rule(("hedge",), (0.3, 0.4), 2.0, 0.55, jitter=0.02),
        Rule(("bush", "bush", "tree", "conifer"), (1.2, 3.0), 5.0, 0.6, "any"),
        Rule(("garden wall",), (0.2, 0.25), 2.0, 0.2, jitter=0.02),
    ), "house", (4, 8)),
    "shops": Plot("paving", (
        Rule(("person",), (0.3, 2.0), 6.0, 0.5, "any", 1.0, 40),
        Rule(("bin", "bench"), (0.6, 1.0), 7.0, 0.4, "road", near=45),
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
        Rule(PARKED, (4.0, 4.4), 2.8, 0.75, "across", 0.05),
        Rule(PARKED, (14.0, 14.4), 2.8, 0.6, "across", 0.05),
        Rule(("street lamp",), (9.0, 9.0), 14.0),
    ), "hall", (22, 26)),
    "park": Plot("grass", (
        Rule(("tree", "tree", "conifer", "bush"), (1.0, 9.0), 4.5, 0.8, "any"),
        Rule(("tree", "conifer", "bush"), (9.0, 26.0), 3.5, 0.8, "any"),
        Rule(("bench", "person"), (0.6, 1.2), 9.0, 0.5, "road", near=45),
    )),
    "square": Plot("paving", (
        Rule(("tree", "palm"), (2.0, 2.2), 7.0, 0.7, "any", 0.1),
        Rule(("person",), (1.0, 12.0), 3.5, 0.55, "any", 1.0, 40),
        Rule(("bench", "bin"), (3.0, 4.0), 5.0, 0.5, "any", near=45),
    ), "house", (18, 24)),
    "building site": Plot("soil", (
        Rule(("barrier",), (0.3, 0.4), 2.1, 0.8, jitter=0.02),
        Rule(("excavator", "wheel loader", "road roller"), (5.0, 8.0), 9.0, 0.85, "any"),
        Rule(("worker",), (1.5, 9.0), 7.0, 0.7, "any", 1.0, 40),
    ), "office building", (18, 22)),
}  # fmt: skip
# Which plots a district has; a scene shuffles them.
DISTRICTS = {
    "suburb": ("gardens", "gardens", "park", "gardens", "building site", "car park", "workshops"),
    "town": ("shops", "shops", "gardens", "square", "workshops", "building site", "park"),
    "centre": ("offices", "shops", "offices", "square", "building site", "workshops", "park"),
    "industry": ("workshops", "yard", "workshops", "car park", "building site", "yard", "park"),
}
# What is at the kerb, metres from it towards the middle of the road.
KERBSIDES = {
    "parked": (Rule(PARKED, (1.1, 1.25), 6.3, 0.85, jitter=0.06),),
    "free": (Rule(PARKED, (1.1, 1.25), 9.0, 0.25),),
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
KERBSIDE_MIX = ("parked", *KERBSIDES)
PAVEMENT = (
    Rule(("tree", "tree", "street lamp", "bush", "utility pole"), (0.5, 0.7), 8.0, 0.6),
    Rule(("traffic sign", "traffic light"), (0.3, 0.5), 14.0, 0.5, "oncoming", near=45),
    Rule(("bollard", "bin", "bench"), (0.4, 0.6), 9.0, 0.4, "road", near=45),
    Rule(("walking person",), (0.8, 2.4), 6.0, 0.5, "along", 1.0, 40),
)
FRONTS = {"house": buildings.house, "office building": buildings.office, "hall": buildings.hall}
TRAFFIC = ("car",) * 22 + ("delivery van", "truck", "bus", "motorcyclist", "motorcyclist")
