"""Models of people, bicycles and motorcycles; x forward, y left, z up, metres, ground at z = 0."""

from functools import cache

import numpy as np

from kit.street.assets.colours import COLOURS
from kit.street.assets.shapes import Part, Shape, box, ellipsoid, extrude, join, lathe, moved, tube

SKIN_COLOURS = ((0.78, 0.57, 0.45), (0.5, 0.33, 0.24), (0.32, 0.2, 0.15))


def _clothes(rng) -> np.ndarray:
    """Draw a colour of clothes."""
    return np.array(COLOURS[str(rng.choice(list(COLOURS)))]) * rng.uniform(0.6, 1.2) + 0.03


def person(rng, colour, lift=0.0, sitting=False, lean=0.05, stride=0.05) -> list[Part]:
    """A person, 1.6 to 2.0 m tall.

    Args:
        rng: draws the body and the clothes.
        colour: of the upper clothes.
        lift: height above the ground, metres.
        sitting: sitting on a saddle instead of standing.
        lean: how far the upper body leans forward, metres.
        stride: half the distance between the feet, metres.
    """
    trousers, skin = _clothes(rng) * 0.5, np.array(SKIN_COLOURS[rng.integers(3)])
    hair, dark = skin * rng.uniform(0.1, 0.5), (0.05, 0.05, 0.05)
    hip = (0, 0, 0.86)
    top = np.array((lean * 2, 0, 1.45))
    torso = np.stack([hip, (lean, 0, 1.15), top - (0, 0, 0.06), top + (0, 0, 0.02)])
    body = tube(torso, (0.15, 0.165, 0.18, 0.08), 9)
    body = body[0] * (0.85, 1.25, 1), body[1]
    head = moved(ellipsoid(rng, (0.1, 0.08, 0.125), 0.05, 7), *(top + (0.04, 0, 0.22)))
    cap = moved(ellipsoid(rng, (0.108, 0.09, 0.1), 0.05, 7), *(top + (0.02, 0, 0.27)))
    style = (rng.random(),)
    parts = [
        Part(body, "cloth", colour, style, True),
        Part(head, "plain", skin, (), True),
        Part(cap, "cloth", hair, style, True),
        Part(tube([top - (0, 0, 0.02), top + (0.02, 0, 0.14)], 0.05), "plain", skin),
    ]
    for side in (-1, 1):
        leg, shoe, arm, hand = _limbs(rng, side, lean, stride, sitting)
        parts += [
            Part(leg, "cloth", trousers, style, True),
            Part(shoe, "plain", dark),
            Part(arm, "cloth", colour, style, True),
            Part(hand, "plain", skin),
        ]
    if not sitting and rng.random() < 0.35:
        bag = moved(box(0.14, 0.28, 0.4, 1.0), -0.2)
        parts.append(Part(bag, "cloth", _clothes(rng), style))
    tall = rng.uniform(0.9, 1.08)
    return [p._replace(shape=moved((p.shape[0] * tall, p.shape[1]), z=lift)) for p in parts]


def _limbs(rng, side, lean, stride, sitting) -> tuple[Shape, Shape, Shape, Shape]:
    """Leg, shoe, arm and hand of the right (-1) or left (1) side; see `person`."""
    top, step = np.array((lean * 2, 0, 1.45)), side * stride
    if sitting:
        foot = (0.1 + 0.12 * side, side * 0.12, 0.3)
        knee = (0.36, side * 0.14, 0.68 + 0.08 * side)
        hand = (0.5, side * 0.25, 1.02)
    else:
        foot = (step, side * 0.09, 0.05)
        knee = (0.35 * step + 0.05, side * 0.1, 0.47)
        hand = (0.1 - 0.9 * step + lean, side * 0.27, 0.82)
    leg = np.stack([foot, knee, (0, side * 0.09, 0.88)])
    shoe = moved(ellipsoid(rng, (0.14, 0.05, 0.05), 0, 5), foot[0] + 0.05, foot[1], foot[2])
    arm = np.stack([top + (0, side * 0.2, -0.08), (lean - 0.02, side * 0.27, 1.12), hand])
    fist = moved(ellipsoid(rng, (0.05, 0.03, 0.06), 0, 5), *hand)
    return tube(leg, (0.055, 0.07, 0.09)), shoe, tube(arm, (0.06, 0.05, 0.04)), fist


def walker(rng, colour) -> list[Part]:
    """A person in mid-stride."""
    return person(rng, colour, stride=rng.uniform(0.15, 0.32))


def worker(rng, colour) -> list[Part]:
    """A person with a helmet and a vest of the given colour."""
    parts = person(rng, colour)
    helmet = ellipsoid(rng, (0.14, 0.12, 0.11), 0, 7)
    head = parts[2].shape[0].mean(0)
    parts[2] = Part(moved(helmet, *head), "plain", COLOURS["yellow"], (), True)
    return parts


