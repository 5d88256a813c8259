"""Models of street furniture: barriers, signs, lamps, fences; metres, the front faces x > 0."""

from functools import cache

import numpy as np

from kit.street.assets.colours import COLOURS, WALL_COLOURS
from kit.street.assets.shapes import (
    Part,
    Shape,
    box,
    ellipsoid,
    join,
    lathe,
    loft,
    moved,
    rounded_body,
    tube,
)


def traffic_cone(rng, colour) -> list[Part]:
    """A striped cone on a square foot, 0.7 to 0.9 m tall."""
    tall = rng.uniform(0.9, 1.15)
    profile = np.array([(0.18, 0.05), (0.04, 0.75), (0, 0.75)]) * tall
    foot = box(0.42 * tall, 0.42 * tall, 0.05)
    tint = np.array((0.86, 0.24, 0.05)) * rng.uniform(0.85, 1.1)
    cone = Part(lathe(profile, 12), "striped", tint, (0, 0.2), True)
    return [cone, Part(foot, "plain", (0.1, 0.1, 0.1))]


def barrier(rng, colour) -> list[Part]:
    """A barrier of a building site: striped boards, plastic filled with water, or concrete."""
    kind, red = rng.choice(3, p=[0.4, 0.35, 0.25]), np.array((0.66, 0.07, 0.06))
    if kind == 0:
        boards = [box(1.95, 0.06, 0.25, 0.2), box(1.95, 0.06, 0.3, 0.72)]
        parts = [Part(shape, "striped", red, (1, 0.22)) for shape in boards]
        feet = [moved(box(0.1, 0.55, 0.95), x) for x in (-0.85, 0.85)]
        return parts + [Part(shape, "plain", (0.2, 0.2, 0.2)) for shape in feet]
    # profile of a New Jersey barrier
    half = np.array([(0.3, 0), (0.3, 0.1), (0.16, 0.35), (0.09, 0.95), (-0.09, 0.95)])
    ring = np.vstack([half, [(-0.16, 0.35), (-0.3, 0.1), (-0.3, 0)]])
    rings = [np.column_stack([np.full(len(ring), x), ring]) for x in (-0.98, 0.98)]
    plastic = np.array((0.85, 0.85, 0.83)) if rng.random() < 0.5 else red * 1.15
    colour = plastic if kind == 1 else np.array((0.52, 0.51, 0.48)) * rng.uniform(0.9, 1.1)
    return [Part(loft(np.stack(rings)), "machine" if kind == 1 else "plain", colour)]


def lamp(rng, colour) -> list[Part]:
    """A street lamp, 6 to 9 m tall, with an arm over the road."""
    z, grey = rng.uniform(6, 9), np.full(3, rng.uniform(0.15, 0.55))
    arm = [(0, 0, 0), (0, 0, z - 0.8), (0, 0.5, z - 0.1), (0, 1.9, z)]
    head = moved(ellipsoid(rng, (0.14, 0.35, 0.08), 0, 6), 0, 2.1, z)
    return [
        Part(tube(arm, (0.1, 0.07, 0.05, 0.04)), "plain", grey),
        Part(head, "plain", grey * 1.4),
    ]


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
        face = Part(
            moved(box(0.04, 0.6, 0.75, z - 0.4), 0.06), "print", (0, 0, 0), (seed, z - 0.4, 0.75)
        )
    return [*parts, face]


def traffic_light(rng, colour) -> list[Part]:
    """Three lamps on a post, one of them lit."""
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
    """A post with reflective bands, 0.95 m tall."""
    profile = [(0.08, 0), (0.08, 0.85), (0.05, 0.95), (0, 0.95)]
    return [Part(lathe(profile, 8), "striped", (0.2, 0.2, 0.2), (0, 0.2), True)]


def bench(rng, colour) -> list[Part]:
    """A bench with a back."""
    wood, iron = (0.33, 0.22, 0.13), (0.1, 0.1, 0.1)
    parts = [Part(box(0.45, 1.7, 0.06, 0.42), "plain", wood)]
    parts.append(Part(moved(box(0.06, 1.7, 0.4, 0.55), -0.22), "plain", wood))
    return parts + [Part(moved(box(0.42, 0.08, 0.42), 0, y), "plain", iron) for y in (-0.7, 0.7)]


def bin_(rng, colour) -> list[Part]:
    """A litter bin, 1 m tall."""
    tint = np.array(COLOURS[str(rng.choice(["green", "grey", "blue", "black"]))])
    return [
        Part(
            rounded_body([(0, -0.28, 0.28, 0.25, 0.08), (1.0, -0.35, 0.35, 0.3, 0.1)]),
            "plain",
            tint,
        )
    ]


def bus_shelter(rng, colour) -> list[Part]:
    """A roof on posts with a glass wall behind, a bench, and a poster at one end."""
    grey, glass = (0.3, 0.31, 0.32), (0.22, 0.27, 0.28)
    posts = [moved(box(0.1, 0.1, 2.5), -0.6, y) for y in (-1.9, 0, 1.9)]
    poster = moved(box(1.2, 0.12, 1.8, 0.4), 0, -1.9)
    return [
        *(Part(shape, "plain", grey) for shape in posts),
        Part(box(1.6, 4.2, 0.12, 2.45), "plain", grey),
        Part(moved(box(0.03, 3.7, 1.9, 0.35), -0.6), "glazed", glass),
        Part(poster, "print", (0, 0, 0), (rng.random(), 0.4, 1.8)),
        Part(moved(box(0.35, 2.2, 0.06, 0.45), -0.3, 0.4), "plain", (0.4, 0.3, 0.2)),
    ]


def billboard(rng, colour) -> list[Part]:
    """A board of 6 x 3 m on two posts."""
    z, iron = rng.uniform(3.5, 5), (0.25, 0.26, 0.27)
    parts = [Part(tube([(0, y, 0), (0, y, z + 1)], 0.15), "plain", iron) for y in (-1.5, 1.5)]
    return [*parts, Part(box(0.3, 6, 3, z), "print", (0, 0, 0), (rng.random(), z, 3.0))]


@cache
def _railings(tall: float) -> Shape:
    """2 m of vertical bars between two horizontal ones."""
    bars = [moved(box(0.025, 0.025, tall), x) for x in np.arange(-0.95, 1, 0.16)]
    return join([*bars, *(box(2.0, 0.04, 0.05, z) for z in (0.15, tall - 0.15))])


def fence(rng, colour) -> list[Part]:
    """2 m of railings."""
    iron = np.full(3, rng.choice([0.03, 0.3]))
    return [Part(_railings(float(rng.choice([1.3, 1.7, 2.1]))), "plain", iron)]


def garden_wall(rng, colour) -> list[Part]:
    """2 m of low wall."""
    tint, kind = np.array(WALL_COLOURS[rng.integers(len(WALL_COLOURS))]), rng.integers(2)
    return [
        Part(box(2.0, 0.25, rng.uniform(0.6, 1.4)), "wall_plain", tint, (rng.random(), 0, 0, kind))
    ]
