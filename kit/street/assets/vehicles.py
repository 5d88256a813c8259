"""Models of cars, trucks, buses and construction vehicles.

x forward, y left, z up, metres; the origin is on the ground in the middle of the vehicle.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from kit.street.assets.colours import COLOURS
from kit.street.assets.shapes import (
    Part,
    Shape,
    box,
    ellipsoid,
    extrude,
    join,
    lathe,
    loft,
    moved,
    rotated,
    rounded_body,
    tube,
)


class CarBody(NamedTuple):
    """Dimensions of a car body, metres; positions along it are ratios, 0 rear to 1 front.

    Attributes:
        length, width, height: of the whole car.
        belt, hood: heights of the lower edge of the side windows and of the hood.
        glass_rear, glass_front: ends of the cabin at the belt.
        roof_rear, roof_front: ends of the roof.
        deck: height of the rear deck above the belt.
    """

    length: float
    width: float
    height: float
    belt: float
    hood: float
    glass_rear: float
    glass_front: float
    roof_rear: float
    roof_front: float
    deck: float


CAR_BODIES = {
    "saloon": CarBody(4.7, 1.82, 1.45, 0.93, 0.84, 0.13, 0.72, 0.28, 0.55, 0.0),
    "hatchback": CarBody(4.1, 1.76, 1.5, 0.94, 0.88, 0.02, 0.75, 0.1, 0.57, 0.0),
    "estate": CarBody(4.7, 1.82, 1.48, 0.94, 0.85, 0.01, 0.72, 0.05, 0.55, 0.0),
    "off-roader": CarBody(4.75, 1.92, 1.76, 1.1, 1.05, 0.01, 0.73, 0.05, 0.58, 0.0),
    "minivan": CarBody(4.9, 1.95, 1.78, 1.05, 0.98, 0.01, 0.83, 0.03, 0.65, 0.0),
    "pickup": CarBody(5.4, 1.95, 1.8, 1.12, 1.1, 0.36, 0.72, 0.4, 0.58, -0.1),
}


def _car(rng, colour, kind: str) -> list[Part]:
    """A car of one kind of body: hull, cabin, mirrors, roof rails, wheels."""
    body = CAR_BODIES[kind]
    length, width, height = np.array(body[:3]) * rng.uniform(0.95, 1.05, 3)
    body = body._replace(length=length, width=width, height=height)
    _, _, _, belt, _, _, g1, r0, r1, _ = body
    w = width / 2
    ahead, behind = _along(body, 0.815), _along(body, 0.19)
    parts = [
        Part(_hull(body), "car", colour, (length / 2, ahead, behind, belt), True),
        _cabin(body, colour),
    ]
    for side in (-1, 1):
        mirror = ellipsoid(rng, (0.07, 0.11, 0.08), 0, 5)
        mirror = moved(mirror, _along(body, g1 - 0.06), side * (w + 0.05), belt)
        parts.append(Part(mirror, "plain", colour * 0.8))
    if kind == "off-roader" and rng.random() < 0.6:
        rear, front = _along(body, r0 + 0.05), _along(body, r1)
        for side in (-1, 1):
            rail = [(rear, side * 0.6 * w, height), (front, side * 0.6 * w, height + 0.03)]
            parts.append(Part(tube(rail, 0.025), "plain", (0.4, 0.4, 0.4)))
    return parts + _wheels((ahead, behind), width, 0.33 if height < 1.6 else 0.37)


def _along(body: CarBody, ratio: float) -> float:
    """x of a position along the body."""
    return body.length * ratio - body.length / 2


def _hull(body: CarBody) -> Shape:
    """The painted body up to the belt, lofted through cross-sections."""
    belt, hood, deck, w = body.belt, body.hood, body.deck, body.width / 2
    g0, g1 = body.glass_rear, body.glass_front
    # ratio along the length, ratio of the width, lower and upper height
    stations = [
        (0.0, 0.72, 0.45, belt + deck - 0.14), (0.015, 0.86, 0.3, belt + deck - 0.03),
        (0.08, 0.96, 0.22, belt + deck), (g0 + 0.12, 1.0, 0.2, belt + deck * (g0 > 0.3)),
        (g0 + 0.2, 1.0, 0.2, belt + 0.01), (0.6, 1.0, 0.2, belt), (g1, 0.99, 0.2, belt - 0.01),
        (0.86, 0.97, 0.22, hood), (0.95, 0.92, 0.24, hood - 0.06), (0.985, 0.84, 0.28, hood - 0.14),
        (1.0, 0.7, 0.38, hood - 0.28),
    ]  # fmt: skip
    # from the sill over the shoulder to the middle of the top: ratio of the width, of the height
    section = np.array([(0.86, 0), (0.97, 0.12), (1, 0.45), (0.985, 0.75), (0.92, 0.95), (0.6, 1)])
    rings = []
    for ratio, wide, low, top in stations:
        y, z = section[:, 0] * wide * w, low + section[:, 1] * (top - low)
        half = np.column_stack([np.full(len(y), _along(body, ratio)), y, z])
        rings.append(np.vstack([half, half[::-1] * [1, -1, 1]]))
    return loft(np.stack(rings))


def _cabin(body: CarBody, colour) -> Part:
    """The windows and the roof."""
    height, belt, w = body.height, body.belt, body.width / 2
    g0, g1, r0, r1 = body.glass_rear, body.glass_front, body.roof_rear, body.roof_front

    def at(ratio: float) -> float:
        return _along(body, ratio)

    tilted = belt + 0.35 * (height - belt), at(g0 + 0.35 * (r0 - g0)), at(g1 - 0.42 * (g1 - r1))
    levels = [
        (belt - 0.03, at(g0), at(g1), 0.93 * w, 0.22),
        (*tilted, 0.89 * w, 0.2),
        (height - 0.1, at(0.9 * r0 + 0.1 * g0), at(r1 + 0.04), 0.76 * w, 0.18),
        (height - 0.02, at(r0 + 0.02), at(r1 - 0.03), 0.68 * w, 0.15),
        (height, at(r0 + 0.06), at(r1 - 0.08), 0.56 * w, 0.12),
    ]
    return Part(rounded_body(levels), "cabin", colour, (belt, height, at(g0), at(g1)), True)


def car(rng, colour) -> list[Part]:
    """A car of a random kind, except a pickup."""
    kinds = list(CAR_BODIES)[:5]
    return _car(rng, colour, str(rng.choice(kinds, p=[0.3, 0.2, 0.12, 0.28, 0.1])))


def pickup(rng, colour) -> list[Part]:
    """A pickup."""
    return _car(rng, colour, "pickup")


@cache
def _tyre(radius: float, wide: float) -> tuple[Shape, Shape]:
    """A tyre and its wheel disc, for the left side."""
    profile = np.array([(0.2, -0.5), (0.9, -0.5), (1, -0.3), (1, 0.3), (0.9, 0.5), (0.2, 0.5)])
    disc = np.array([(0.0, 0.44), (0.88, 0.46), (0.9, 0.4)])
    size = (radius, wide)
    return lathe(profile * size, 16, "y"), lathe(disc * size, 16, "y")


def _wheels(axles, track, radius: float, wide: float = 0.22) -> list[Part]:
    """Two wheels on every axle, 2 cm outside the body; `axles` are their x."""
    tyre, disc = _tyre(radius, wide)
    y = track / 2 - wide / 2 + 0.02
    pair = join(
        [moved(tyre, 0, y), moved(tyre, 0, -y), moved(disc, 0, y), _mirrored(moved(disc, 0, y))]
    )
    style = [(x, radius, radius) for x in axles]
    return [Part(moved(pair, s[0], 0, radius), "tyre", (0, 0, 0), s) for s in style]


def _mirrored(shape: Shape) -> Shape:
    """Mirror a shape, left to right."""
    return shape[0] * (1, -1, 1), shape[1]


# --- larger vehicles ----------------------------------------------------------------------------


def _cab(x: float, colour, tall: float = 2.5) -> list[Part]:
    """The cab of a truck; its front is at x."""
    levels = [
        (0.42, x - 1.75, x - 0.02, 1.08, 0.12),
        (1.3, x - 1.75, x, 1.1, 0.15),
        (1.75, x - 1.75, x - 0.08, 1.08, 0.15),
        (tall - 0.2, x - 1.75, x - 0.3, 1.02, 0.15),
        (tall, x - 1.7, x - 0.5, 0.95, 0.12),
    ]
    parts = [Part(rounded_body(levels), "cab", colour, (x, 1.4, tall, x - 0.95), True)]
    for side in (-1, 1):
        mirror = moved(box(0.1, 0.2, 0.4), x - 0.15, side * 1.25, 1.6)
        parts.append(Part(mirror, "plain", (0.05, 0.05, 0.05)))
    return parts


def truck(rng, colour) -> list[Part]:
    """A truck with a closed box, a tarpaulin or an open bed."""
    long, high, seed = rng.uniform(4, 7), rng.uniform(2.1, 2.7), rng.random()
    x, kind = (long + 2) / 2, rng.choice(["box", "tarp", "bed"], p=[0.6, 0.25, 0.15])
    parts = _cab(x, colour, rng.uniform(2.3, 2.8))
    middle, tint = x - 2 - long / 2, np.array(COLOURS["white"]) * rng.uniform(0.8, 1.05)
    parts.append(Part(moved(box(long + 2, 0.9, 0.25, 0.62), 0), "plain", (0.08, 0.08, 0.08)))
    if kind == "bed":
        parts.append(Part(moved(box(long, 2.3, 0.55, 0.9), middle), "machine", tint * 0.6))
        heap = ellipsoid(rng, (0.4 * long, 0.95, 0.5), 0.3)
        parts.append(Part(moved(heap, middle, 0, 1.4), "soil", (0.4, 0.33, 0.25), (), True))
    else:
        if kind == "tarp":
            tint = np.array(COLOURS[str(rng.choice(["blue", "green", "red", "grey"]))]) * 1.2
        parts.append(
            Part(moved(box(long, 2.4, high, 0.95), middle), "panel", tint, (seed, 0.95, high))
        )
    wheels = (x - 0.95, x - 2 - 0.75 * long, x - 2 - 0.75 * long - 1.1)
    return parts + _wheels(wheels[: 2 + (long > 5.5)], 2.3, 0.48, 0.3)


def delivery_van(rng, colour) -> list[Part]:
    """A panel van: a short hood and a tall body without rear windows."""
    x, high, w = rng.uniform(2.5, 2.95), rng.uniform(2.1, 2.6), 1.0
    levels = [
        (0.3, -x, x - 0.03, w - 0.03, 0.12), (0.9, -x, x, w, 0.2), (1.15, -x, x - 0.35, w, 0.2),
        (1.25, -x, x - 0.75, w, 0.15), (0.85 * high, -x + 0.02, x - 1.5, w - 0.07, 0.15),
        (high, -x + 0.08, x - 1.75, w - 0.2, 0.12),
    ]  # fmt: skip
    parts = [Part(rounded_body(levels), "car", colour, (x, x - 0.85, -x + 1.05, 1.1), True)]
    pane = [(x - 0.72, 1.22), (x - 0.7, 1.24), (x - 1.42, 0.83 * high), (x - 1.46, 0.83 * high)]
    parts.append(Part(extrude(pane, np.array((1.8, 1.8, 1.6, 1.6))), "glazed", (0.05, 0.05, 0.06)))
    door = [(x - 1.0, 1.25), (x - 1.5, 0.8 * high), (x - 2.1, 0.8 * high), (x - 2.1, 1.22)]
    parts.append(Part(extrude(door, 2.01 * w), "glazed", (0.05, 0.05, 0.06)))
    logo = box(1.7 * x - 1.6, 2.005 * w, 0.42 * high, 0.42 * high)
    parts.append(
        Part(moved(logo, -0.65), "panel", colour, (rng.random(), 0.42 * high, 0.42 * high))
    )
    return parts + _wheels((x - 0.85, -x + 1.05), 2 * w, 0.35)


def bus(rng, colour) -> list[Part]:
    """A city bus, 11 to 12 m long."""
    x, tall = rng.uniform(5.3, 6), rng.uniform(2.95, 3.2)
    levels = [
        (0.3, -x, x - 0.05, 1.24, 0.2), (1.1, -x, x, 1.27, 0.25), (2.2, -x, x - 0.06, 1.26, 0.25),
        (tall - 0.12, -x + 0.05, x - 0.12, 1.2, 0.25), (tall, -x + 0.2, x - 0.3, 1.05, 0.2),
    ]  # fmt: skip
    parts = [Part(rounded_body(levels), "coach", colour, (x, tall, rng.random()), True)]
    pack = moved(box(2.6, 1.7, 0.3, tall - 0.02), -x / 2)
    return [
        *parts,
        Part(pack, "plain", colour * 0.9),
        *_wheels((x - 2.6, -x + 3.1), 2.5, 0.48, 0.3),
    ]


def trailer(rng, colour) -> list[Part]:
    """A parked trailer on its legs: a container of corrugated steel, or a tank."""
    x, iron = rng.uniform(3.6, 6), (0.1, 0.1, 0.1)
    parts = [Part(box(2 * x, 1.0, 0.25, 0.85), "plain", iron)]
    if rng.random() < 0.7:
        parts.append(
            Part(
                box(2 * x, 2.45, rng.uniform(2.4, 2.7), 1.15), "container", colour, (rng.random(),)
            )
        )
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
    """An excavator on tracks with engine house, cab, boom, arm and bucket."""
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
    upper.append(
        Part(moved(tube(np.stack(boom), (0.3, 0.36, 0.28, 0.2), 4), 0, -0.1), "machine", colour)
    )
    upper.append(
        Part(moved(tube(np.stack([tip, low]), (0.24, 0.16), 4), 0, -0.1), "machine", colour)
    )
    bucket = ellipsoid(rng, (0.55, 0.5, 0.45), 0.1, 6)
    upper.append(Part(moved(bucket, *(low + (-0.2, -0.1, -0.2))), "machine", dark))
    return parts + [p._replace(shape=rotated(p.shape, swing)) for p in upper]


def loader(rng, colour) -> list[Part]:
    """A wheel loader: large wheels, an engine, a cab, and a shovel in front."""
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
    """A road roller: a drum, a body, and a roof on four posts."""
    drum = moved(
        lathe([(0, -0.85), (0.62, -0.85), (0.62, 0.85), (0, 0.85)], 18, "y"), 1.25, 0, 0.62
    )
    body = [(-1.8, 0.6), (0.6, 0.6), (0.6, 1.1), (-0.4, 1.15), (-0.6, 1.5), (-1.8, 1.45)]
    parts = [
        Part(drum, "machine", (0.3, 0.3, 0.3)),
        Part(moved(box(1.7, 1.9, 0.25, 0.9), 1.0), "machine", colour),
        Part(extrude(body, 1.6), "machine", colour),
        Part(moved(box(1.7, 1.6, 0.1, 2.6), -0.3), "machine", colour),
    ]
    posts = [(x, y) for x in (-1.0, 0.4) for y in (-0.7, 0.7)]
    parts += [
        Part(moved(box(0.08, 0.08, 1.5, 1.1), x, y), "plain", (0.1, 0.1, 0.1)) for x, y in posts
    ]
    return parts + _wheels((-1.1,), 1.8, 0.6, 0.45)


def construction_vehicle(rng, colour) -> list[Part]:
    """An excavator, a wheel loader or a road roller."""
    return (excavator, loader, roller)[rng.choice(3, p=[0.5, 0.3, 0.2])](rng, colour)
