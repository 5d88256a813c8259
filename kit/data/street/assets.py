"""What stands and moves on the street, by name: "red car", "traffic cone", "tree".

Each builder draws one object as a list of parts, from random numbers and a colour: x forward, y
left, z up, the origin on the ground. `ASSETS` is the catalogue; `make` looks a name up in it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kit.data.street.shapes import (
    Part,
    blob,
    box,
    extrude,
    lathe,
    leaves,
    loft,
    moved,
    outward,
    stack,
    tube,
    turned,
)

COLOURS = {
    "white": (0.84, 0.84, 0.84), "silver": (0.56, 0.58, 0.6), "grey": (0.25, 0.26, 0.28),
    "black": (0.035, 0.035, 0.04), "blue": (0.07, 0.16, 0.38), "red": (0.48, 0.05, 0.06),
    "green": (0.08, 0.26, 0.16), "brown": (0.3, 0.19, 0.12), "beige": (0.62, 0.54, 0.42),
    "yellow": (0.8, 0.58, 0.06), "orange": (0.82, 0.34, 0.05),
}  # fmt: skip
# How often cars have these colours, roughly as on the road.
CAR_COLOURS = {"white": 5, "silver": 4, "grey": 4, "black": 5, "blue": 2, "red": 2, "green": 0.5,
               "brown": 0.5, "beige": 0.7}  # fmt: skip
WORK = {"yellow": 3, "orange": 2}
CLOTHES = {name: 1 for name in COLOURS}
SKINS = ((0.78, 0.57, 0.45), (0.5, 0.33, 0.24), (0.32, 0.2, 0.15))


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
    """Build an object by its plain name, with or without a colour: "red car", "car".

    Returns:
        Its full name, its entry, its parts.

    Raises:
        ValueError: no such thing; lists what there is.
    """
    first, _, rest = name.strip().lower().partition(" ")
    colour, kind = (first, rest) if first in COLOURS and rest else (None, name.strip().lower())
    if kind not in ASSETS:
        raise ValueError(
            f"there is no {name!r} on the street. There are: {', '.join(ASSETS)}; with a colour "
            f"before it, if you like: {', '.join(COLOURS)}"
        )
    asset = ASSETS[kind]
    if colour is None and asset.colours:
        weights = np.array(list(asset.colours.values()), float)
        colour = str(rng.choice(list(asset.colours), p=weights / weights.sum()))
    tint = np.array(COLOURS[colour]) * rng.uniform(0.88, 1.1) if colour else None
    return f"{colour} {kind}" if colour else kind, asset, asset.build(rng, tint)


# --- cars ---------------------------------------------------------------------------------------

# length, width, height, belt, hood, and along the length (0 rear, 1 front): where the cabin's glass
# begins and ends at the belt, where its roof does; height of the rear deck above the belt.
BODIES = {
    "saloon": (4.7, 1.82, 1.45, 0.93, 0.84, 0.13, 0.72, 0.28, 0.55, 0.0),
    "hatchback": (4.1, 1.76, 1.5, 0.94, 0.88, 0.02, 0.75, 0.1, 0.57, 0.0),
    "estate": (4.7, 1.82, 1.48, 0.94, 0.85, 0.01, 0.72, 0.05, 0.55, 0.0),
    "off-roader": (4.75, 1.92, 1.76, 1.1, 1.05, 0.01, 0.73, 0.05, 0.58, 0.0),
    "minivan": (4.9, 1.95, 1.78, 1.05, 0.98, 0.01, 0.83, 0.03, 0.65, 0.0),
    "pickup": (5.4, 1.95, 1.8, 1.12, 1.1, 0.36, 0.72, 0.4, 0.58, -0.1),
}


def _body(rng, colour, kind: str) -> list[Part]:
    """A car from its side view: a lofted hull, a cabin of glass, wheels, mirrors."""
    length, width, height, belt, hood, g0, g1, r0, r1, deck = BODIES[kind]
    length, width, height = np.array([length, width, height]) * rng.uniform(0.95, 1.05, 3)
    x, w = length / 2, width / 2
    at = lambda share: length * share - x  # noqa: E731
    ahead, behind = at(0.815), at(0.19)
    stations = [
        (0.0, 0.72, 0.45, belt + deck - 0.14), (0.015, 0.86, 0.3, belt + deck - 0.03),
        (0.08, 0.96, 0.22, belt + deck), (g0 + 0.12, 1.0, 0.2, belt + deck * (g0 > 0.3)),
        (g0 + 0.2, 1.0, 0.2, belt + 0.01), (0.6, 1.0, 0.2, belt), (g1, 0.99, 0.2, belt - 0.01),
        (0.86, 0.97, 0.22, hood), (0.95, 0.92, 0.24, hood - 0.06), (0.985, 0.84, 0.28, hood - 0.14),
        (1.0, 0.7, 0.38, hood - 0.28),
    ]  # fmt: skip
    # from the sill over the shoulder to the middle of the top: share of width, of height
    section = np.array([(0.86, 0), (0.97, 0.12), (1, 0.45), (0.985, 0.75), (0.92, 0.95), (0.6, 1)])
    rings = []
    for share, wide, low, top in stations:
        y, z = section[:, 0] * wide * w, low + section[:, 1] * (top - low)
        half = np.column_stack([np.full(len(y), at(share)), y, z])
        rings.append(np.vstack([half, half[::-1] * [1, -1, 1]]))
    style = (x, ahead, behind, belt)
    parts = [Part(loft(np.stack(rings)), "car", colour, style, True)]
    glass = stack(
        [
            (belt - 0.03, at(g0), at(g1), 0.93 * w, 0.22),
            (belt + 0.35 * (height - belt), at(g0 + 0.35 * (r0 - g0)),
             at(g1 - 0.42 * (g1 - r1)), 0.89 * w, 0.2),
            (height - 0.1, at(0.9 * r0 + 0.1 * g0), at(r1 + 0.04), 0.76 * w, 0.18),
            (height - 0.02, at(r0 + 0.02), at(r1 - 0.03), 0.68 * w, 0.15),
            (height, at(r0 + 0.06), at(r1 - 0.08), 0.56 * w, 0.12),
        ]  # fmt: skip
    )
    parts.append(Part(glass, "cabin", colour, (belt, height, at(g0), at(g1)), True))
    for side in (-1, 1):
        mirror = moved(blob(rng, (0.07, 0.11, 0.08), 0, 5), at(g1 - 0.06), side * (w + 0.05), belt)
        parts.append(Part(mirror, "plain", colour * 0.8))
    if kind == "off-roader" and rng.random() < 0.6:
        for side in (-1, 1):
            rail = [(at(r0 + 0.05), side * 0.6 * w, height), (at(r1), side * 0.6 * w, height + 0.03)]
            parts.append(Part(tube(rail, 0.025), "plain", (0.4, 0.4, 0.4)))
    return parts + _wheels((ahead, behind), width, 0.33 if height < 1.6 else 0.37)


def car(rng, colour) -> list[Part]:
    kinds = list(BODIES)[:5]
    return _body(rng, colour, str(rng.choice(kinds, p=[0.3, 0.2, 0.12, 0.28, 0.1])))


def pickup(rng, colour) -> list[Part]:
    return _body(rng, colour, "pickup")


def _wheels(axles, track: float, radius: float, wide: float = 0.22) -> list[Part]:
    """Two tyres on every axle, a little proud of the body."""
    profile = np.array([(0.2, -0.5), (0.9, -0.5), (1, -0.3), (1, 0.3), (0.9, 0.5), (0.2, 0.5)])
    ring = lathe(profile * (radius, wide), 16, "y")
    disc = lathe(np.array([(0.0, 0.44), (0.88, 0.46), (0.9, 0.4)]) * (radius, wide), 16, "y")
    parts = []
    for x in axles:
        for side in (-1, 1):
            y, style = side * (track / 2 - wide / 2 + 0.02), (x, radius, radius)
            face = disc[0] * (1, side, 1), disc[1]
            for shape in (ring, face):
                parts.append(Part(moved(shape, x, y, radius), "tyre", (0, 0, 0), style))
    return parts


# --- larger vehicles ----------------------------------------------------------------------------


def _cab(x: float, colour, tall: float = 2.5) -> list[Part]:
    """A lorry's cab whose front is at x."""
    levels = [
        (0.42, x - 1.75, x - 0.02, 1.08, 0.12),
        (1.3, x - 1.75, x, 1.1, 0.15),
        (1.75, x - 1.75, x - 0.08, 1.08, 0.15),
        (tall - 0.2, x - 1.75, x - 0.3, 1.02, 0.15),
        (tall, x - 1.7, x - 0.5, 0.95, 0.12),
    ]
    parts = [Part(stack(levels), "cab", colour, (x, 1.4, tall, x - 0.95), True)]
    for side in (-1, 1):
        mirror = moved(box(0.1, 0.2, 0.4), x - 0.15, side * 1.25, 1.6)
        parts.append(Part(mirror, "plain", (0.05, 0.05, 0.05)))
    return parts


