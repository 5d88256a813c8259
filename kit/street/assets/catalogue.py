"""The catalogue of assets: names such as "traffic cone", with their classes and builders."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kit.street.assets.buildings import hall, house, office
from kit.street.assets.colours import (
    BUS_COLOURS,
    CAR_COLOURS,
    CLOTHES_COLOURS,
    COLOURS,
    CONTAINER_COLOURS,
    MACHINE_COLOURS,
    TRUCK_COLOURS,
    VAN_COLOURS,
    VEST_COLOURS,
)
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


class Asset(NamedTuple):
    """An entry of the catalogue.

    Attributes:
        build: function (rng, colour) -> parts of the model.
        label: name of the class.
        category: nuScenes category; "" for scenery.
        colours: names and weights of the colours to draw from; None if the builder chooses.
    """

    build: Callable
    label: str
    category: str = ""
    colours: dict | None = None


def make(name: str, rng: np.random.Generator) -> tuple[str, Asset, list[Part]]:
    """Build an asset by name, with or without a colour: "car", "red car", "person in red".

    Args:
        name: of the catalogue.
        rng: draws the shape, and the colour if `name` has none.

    Returns:
        the name with the colour, the entry of the catalogue, the parts of the model.

    Raises:
        ValueError: there is no such asset, or its colour cannot be chosen.
    """
    kind, colour = _parse(name)
    asset = ASSETS[kind]
    if colour and not asset.colours:
        raise ValueError(f"the colour of a {kind} cannot be chosen, got {name!r}. Try {kind!r}")
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
    """Split "car", "red car" or "person in red" into kind and colour."""
    text = name.strip().lower()
    kind, _, colour = text.partition(" in ")
    if not colour:
        colour, _, kind = text.partition(" ")
    if colour not in COLOURS:
        kind, colour = text, None
    if kind not in ASSETS:
        raise ValueError(
            f"the street has no asset {name!r}. It has: {', '.join(ASSETS)}; many of them can have "
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
_CONSTRUCTION = ("construction_vehicle", "vehicle.construction", MACHINE_COLOURS)
ASSETS = {
    "car": Asset(car, "car", "vehicle.car", CAR_COLOURS),
    "delivery van": Asset(delivery_van, "truck", "vehicle.truck", VAN_COLOURS),
    "pickup": Asset(pickup, "truck", "vehicle.truck", CAR_COLOURS),
    "truck": Asset(truck, "truck", "vehicle.truck", TRUCK_COLOURS),
    "bus": Asset(bus, "bus", "vehicle.bus.rigid", BUS_COLOURS),
    "trailer": Asset(trailer, "trailer", "vehicle.trailer", CONTAINER_COLOURS),
    "construction vehicle": Asset(construction_vehicle, *_CONSTRUCTION),
    "excavator": Asset(excavator, *_CONSTRUCTION),
    "wheel loader": Asset(loader, *_CONSTRUCTION),
    "road roller": Asset(roller, *_CONSTRUCTION),
    "person": Asset(person, "pedestrian", "human.pedestrian.adult", CLOTHES_COLOURS),
    "walking person": Asset(walker, "pedestrian", "human.pedestrian.adult", CLOTHES_COLOURS),
    "worker": Asset(worker, "pedestrian", "human.pedestrian.construction_worker", VEST_COLOURS),
    "bicycle": Asset(bicycle, "bicycle", "vehicle.bicycle", CLOTHES_COLOURS),
    "cyclist": Asset(cyclist, "bicycle", "vehicle.bicycle", CLOTHES_COLOURS),
    "motorcycle": Asset(motorcycle, "motorcycle", "vehicle.motorcycle", CLOTHES_COLOURS),
    "motorcyclist": Asset(motorcyclist, "motorcycle", "vehicle.motorcycle", CLOTHES_COLOURS),
    "traffic cone": Asset(traffic_cone, "traffic_cone", "movable_object.trafficcone"),
    "barrier": Asset(barrier, "barrier", "movable_object.barrier"),
    **{name: Asset(build, "vegetation") for name, build in _PLANTS.items()},
    **{name: Asset(build, "manmade") for name, build in _FIXTURES.items()},
}