@cache
def _bicycle_shapes() -> tuple[Shape, Shape, Shape, Shape]:
    """Tyres, spokes, frame and handlebar; all bicycles have the same size."""
    tyres, spokes, radius = [], [], 0.34
    turn = np.linspace(0, 2 * np.pi, 19)
    for x in (-0.52, 0.54):
        ring = [x + radius * np.cos(turn), 0 * turn, radius + radius * np.sin(turn)]
        tyres.append(tube(np.stack(ring, 1), 0.028, 5))
        hub = np.array((x, 0, radius))
        for angle in np.pi * np.arange(7) / 7:
            spoke = radius * np.array((np.cos(angle), 0, np.sin(angle)))
            spokes.append(tube([hub - spoke, hub + spoke], 0.008, 3))
    bars = [
        [(-0.52, 0, 0.34), (-0.08, 0, 0.3), (0.36, 0, 0.82)],
        [(-0.52, 0, 0.34), (-0.22, 0, 0.82), (0.36, 0, 0.86)],
        [(-0.08, 0, 0.3), (-0.24, 0, 0.95)],
        [(0.54, 0, 0.34), (0.34, 0, 1.02)],
    ]
    handle = [(0.3, -0.28, 1.04), (0.36, -0.1, 1.02), (0.36, 0.1, 1.02), (0.3, 0.28, 1.04)]
    frame = join(tube(bar, 0.028, 5) for bar in bars)
    return join(tyres), join(spokes), frame, tube(handle, 0.016, 5)


def bicycle(rng, colour) -> list[Part]:
    """A bicycle without a rider."""
    tyres, spokes, frame, handle = _bicycle_shapes()
    saddle = moved(ellipsoid(rng, (0.14, 0.07, 0.04), 0, 5), -0.26, 0, 0.97)
    return [
        Part(tyres, "plain", (0.04, 0.04, 0.04)),
        Part(spokes, "plain", (0.5, 0.5, 0.5)),
        Part(frame, "plain", colour),
        Part(saddle, "plain", (0.05, 0.05, 0.05)),
        Part(handle, "plain", (0.1, 0.1, 0.1)),
    ]


def cyclist(rng, colour) -> list[Part]:
    """A bicycle with a rider."""
    rider = person(rng, _clothes(rng), 0.12, True, 0.12)
    return bicycle(rng, colour) + [p._replace(shape=moved(p.shape, -0.24)) for p in rider]


def motorcycle(rng, colour) -> list[Part]:
    """A motorcycle without a rider."""
    black, metal = (0.05, 0.05, 0.05), (0.45, 0.45, 0.47)
    profile = np.array([(0.2, -0.5), (0.92, -0.5), (1, 0), (0.92, 0.5), (0.2, 0.5)])
    parts = []
    for x, wide in ((-0.68, 0.17), (0.74, 0.13)):
        tyre = lathe(profile * (0.31, wide), 16, "y")
        parts.append(Part(moved(tyre, x, 0, 0.31), "tyre", black, (x, 0.31, 0.31)))
    tank = moved(ellipsoid(rng, (0.3, 0.17, 0.15), 0.05, 8), 0.18, 0, 0.86)
    seat = [(-0.85, 0.86), (-0.6, 0.8), (0.0, 0.78), (0.0, 0.7), (-0.75, 0.74)]
    parts += [
        Part(tank, "car", colour, (9, 9, 9, 9), True),
        Part(extrude(seat, 0.28), "plain", black),
        Part(moved(box(0.5, 0.34, 0.42, 0.28), 0.02), "machine", metal),
        Part(tube([(-0.72, 0, 0.33), (-0.15, 0, 0.6), (0.42, 0, 0.88)], 0.05, 5), "plain", colour),
        Part(
            tube([(0.3, 0.16, 0.3), (-0.4, 0.17, 0.28), (-0.95, 0.18, 0.42)], 0.05), "plain", metal
        ),
        Part(
            tube([(0.2, -0.36, 1.08), (0.36, 0, 1.03), (0.2, 0.36, 1.08)], 0.02, 5), "plain", black
        ),
        Part(
            moved(ellipsoid(rng, (0.1, 0.1, 0.1), 0, 6), 0.52, 0, 0.92), "plain", (0.85, 0.85, 0.8)
        ),
        Part(moved(box(0.06, 0.2, 0.14, 0.62), -0.95), "plain", (0.5, 0.05, 0.05)),
    ]
    for y in (-0.09, 0.09):
        parts.append(Part(tube([(0.74, y, 0.31), (0.42, y, 0.98)], 0.03, 5), "plain", metal))
    return parts


def motorcyclist(rng, colour) -> list[Part]:
    """A motorcycle with a rider, who wears a helmet."""
    rider = person(rng, _clothes(rng) * 0.6, 0.02, True, 0.1)
    rider[2] = rider[2]._replace(
        shape=moved(ellipsoid(rng, (0.15, 0.13, 0.15), 0, 7), *rider[1].shape[0].mean(0)),
        colour=_clothes(rng),
    )
    return motorcycle(rng, colour) + [p._replace(shape=moved(p.shape, -0.15)) for p in rider]