def truck(rng, colour) -> list[Part]:
    """A lorry with a closed box, a tarpaulin or an open bed."""
    long, high, seed = rng.uniform(4, 7), rng.uniform(2.1, 2.7), rng.random()
    x, kind = (long + 2) / 2, rng.choice(["box", "tarp", "bed"], p=[0.6, 0.25, 0.15])
    parts = _cab(x, colour, rng.uniform(2.3, 2.8))
    middle, tint = x - 2 - long / 2, np.array(COLOURS["white"]) * rng.uniform(0.8, 1.05)
    parts.append(Part(moved(box(long + 2, 0.9, 0.25, 0.62), 0), "plain", (0.08, 0.08, 0.08)))
    if kind == "bed":
        parts.append(Part(moved(box(long, 2.3, 0.55, 0.9), middle), "machine", tint * 0.6))
        heap = blob(rng, (0.4 * long, 0.95, 0.5), 0.3)
        parts.append(Part(moved(heap, middle, 0, 1.4), "soil", (0.4, 0.33, 0.25), (), True))
    else:
        if kind == "tarp":
            tint = np.array(COLOURS[str(rng.choice(["blue", "green", "red", "grey"]))]) * 1.2
        parts.append(Part(moved(box(long, 2.4, high, 0.95), middle), "panel", tint, (seed, 0.95, high)))
    wheels = (x - 0.95, x - 2 - 0.75 * long, x - 2 - 0.75 * long - 1.1)
    return parts + _wheels(wheels[: 2 + (long > 5.5)], 2.3, 0.48, 0.3)


def delivery_van(rng, colour) -> list[Part]:
    """A panel van: a short nose, a tall smooth box without windows behind."""
    x, high, w = rng.uniform(2.5, 2.95), rng.uniform(2.1, 2.6), 1.0
    levels = [
        (0.3, -x, x - 0.03, w - 0.03, 0.12), (0.9, -x, x, w, 0.2), (1.15, -x, x - 0.35, w, 0.2),
        (1.25, -x, x - 0.75, w, 0.15), (0.85 * high, -x + 0.02, x - 1.5, w - 0.07, 0.15),
        (high, -x + 0.08, x - 1.75, w - 0.2, 0.12),
    ]  # fmt: skip
    parts = [Part(stack(levels), "car", colour, (x, x - 0.85, -x + 1.05, 1.1), True)]
    pane = [(x - 0.72, 1.22), (x - 0.7, 1.24), (x - 1.42, 0.83 * high), (x - 1.46, 0.83 * high)]
    parts.append(Part(extrude(pane, np.array((1.8, 1.8, 1.6, 1.6))), "glazed", (0.05, 0.05, 0.06)))
    door = [(x - 1.0, 1.25), (x - 1.5, 0.8 * high), (x - 2.1, 0.8 * high), (x - 2.1, 1.22)]
    parts.append(Part(extrude(door, 2.01 * w), "glazed", (0.05, 0.05, 0.06)))
    logo = box(1.7 * x - 1.6, 2.005 * w, 0.42 * high, 0.42 * high)
    parts.append(Part(moved(logo, -0.65), "panel", colour, (rng.random(), 0.42 * high, 0.42 * high)))
    return parts + _wheels((x - 0.85, -x + 1.05), 2 * w, 0.35)


