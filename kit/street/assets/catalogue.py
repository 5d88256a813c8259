"""The catalogue of the street: everything that stands or moves on it, by name.

"red car", "traffic cone", "tree": `make` looks a name up and builds the thing.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kit.street.assets.buildings import hall, house, office
from kit.street.assets.colours import CAR_COLOURS, CLOTHES, COLOURS, WORK
from kit.street.assets.furniture import (
    barrier,
    bench,
    billboard,
    bin_,
    bollard,
    bus_shelter,
    fence,
    garden_wall,
    lamp,
    sign,
    traffic_cone,
    traffic_light,
    utility_pole,
)
from kit.street.assets.people import (
    bicycle,
    cyclist,
    motorcycle,
    motorcyclist,
    person,
    walker,
    worker,
)
from kit.street.assets.plants import bush, conifer, hedge, palm, tree
from kit.street.assets.shapes import Part
from kit.street.assets.vehicles import (
    bus,
    car,
    construction_vehicle,
    delivery_van,
    excavator,
    loader,
    pickup,
    roller,
    trailer,
    truck,
)

LORRIES = {"white": 4, "blue": 2, "red": 2, "green": 1, "grey": 1}
VANS = {"white": 6, "grey": 1, "blue": 1, "yellow": 1}
BUSES = {"red": 2, "yellow": 2, "white": 2, "blue": 1, "green": 1}
CONTAINERS = {"blue": 2, "brown": 2, "red": 2, "green": 1, "orange": 1}
VESTS = {"orange": 2, "yellow": 1}


class Asset(NamedTuple):
    """An entry of the catalogue.

    Attributes:
        build: (rng, colour) -> parts.
        label: class of the benchmark. category: of nuScenes; "" for scenery.
        colours: names and their weights; none where the builder knows best.
    """

    build: Callable
    label: str
    category: str = ""
    colours: dict | None = None


def make(name: str, rng: np.random.Generator) -> tuple[str, Asset, list[Part]]:
    """Build an object by its plain name: "car", "red car", "person in red".

    Returns:
        Its full name, its entry, its parts.

    Raises:
        ValueError: no such thing, lists what there is; or it has no colours to choose from.
    """
    kind, colour = _parse(name)
    asset = ASSETS[kind]
    if colour and not asset.colours:
        raise ValueError(f"a {kind} has a colour of its own, it cannot be had in {colour}")
    if asset.colours and not colour:
        weights = np.array(list(asset.colours.values()), float)
        colour = str(rng.choice(list(asset.colours), p=weights / weights.sum()))
    tint = np.array(COLOURS[colour]) * rng.uniform(0.88, 1.1) if colour else None
    if not colour:
        full = kind
    elif asset.category.startswith("human."):
        full = f"{kind} in {colour}"
    else:
        full = f"{colour} {kind}"
    return full, asset, asset.build(rng, tint)


def _parse(name: str) -> tuple[str, str | None]:
    """Kind and colour of "car", "red car", "person in red"."""
    words = name.strip().lower()
    kind, _, colour = words.partition(" in ")
    if not colour:
        colour, _, kind = words.partition(" ")
    if colour not in COLOURS:
        kind, colour = words, None
    if kind not in ASSETS:
        raise ValueError(
            f"there is no {name!r} on the street. There are: {', '.join(ASSETS)}; many of them in "
            f"a colour: {', '.join(COLOURS)}"
        )
    return kind, colour


_PLANTS = {"tree": tree, "conifer": conifer, "palm": palm, "bush": bush, "hedge": hedge}
_FIXTURES = {
    "street lamp": lamp,
    "utility pole": utility_pole,
    "traffic sign": sign,
    "traffic light": traffic_light,
    "bollard": bollard,
    "bench": bench,
    "bin": bin_,
    "bus shelter": bus_shelter,
    "billboard": billboard,
    "fence": fence,
    "garden wall": garden_wall,
    "house": lambda rng, colour: house(rng, rng.uniform(8, 14)),
    "office building": lambda rng, colour: office(rng, rng.uniform(15, 25)),
    "hall": lambda rng, colour: hall(rng, rng.uniform(15, 25)),
}
_MACHINE = ("construction_vehicle", "vehicle.construction", WORK)
ASSETS = {
    "car": Asset(car, "car", "vehicle.car", CAR_COLOURS),
    "delivery van": Asset(delivery_van, "truck", "vehicle.truck", VANS),
    "pickup": Asset(pickup, "truck", "vehicle.truck", CAR_COLOURS),
    "truck": Asset(truck, "truck", "vehicle.truck", LORRIES),
    "bus": Asset(bus, "bus", "vehicle.bus.rigid", BUSES),
    "trailer": Asset(trailer, "trailer", "vehicle.trailer", CONTAINERS),
    "construction vehicle": Asset(construction_vehicle, *_MACHINE),
    "excavator": Asset(excavator, *_MACHINE),
    "wheel loader": Asset(loader, *_MACHINE),
    "road roller": Asset(roller, *_MACHINE),
    "person": Asset(person, "pedestrian", "human.pedestrian.adult", CLOTHES),
    "walking person": Asset(walker, "pedestrian", "human.pedestrian.adult", CLOTHES),
    "worker": Asset(worker, "pedestrian", "human.pedestrian.construction_worker", VESTS),
    "bicycle": Asset(bicycle, "bicycle", "vehicle.bicycle", CLOTHES),
    "cyclist": Asset(cyclist, "bicycle", "vehicle.bicycle", CLOTHES),
    "motorcycle": Asset(motorcycle, "motorcycle", "vehicle.motorcycle", CLOTHES),
    "motorcyclist": Asset(motorcyclist, "motorcycle", "vehicle.motorcycle", CLOTHES),
    "traffic cone": Asset(traffic_cone, "traffic_cone", "movable_object.trafficcone"),
    "barrier": Asset(barrier, "barrier", "movable_object.barrier"),
    **{name: Asset(build, "vegetation") for name, build in _PLANTS.items()},
    **{name: Asset(build, "manmade") for name, build in _FIXTURES.items()},
}