def bus(rng, colour) -> list[Part]:
    """A city bus, 11 or 12 m."""
    x, tall = rng.uniform(5.3, 6), rng.uniform(2.95, 3.2)
    levels = [
        (0.3, -x, x - 0.05, 1.24, 0.2), (1.1, -x, x, 1.27, 0.25), (2.2, -x, x - 0.06, 1.26, 0.25),
        (tall - 0.12, -x + 0.05, x - 0.12, 1.2, 0.25), (tall, -x + 0.2, x - 0.3, 1.05, 0.2),
    ]  # fmt: skip
    parts = [Part(stack(levels), "coach", colour, (x, tall, rng.random()), True)]
    pack = moved(box(2.6, 1.7, 0.3, tall - 0.02), -x / 2)
    return [*parts, Part(pack, "plain", colour * 0.9), *_wheels((x - 2.6, -x + 3.1), 2.5, 0.48, 0.3)]


def trailer(rng, colour) -> list[Part]:
    """A trailer on its own legs: a container of corrugated steel, or a tank."""
    x, iron = rng.uniform(3.6, 6), (0.1, 0.1, 0.1)
    parts = [Part(box(2 * x, 1.0, 0.25, 0.85), "plain", iron)]
    if rng.random() < 0.7:
        parts.append(Part(box(2 * x, 2.45, rng.uniform(2.4, 2.7), 1.15), "container", colour, (rng.random(),)))
    else:
        profile = [(0, -x), (0.8, -x), (1.15, 0.3 - x), (1.15, x - 0.3), (0.8, x), (0, x)]
        tank = moved(lathe(profile, 18, "x"), 0, 0, 2.2)
        parts.append(Part(tank, "glazed", (0.62, 0.63, 0.65), (), True))
    for side in (-1, 1):
        leg = moved(box(0.14, 0.14, 0.9), x - 2.0, side * 0.75)
        bar = moved(box(2.2 * x - 6, 0.05, 0.35, 0.45), -0.6, side * 1.15)
        parts += [Part(leg, "plain", (0.3, 0.3, 0.3)), Part(bar, "plain", (0.5, 0.5, 0.5))]
    return parts + _wheels((-x + 1.0, -x + 2.2, -x + 3.4), 2.45, 0.5, 0.32)


def excavator(rng, colour) -> list[Part]:
    """An excavator on tracks: house, cab, boom, arm, bucket."""
    black, dark = (0.06, 0.06, 0.06), np.array(colour) * 0.35
    parts = []
    track = [(-1.6, 0.35), (-1.3, 0), (1.3, 0), (1.6, 0.35), (1.35, 0.75), (-1.35, 0.75)]
    for side in (-1, 1):
        parts.append(Part(moved(extrude(track, 0.55), 0, side * 1.05), "machine", black))
    house = [(-1.9, 1.0), (1.3, 1.0), (1.3, 1.5), (0.4, 1.75), (-1.7, 2.1), (-1.9, 1.9)]
    swing = rng.uniform(-0.6, 0.6)
    upper = [Part(moved(extrude(house, 1.3), 0, -0.55), "machine", colour)]
    cab = [(-0.3, 1.0), (1.35, 1.0), (1.4, 1.7), (1.1, 2.75), (-0.3, 2.75)]
    upper.append(Part(moved(extrude(cab, 1.0), 0, 0.7), "machine", colour))
    pane = [(-0.15, 1.6), (1.3, 1.6), (1.35, 1.75), (1.05, 2.6), (-0.15, 2.6)]
    upper.append(Part(moved(extrude(pane, 1.03), 0.04, 0.7), "glazed", black))
    knee = np.array((rng.uniform(2.2, 3), 0, rng.uniform(3.4, 4.2)))
    tip = np.array((rng.uniform(4.0, 4.8), 0, rng.uniform(2.4, 3)))
    low = tip + (rng.uniform(-0.8, 0.2), 0, -1.9)
    boom = [np.array((0.9, 0, 1.4)), (knee + (0.9, 0, 1.4)) / 2 + (-0.2, 0, 0.7), knee, tip]
    upper.append(Part(moved(tube(np.stack(boom), (0.3, 0.36, 0.28, 0.2), 4), 0, -0.1), "machine", colour))
    upper.append(Part(moved(tube(np.stack([tip, low]), (0.24, 0.16), 4), 0, -0.1), "machine", colour))
    bucket = blob(rng, (0.55, 0.5, 0.45), 0.1, 6)
    upper.append(Part(moved(bucket, *(low + (-0.2, -0.1, -0.2))), "machine", dark))
    return parts + [p._replace(shape=turned(p.shape, swing)) for p in upper]


def loader(rng, colour) -> list[Part]:
    """A wheel loader: high wheels, engine, cab between, a shovel in front."""
    black = (0.05, 0.05, 0.05)
    rear = [(-2.6, 0.8), (-0.4, 0.8), (-0.4, 1.7), (-2.4, 1.85), (-2.6, 1.6)]
    cab = [(-0.9, 1.6), (0.5, 1.6), (0.45, 3.1), (-0.8, 3.1)]
    pane = [(-0.75, 1.9), (0.48, 1.9), (0.42, 2.9), (-0.7, 2.9)]
    shovel = [(2.6, 0.15), (3.5, 0.1), (3.3, 0.25), (2.9, 0.6), (2.9, 1.2), (2.75, 1.25)]
    parts = [
        Part(extrude(rear, 1.6), "machine", colour),
        Part(moved(box(1.6, 1.1, 0.7, 0.7), 0.7), "machine", np.array(colour) * 0.9),
        Part(extrude(cab, 1.3), "machine", colour),
        Part(extrude(pane, 1.33), "glazed", black),
        Part(extrude(shovel, 2.5), "machine", np.array(colour) * 0.5),
    ]
    for side in (-1, 1):
        arm = [(0.6, side * 0.5, 1.5), (1.9, side * 0.5, 1.3), (2.9, side * 0.5, 0.6)]
        parts.append(Part(tube(arm, 0.16, 4), "machine", colour))
    return parts + _wheels((1.35, -1.6), 2.4, 0.72, 0.55)


def roller(rng, colour) -> list[Part]:
    """A road roller: a drum, a body, a roof on four posts."""
    drum = moved(lathe([(0, -0.85), (0.62, -0.85), (0.62, 0.85), (0, 0.85)], 18, "y"), 1.25, 0, 0.62)
    body = [(-1.8, 0.6), (0.6, 0.6), (0.6, 1.1), (-0.4, 1.15), (-0.6, 1.5), (-1.8, 1.45)]
    parts = [
        Part(drum, "machine", (0.3, 0.3, 0.3)),
        Part(moved(box(1.7, 1.9, 0.25, 0.9), 1.0), "machine", colour),
        Part(extrude(body, 1.6), "machine", colour),
        Part(moved(box(1.7, 1.6, 0.1, 2.6), -0.3), "machine", colour),
    ]
    posts = [(x, y) for x in (-1.0, 0.4) for y in (-0.7, 0.7)]
    parts += [Part(moved(box(0.08, 0.08, 1.5, 1.1), x, y), "plain", (0.1, 0.1, 0.1)) for x, y in posts]
    return parts + _wheels((-1.1,), 1.8, 0.6, 0.45)


def construction_vehicle(rng, colour) -> list[Part]:
    return (excavator, loader, roller)[rng.choice(3, p=[0.5, 0.3, 0.2])](rng, colour)


# --- people and two wheels ----------------------------------------------------------------------


def _clothes(rng) -> np.ndarray:
    return np.array(COLOURS[str(rng.choice(list(COLOURS)))]) * rng.uniform(0.6, 1.2) + 0.03


def person(rng, colour, lift=0.0, sitting=False, lean=0.05) -> list[Part]:
    """Someone walking or standing, 1.5-1.9 m tall; or sitting on a saddle."""
    trousers, skin = _clothes(rng) * 0.5, np.array(SKINS[rng.integers(3)])
    hair, dark = skin * rng.uniform(0.1, 0.5), (0.05, 0.05, 0.05)
    stride = rng.choice([0.04, rng.uniform(0.12, 0.32)])
    hip = (0, 0, 0.86)
    top = np.array((lean * 2, 0, 1.45))
    torso = np.stack([hip, (lean, 0, 1.15), top - (0, 0, 0.06), top + (0, 0, 0.02)])
    body = tube(torso, (0.15, 0.165, 0.18, 0.08), 9)
    body = body[0] * (0.85, 1.25, 1), body[1]
    head = moved(blob(rng, (0.1, 0.08, 0.125), 0.05, 7), *(top + (0.04, 0, 0.22)))
    cap = moved(blob(rng, (0.108, 0.09, 0.1), 0.05, 7), *(top + (0.02, 0, 0.27)))
    style = (rng.random(),)
    parts = [
        Part(body, "cloth", colour, style, True),
        Part(head, "plain", skin, (), True),
        Part(cap, "cloth", hair, style, True),
        Part(tube([top - (0, 0, 0.02), top + (0.02, 0, 0.14)], 0.05), "plain", skin),
    ]
    for side in (-1, 1):
        step = side * stride
        foot, knee = (step, side * 0.09, 0.05), (0.35 * step + 0.05, side * 0.1, 0.47)
        if sitting:
            foot, knee = (0.1 + 0.12 * side, side * 0.12, 0.3), (0.36, side * 0.14, 0.68 + 0.08 * side)
        leg = np.stack([foot, knee, (0, side * 0.09, 0.88)])
        parts.append(Part(tube(leg, (0.055, 0.07, 0.09)), "cloth", trousers, style, True))
        shoe = moved(blob(rng, (0.14, 0.05, 0.05), 0, 5), foot[0] + 0.05, foot[1], 0.05 + foot[2] - 0.05)
        parts.append(Part(shoe, "plain", dark))
        hand = (0.1 - 0.9 * step + lean, side * 0.27, 0.82)
        if sitting:
            hand = (0.5, side * 0.25, 1.02)
        arm = np.stack([top + (0, side * 0.2, -0.08), (lean - 0.02, side * 0.27, 1.12), hand])
        parts.append(Part(tube(arm, (0.06, 0.05, 0.04)), "cloth", colour, style, True))
        parts.append(Part(moved(blob(rng, (0.05, 0.03, 0.06), 0, 5), *hand), "plain", skin))
    if not sitting and rng.random() < 0.35:
        bag = moved(box(0.14, 0.28, 0.4, 1.0), -0.2)
        parts.append(Part(bag, "cloth", _clothes(rng), style))
    tall = rng.uniform(0.9, 1.08)
    return [p._replace(shape=moved((p.shape[0] * tall, p.shape[1]), z=lift)) for p in parts]


def worker(rng, colour) -> list[Part]:
    """Someone in an orange or yellow vest and a helmet."""
    parts = person(rng, colour)
    helmet = blob(rng, (0.14, 0.12, 0.11), 0, 7)
    head = parts[2].shape[0].mean(0)
    parts[2] = Part(moved(helmet, *head), "plain", COLOURS["yellow"], (), True)
    return parts


def _spoked(x: float, radius: float, thick: float) -> list[Part]:
    """A bicycle's wheel: a tyre, and a few spokes."""
    turn = np.linspace(0, 2 * np.pi, 19)
    path = np.stack([x + radius * np.cos(turn), 0 * turn, radius + radius * np.sin(turn)], 1)
    parts = [Part(tube(path, thick, 5), "plain", (0.04, 0.04, 0.04))]
    for angle in np.pi * np.arange(5) / 5:
        spoke = radius * np.array((np.cos(angle), 0, np.sin(angle)))
        hub = np.array((x, 0, radius))
        parts.append(Part(tube([hub - spoke, hub + spoke], 0.006, 3), "plain", (0.5, 0.5, 0.5)))
    return parts


def bicycle(rng, colour) -> list[Part]:
    """A bicycle alone: two wheels, a frame of tubes, saddle, handlebar."""
    bars = [
        [(-0.52, 0, 0.34), (-0.08, 0, 0.3), (0.36, 0, 0.82)],
        [(-0.52, 0, 0.34), (-0.22, 0, 0.82), (0.36, 0, 0.86)],
        [(-0.08, 0, 0.3), (-0.24, 0, 0.95)],
        [(0.54, 0, 0.34), (0.34, 0, 1.02)],
    ]
    parts = [*_spoked(-0.52, 0.34, 0.022), *_spoked(0.54, 0.34, 0.022)]
    parts += [Part(tube(bar, 0.022, 5), "plain", colour) for bar in bars]
    handle = [(0.3, -0.28, 1.04), (0.36, -0.1, 1.02), (0.36, 0.1, 1.02), (0.3, 0.28, 1.04)]
    saddle = moved(blob(rng, (0.14, 0.07, 0.04), 0, 5), -0.26, 0, 0.97)
    parts.append(Part(saddle, "plain", (0.05, 0.05, 0.05)))
    return [*parts, Part(tube(handle, 0.016, 5), "plain", (0.1, 0.1, 0.1))]


def cyclist(rng, colour) -> list[Part]:
    rider = person(rng, _clothes(rng), 0.12, True, 0.12)
    return bicycle(rng, colour) + [p._replace(shape=moved(p.shape, -0.24)) for p in rider]


def motorcycle(rng, colour) -> list[Part]:
    """A motorcycle: fat wheels, tank, seat, engine, fork, exhaust."""
    black, metal = (0.05, 0.05, 0.05), (0.45, 0.45, 0.47)
    profile = np.array([(0.2, -0.5), (0.92, -0.5), (1, 0), (0.92, 0.5), (0.2, 0.5)])
    parts = []
    for x, wide in ((-0.68, 0.17), (0.74, 0.13)):
        tyre = lathe(profile * (0.31, wide), 16, "y")
        parts.append(Part(moved(tyre, x, 0, 0.31), "tyre", black, (x, 0.31, 0.31)))
    tank = moved(blob(rng, (0.3, 0.17, 0.15), 0.05, 8), 0.18, 0, 0.86)
    seat = [(-0.85, 0.86), (-0.6, 0.8), (0.0, 0.78), (0.0, 0.7), (-0.75, 0.74)]
    parts += [
        Part(tank, "car", colour, (9, 9, 9, 9), True),
        Part(extrude(seat, 0.28), "plain", black),
        Part(moved(box(0.5, 0.34, 0.42, 0.28), 0.02), "machine", metal),
        Part(tube([(-0.72, 0, 0.33), (-0.15, 0, 0.6), (0.42, 0, 0.88)], 0.05, 5), "plain", colour),
        Part(tube([(0.3, 0.16, 0.3), (-0.4, 0.17, 0.28), (-0.95, 0.18, 0.42)], 0.05), "plain", metal),
        Part(tube([(0.2, -0.36, 1.08), (0.36, 0, 1.03), (0.2, 0.36, 1.08)], 0.02, 5), "plain", black),
        Part(moved(blob(rng, (0.1, 0.1, 0.1), 0, 6), 0.52, 0, 0.92), "plain", (0.85, 0.85, 0.8)),
        Part(moved(box(0.06, 0.2, 0.14, 0.62), -0.95), "plain", (0.5, 0.05, 0.05)),
    ]
    for y in (-0.09, 0.09):
        parts.append(Part(tube([(0.74, y, 0.31), (0.42, y, 0.98)], 0.03, 5), "plain", metal))
    return parts


def motorcyclist(rng, colour) -> list[Part]:
    rider = person(rng, _clothes(rng) * 0.6, 0.02, True, 0.1)
    rider[2] = rider[2]._replace(
        shape=moved(blob(rng, (0.15, 0.13, 0.15), 0, 7), *rider[1].shape[0].mean(0)),
        colour=_clothes(rng),
    )
    return motorcycle(rng, colour) + [p._replace(shape=moved(p.shape, -0.15)) for p in rider]


# --- on the road ----------------------------------------------------------------------------------


def traffic_cone(rng, colour) -> list[Part]:
    tall = rng.uniform(0.9, 1.15)
    profile = np.array([(0.18, 0.05), (0.04, 0.75), (0, 0.75)]) * tall
    foot = box(0.42 * tall, 0.42 * tall, 0.05)
    tint = np.array((0.86, 0.24, 0.05)) * rng.uniform(0.85, 1.1)
    cone = Part(lathe(profile, 12), "striped", tint, (0, 0.2), True)
    return [cone, Part(foot, "plain", (0.1, 0.1, 0.1))]


def barrier(rng, colour) -> list[Part]:
    """A work-site barrier: striped boards, water-filled plastic, or concrete."""
    kind, red = rng.choice(3, p=[0.4, 0.35, 0.25]), np.array((0.66, 0.07, 0.06))
    if kind == 0:
        boards = [box(1.95, 0.06, 0.25, 0.2), box(1.95, 0.06, 0.3, 0.72)]
        parts = [Part(shape, "striped", red, (1, 0.22)) for shape in boards]
        feet = [moved(box(0.1, 0.55, 0.95), x) for x in (-0.85, 0.85)]
        return parts + [Part(shape, "plain", (0.2, 0.2, 0.2)) for shape in feet]
    # the profile of a New Jersey barrier
    half = np.array([(0.3, 0), (0.3, 0.1), (0.16, 0.35), (0.09, 0.95), (-0.09, 0.95)])
    ring = np.vstack([half, [(-0.16, 0.35), (-0.3, 0.1), (-0.3, 0)]])
    rings = [np.column_stack([np.full(len(ring), x), ring]) for x in (-0.98, 0.98)]
    plastic = np.array((0.85, 0.85, 0.83)) if rng.random() < 0.5 else red * 1.15
    colour = plastic if kind == 1 else np.array((0.52, 0.51, 0.48)) * rng.uniform(0.9, 1.1)
    return [Part(loft(np.stack(rings)), "machine" if kind == 1 else "plain", colour)]


# --- plants -------------------------------------------------------------------------------------


def _tint(rng) -> np.ndarray:
    return np.array([0.33, 0.43, 0.15]) * rng.uniform(0.75, 1.25) * rng.uniform(0.88, 1.12, 3)


def _crown(rng, centre, half_axes, tint, count: int, leaf: float) -> list[Part]:
    """A lumpy core of shade under loose leaves that light takes for one round crown."""
    style = (rng.random(), centre[2], half_axes[2])
    core = moved(blob(rng, np.array(half_axes) * 0.8, 0.4), *centre)
    cloud = moved(leaves(rng, half_axes, count, leaf), *centre)
    return [
        Part(core, "leaf", tint * 0.72, style, True),
        Part(cloud, "leaf", tint, style, outward(cloud, centre, half_axes)),
    ]


def tree(rng, colour) -> list[Part]:
    """A street tree: trunk, branches, a crown of several clouds of leaves."""
    tall, wide, tint = rng.uniform(4.5, 9), rng.uniform(1.4, 2.8), _tint(rng)
    bark, clear = np.array((0.24, 0.19, 0.14)) * rng.uniform(0.7, 1.4), rng.uniform(0.3, 0.45) * tall
    trunk = [(0, 0, -0.2), (*rng.normal(0, 0.08, 2), 0.6 * clear), (*rng.normal(0, 0.2, 2), clear)]
    thick = 0.025 * tall
    parts = [Part(tube(trunk, (1.4 * thick, thick, 0.8 * thick)), "bark", bark, (), True)]
    clouds = rng.integers(3, 6)
    for number in range(clouds):
        turn, out = 2 * np.pi * number / clouds + rng.uniform(0, 0.8), rng.uniform(0.3, 0.65) * wide
        z = rng.uniform(clear + 0.25 * (tall - clear), tall - 0.3 * (tall - clear))
        centre = (out * np.cos(turn), out * np.sin(turn), z)
        parts.append(Part(tube([trunk[-1], centre], (0.6 * thick, 0.25 * thick), 5), "bark", bark))
        size = wide * rng.uniform(0.5, 0.75)
        axes = (size, size, 0.42 * (tall - clear) * rng.uniform(0.8, 1.15))
        parts += _crown(rng, centre, axes, tint * rng.uniform(0.9, 1.1), 520, 0.09)
    return parts


def conifer(rng, colour) -> list[Part]:
    tall, wide, tint = rng.uniform(5, 10), rng.uniform(1.1, 1.9), _tint(rng) * (0.75, 0.85, 1)
    parts = [Part(tube([(0, 0, -0.2), (0, 0, 0.8 * tall)], (0.18, 0.05)), "bark", (0.2, 0.15, 0.11))]
    for z in np.arange(0.12, 0.95, 0.17):
        r = wide * (1 - 0.85 * z)
        parts += _crown(rng, (0, 0, (z + 0.05) * tall), (r, r, 0.13 * tall), tint, 260, 0.09)
    return parts


def palm(rng, colour) -> list[Part]:
    tall = rng.uniform(5, 9)
    bend = rng.normal(0, 0.3, 2)
    trunk = [(0, 0, -0.2), (*0.4 * bend, tall / 2), (*bend, tall)]
    parts = [Part(tube(trunk, (0.2, 0.15, 0.13)), "bark", (0.33, 0.27, 0.2), (), True)]
    for turn in np.linspace(0, 2 * np.pi, 12)[:-1] + rng.uniform(0, 1):
        out = np.array((np.cos(turn), np.sin(turn), 0)) * rng.uniform(0.8, 1.1)
        rib = np.array([(*bend, tall) + out * s * 2 + (0, 0, 0.9 * s - 1.5 * s**2) for s in (0, 0.4, 0.8, 1.1)])
        side = np.cross(out, (0, 0, 1))
        wing = np.array((0.1, 0.4, 0.3, 0.02))[:, None] * side
        blade = np.stack([rib - wing - (0, 0, 0.12), rib, rib + wing - (0, 0, 0.12)], 1)
        parts.append(Part(loft(blade, False, False), "leaf", _tint(rng), (0, tall, 1.0)))
    return parts


def bush(rng, colour) -> list[Part]:
    r, z = rng.uniform(0.5, 1.1), rng.uniform(0.4, 0.9)
    return _crown(rng, (0, 0, 0.7 * z), (r, r, z), _tint(rng), 450, 0.06)


def hedge(rng, colour) -> list[Part]:
    """Two metres of clipped hedge."""
    tint, height = _tint(rng) * 0.9, rng.uniform(0.9, 1.5)
    cloud = leaves(rng, (1.25, 0.42, 0.55 * height), 420, 0.045)
    style = (rng.random(), height / 2, height / 2)
    core = stack([(0, -1.05, 1.05, 0.33, 0.1), (height, -1.0, 1.0, 0.3, 0.12)])
    return [
        Part(core, "leaf", tint * 0.8, style),
        Part(moved(cloud, z=height / 2), "leaf", tint, style),
    ]


# --- street furniture -----------------------------------------------------------------------------


def lamp(rng, colour) -> list[Part]:
    z, grey = rng.uniform(6, 9), np.full(3, rng.uniform(0.15, 0.55))
    arm = [(0, 0, 0), (0, 0, z - 0.8), (0, 0.5, z - 0.1), (0, 1.9, z)]
    head = moved(blob(rng, (0.14, 0.35, 0.08), 0, 6), 0, 2.1, z)
    return [Part(tube(arm, (0.1, 0.07, 0.05, 0.04)), "plain", grey), Part(head, "plain", grey * 1.4)]


def utility_pole(rng, colour) -> list[Part]:
    """A wooden pole with cross-arms."""
    wood, z = np.array((0.26, 0.2, 0.15)) * rng.uniform(0.8, 1.3), rng.uniform(8, 11)
    parts = [Part(tube([(0, 0, 0), (0, 0, z)], (0.16, 0.11)), "bark", wood)]
    parts += [Part(moved(box(0.1, 2.2, 0.12, z - h)), "bark", wood) for h in (0.4, 1.3)]
    can = lathe([(0, 0), (0.25, 0), (0.25, 0.8), (0, 0.8)], 10)
    return parts + [Part(moved(can, 0.35, 0, z - 2.8), "plain", (0.45, 0.46, 0.47))]


def sign(rng, colour) -> list[Part]:
    """A traffic sign on a post: round, or a rectangular board."""
    parts = [Part(tube([(0, 0, 0), (0, 0, 2.9)], 0.035), "plain", (0.5, 0.5, 0.5))]
    z, r, seed = rng.uniform(2.2, 2.6), rng.uniform(0.28, 0.38), rng.random()
    if rng.random() < 0.55:
        face = lathe([(0, -0.02), (r, -0.02), (r, 0.02), (0, 0.02)], 20, "x")
        face = Part(moved(face, 0.06, 0, z), "plate", (0, 0, 0), (seed, z, r))
    else:
        face = Part(moved(box(0.04, 0.6, 0.75, z - 0.4), 0.06), "print", (0, 0, 0), (seed, z - 0.4, 0.75))
    return [*parts, face]


def traffic_light(rng, colour) -> list[Part]:
    z, dark, lit = 2.6, (0.05, 0.06, 0.05), rng.integers(3)
    tints = ((0.9, 0.1, 0.05), (0.95, 0.6, 0.05), (0.1, 0.85, 0.4))
    parts = [Part(tube([(0, 0, 0), (0, 0, z + 1)], 0.07), "plain", (0.25, 0.27, 0.26))]
    parts.append(Part(moved(box(0.2, 0.32, 0.95, z), 0.15), "plain", dark))
    for number, tint in enumerate(tints):
        lens = lathe([(0, 0), (0.1, 0), (0.1, 0.04), (0, 0.05)], 12, "x")
        shade = 1.0 if number == lit else 0.12
        place = moved(lens, 0.25, 0, z + 0.78 - 0.3 * number)
        parts.append(Part(place, "plain", np.array(tint) * shade))
    return parts


def bollard(rng, colour) -> list[Part]:
    profile = [(0.08, 0), (0.08, 0.85), (0.05, 0.95), (0, 0.95)]
    return [Part(lathe(profile, 8), "striped", (0.2, 0.2, 0.2), (0, 0.2), True)]


def bench(rng, colour) -> list[Part]:
    wood, iron = (0.33, 0.22, 0.13), (0.1, 0.1, 0.1)
    parts = [Part(box(1.7, 0.45, 0.06, 0.42), "plain", wood)]
    parts.append(Part(moved(box(1.7, 0.06, 0.4, 0.55), 0, -0.22), "plain", wood))
    return parts + [Part(moved(box(0.08, 0.42, 0.42), x), "plain", iron) for x in (-0.7, 0.7)]


def bin_(rng, colour) -> list[Part]:
    tint = np.array(COLOURS[str(rng.choice(["green", "grey", "blue", "black"]))])
    return [Part(stack([(0, -0.28, 0.28, 0.25, 0.08), (1.0, -0.35, 0.35, 0.3, 0.1)]), "plain", tint)]


def bus_shelter(rng, colour) -> list[Part]:
    """Glass on three sides, a roof, a poster."""
    grey, glass = (0.3, 0.31, 0.32), (0.22, 0.27, 0.28)
    posts = [moved(box(0.1, 0.1, 2.5), x, -0.6) for x in (-1.9, 0, 1.9)]
    board = moved(box(0.12, 1.2, 1.8, 0.4), -1.9)
    return [
        *(Part(shape, "plain", grey) for shape in posts),
        Part(box(4.2, 1.6, 0.12, 2.45), "plain", grey),
        Part(moved(box(3.7, 0.03, 1.9, 0.35), 0, -0.6), "glazed", glass),
        Part(board, "print", (0, 0, 0), (rng.random(), 0.4, 1.8)),
        Part(moved(box(2.2, 0.35, 0.06, 0.45), 0.4, -0.3), "plain", (0.4, 0.3, 0.2)),
    ]


def billboard(rng, colour) -> list[Part]:
    z, iron = rng.uniform(3.5, 5), (0.25, 0.26, 0.27)
    parts = [Part(tube([(0, y, 0), (0, y, z + 1)], 0.15), "plain", iron) for y in (-1.5, 1.5)]
    return [*parts, Part(box(0.3, 6, 3, z), "print", (0, 0, 0), (rng.random(), z, 3.0))]


def fence(rng, colour) -> list[Part]:
    """Two metres of railings."""
    iron, tall = np.full(3, rng.choice([0.03, 0.3])), rng.uniform(1.3, 2.1)
    bars = [moved(box(0.025, 0.025, tall), x) for x in np.arange(-0.95, 1, 0.16)]
    rails = [box(2.0, 0.04, 0.05, z) for z in (0.15, tall - 0.15)]
    return [Part(shape, "plain", iron) for shape in bars + rails]


def garden_wall(rng, colour) -> list[Part]:
    """Two metres of low wall."""
    tint, kind = np.array(WALLS[rng.integers(len(WALLS))]), rng.integers(2)
    return [Part(box(2.0, 0.25, rng.uniform(0.6, 1.4)), "wall_plain", tint, (rng.random(), 0, 0, kind))]


# --- buildings ----------------------------------------------------------------------------------

WALLS = (
    (0.70, 0.67, 0.60), (0.62, 0.54, 0.42), (0.42, 0.20, 0.15), (0.36, 0.17, 0.13),
    (0.58, 0.58, 0.57), (0.62, 0.58, 0.40), (0.50, 0.42, 0.37), (0.42, 0.47, 0.50),
    (0.76, 0.75, 0.72), (0.36, 0.34, 0.33), (0.55, 0.57, 0.48),
)  # fmt: skip


def house(rng, width: float) -> list[Part]:
    """A house of 2-5 storeys; its corner at the origin, its front looks to y > 0."""
    depth, storeys, tall = 10.0, rng.choice([2, 3, 4, 5], p=[0.35, 0.35, 0.2, 0.1]), rng.uniform(2.8, 3.4)
    index = rng.integers(len(WALLS))
    colour, kind = np.array(WALLS[index]) * rng.uniform(0.85, 1.1), 1 if index in (2, 3) else 0
    eaves, seed = storeys * tall + 0.2, rng.random()
    bay = width / max(round(width / rng.uniform(2, 3)), 1)
    style = (seed, bay, tall, kind)
    parts = [Part(moved(box(width, depth, eaves), width / 2, -depth / 2), "wall", colour, style)]
    if rng.random() < 0.5:
        x, ridge = width / 2 + 0.2, eaves + rng.uniform(1.5, 3.5)
        roof = extrude([(-x, eaves), (x, eaves), (0, ridge)], depth + 0.6)
        parts.append(Part(moved(roof, width / 2, -depth / 2), "roof", colour, style))
        place = rng.uniform(0.2, 0.8) * width
        parts.append(Part(moved(box(0.8, 0.6, ridge - eaves + 0.4, eaves), place, -5), "plain", colour * 0.6))
    else:
        ledge = moved(box(width + 0.3, depth + 0.3, 0.45, eaves - 0.05), width / 2, -depth / 2)
        parts.append(Part(ledge, "plain", colour * 0.85 + 0.08))
    if rng.random() < 0.5:  # balconies
        for storey in range(1, storeys):
            for at in np.arange(bay / 2, width, 2 * bay):
                slab = moved(box(0.8 * bay, 1.1, 0.15, storey * tall), at, 0.5)
                rail = moved(box(0.8 * bay, 0.05, 0.9, storey * tall + 0.1), at, 1.0)
                parts += [Part(slab, "plain", (0.5, 0.5, 0.5)), Part(rail, "lattice", (0.2, 0.2, 0.22))]
    if rng.random() < 0.4:  # an awning
        x = rng.uniform(0.3, 0.7) * width
        slope = [(x - 1.5, 2.6), (x + 1.5, 2.6), (x + 1.5, 2.66), (x - 1.5, 2.66)]
        tint = np.array(COLOURS[str(rng.choice(["red", "green", "blue", "beige"]))])
        parts.append(Part(moved(extrude(slope, 1.6), 0, 0.6), "striped", tint, (1, 0.25)))
    return parts


def office(rng, width: float) -> list[Part]:
    """A tower of glass or concrete."""
    tall, storeys = rng.uniform(3.2, 3.8), rng.integers(4, 12)
    tint = np.array(((0.4, 0.5, 0.55), (0.3, 0.36, 0.4), (0.55, 0.56, 0.55))[rng.integers(3)])
    high, depth, bay = tall * storeys, 16.0, width / max(round(width / 1.6), 1)
    glass = moved(box(width, depth, high), width / 2, -depth / 2)
    if rng.random() < 0.6:
        parts = [Part(glass, "glazing", tint, (rng.random(), bay, tall))]
    else:
        colour = np.array(WALLS[rng.integers(len(WALLS))])
        parts = [Part(glass, "wall", colour, (rng.random(), 2 * bay, tall, 2))]
    base = moved(box(width + 0.6, depth + 0.6, 0.5, tall - 0.4), width / 2, -depth / 2)
    columns = [moved(box(0.5, 0.5, tall), at, 0.4) for at in np.arange(0.5, width, 5.0)]
    return parts + [Part(shape, "plain", (0.5, 0.5, 0.49)) for shape in [base, *columns]]


def hall(rng, width: float) -> list[Part]:
    """A workshop or a warehouse with gates; often little more than a wall."""
    high, depth, seed = rng.uniform(4.5, 9.5), 20.0, rng.random()
    colour = np.array(WALLS[rng.choice([0, 1, 4, 6, 8, 9, 10, 2])]) * rng.uniform(0.8, 1.05)
    style = (seed, rng.random(), 0, float(rng.choice([0, 2, 3])))
    parts = [Part(moved(box(width, depth, high), width / 2, -depth / 2), "hall", colour, style)]
    if rng.random() < 0.4:  # a rounded gable
        turn = np.linspace(0, np.pi, 9)
        arch = np.column_stack([-width / 2 * np.cos(turn), high + 1.6 * np.sin(turn)])
        parts.append(Part(moved(extrude(arch, depth), width / 2, -depth / 2), "hall", colour, style))
    band = moved(box(width + 0.1, depth + 0.1, 0.4, high - 0.4), width / 2, -depth / 2)
    parts.append(Part(band, "plain", colour * 0.7))
    if rng.random() < 0.5:
        board = moved(box(4.5, 0.15, 1.1, 4.2), rng.uniform(0.3, 0.7) * width, 0.1)
        parts.append(Part(board, "print", (0, 0, 0), (rng.random(), 4.2, 1.1)))
    return parts


ASSETS = {
    "car": Asset(car, "car", "vehicle.car", CAR_COLOURS),
    "delivery van": Asset(delivery_van, "truck", "vehicle.truck", {"white": 6, "grey": 1, "blue": 1, "yellow": 1}),
    "pickup": Asset(pickup, "truck", "vehicle.truck", CAR_COLOURS),
    "truck": Asset(truck, "truck", "vehicle.truck", {"white": 4, "blue": 2, "red": 2, "green": 1, "grey": 1}),
    "bus": Asset(bus, "bus", "vehicle.bus.rigid", {"red": 2, "yellow": 2, "white": 2, "blue": 1, "green": 1}),
    "trailer": Asset(trailer, "trailer", "vehicle.trailer", {"blue": 2, "brown": 2, "red": 2, "green": 1, "orange": 1}),
    "construction vehicle": Asset(construction_vehicle, "construction_vehicle", "vehicle.construction", WORK),
    "excavator": Asset(excavator, "construction_vehicle", "vehicle.construction", WORK),
    "wheel loader": Asset(loader, "construction_vehicle", "vehicle.construction", WORK),
    "road roller": Asset(roller, "construction_vehicle", "vehicle.construction", WORK),
    "person": Asset(person, "pedestrian", "human.pedestrian.adult", CLOTHES),
    "worker": Asset(worker, "pedestrian", "human.pedestrian.construction_worker", {"orange": 2, "yellow": 1}),
    "bicycle": Asset(bicycle, "bicycle", "vehicle.bicycle", CLOTHES),
    "cyclist": Asset(cyclist, "bicycle", "vehicle.bicycle", CLOTHES),
    "motorcycle": Asset(motorcycle, "motorcycle", "vehicle.motorcycle", CLOTHES),
    "motorcyclist": Asset(motorcyclist, "motorcycle", "vehicle.motorcycle", CLOTHES),
    "traffic cone": Asset(traffic_cone, "traffic_cone", "movable_object.trafficcone"),
    "barrier": Asset(barrier, "barrier", "movable_object.barrier"),
    "tree": Asset(tree, "vegetation"),
    "conifer": Asset(conifer, "vegetation"),
    "palm": Asset(palm, "vegetation"),
    "bush": Asset(bush, "vegetation"),
    "hedge": Asset(hedge, "vegetation"),
    "street lamp": Asset(lamp, "manmade"),
    "utility pole": Asset(utility_pole, "manmade"),
    "traffic sign": Asset(sign, "manmade"),
    "traffic light": Asset(traffic_light, "manmade"),
    "bollard": Asset(bollard, "manmade"),
    "bench": Asset(bench, "manmade"),
    "bin": Asset(bin_, "manmade"),
    "bus shelter": Asset(bus_shelter, "manmade"),
    "billboard": Asset(billboard, "manmade"),
    "fence": Asset(fence, "manmade"),
    "garden wall": Asset(garden_wall, "manmade"),
    "house": Asset(lambda rng, colour: house(rng, rng.uniform(8, 14)), "manmade"),
    "office building": Asset(lambda rng, colour: office(rng, rng.uniform(15, 25)), "manmade"),
    "hall": Asset(lambda rng, colour: hall(rng, rng.uniform(15, 25)), "manmade"),
}  # fmt: skip
