"""What stands and moves on the street: each function draws one object as a list of parts."""

import numpy as np

from kit.data.street.shapes import Part, box, extrude, lathe, leaves, moved

PAINTS = (
    *((235, 236, 238), (190, 194, 198), (40, 42, 46), (90, 94, 100), (150, 24, 28)),
    *((28, 62, 130), (70, 120, 160), (30, 84, 60), (200, 180, 140), (214, 150, 30)),
)
WALLS = (
    *((226, 218, 200), (205, 180, 140), (160, 84, 66), (140, 70, 58), (186, 190, 190)),
    *((214, 196, 120), (176, 150, 136), (150, 168, 178), (236, 232, 226), (120, 110, 104)),
)
SKINS = ((217, 168, 138), (140, 97, 71), (90, 59, 43))
BAY = 2.4  # metres of house front to a window


def _any(rng, table) -> np.ndarray:
    return np.asarray(table[rng.integers(len(table))]) / 255 * rng.uniform(0.85, 1.05)


def house(rng, bays: int) -> list[Part]:
    """A house of 1-4 storeys, `bays` windows wide; its corner at the origin, its front at y > 0."""
    width, depth, storeys = bays * BAY, 4 * BAY, rng.choice([1, 2, 3, 4], p=[0.15, 0.4, 0.3, 0.15])
    eaves, colour, style = 3.0 * storeys + 0.3, _any(rng, WALLS), rng.random()
    parts = [Part(moved(box(width, depth, eaves), width / 2), "wall", colour, style)]
    if rng.random() < 0.7:  # the others have flat roofs
        x, ridge = width / 2 + 0.2, eaves + rng.uniform(1.5, 4)
        roof = extrude([(-x, eaves), (x, eaves), (0, ridge)], depth + 0.6)
        parts.append(Part(moved(roof, width / 2), "roof", colour, style))
        chimney = moved(box(0.8, 0.6, ridge - eaves + 0.5, eaves), rng.uniform(0.2, 0.8) * width)
        parts.append(Part(chimney, "plain", colour * 0.6))
    return parts


def car(rng) -> list[Part]:
    """A saloon, hatchback or van, about 4.3 m long."""
    x, width = rng.uniform(1.9, 2.4), rng.uniform(1.7, 1.9)
    belt, roof, front = rng.uniform(0.82, 0.98), rng.uniform(1.42, 1.8), rng.uniform(0.2, 0.6) * x
    rear, colour = -x + rng.choice([0.1, 0.1, 0.9]), _any(rng, PAINTS)
    body = [(-x, 0.3), (x, 0.3), (x, 0.62), (x - 0.15, 0.72), (front + 0.5, belt), (-x, belt)]
    cabin = [(rear, belt), (front + 0.55, belt), (front - 0.2, roof), (rear + 0.3, roof)]
    glass = extrude(cabin, width - np.array([0.06, 0.06, 0.4, 0.4]))
    parts = [Part(extrude(body, width), "car", colour, x), Part(glass, "cabin", colour, roof)]
    return parts + _wheels((0.62 * x, -0.6 * x), width, 0.33)


def truck(rng) -> list[Part]:
    """A cab before a tall closed box."""
    x, height = rng.uniform(2.2, 3.5), rng.uniform(2.1, 2.8)
    cab = [(x, 0.4), (x + 1.8, 0.4), (x + 1.8, 1.3), (x + 1.5, 2.5), (x, 2.5)]
    parts = [Part(extrude(cab, 2.1), "coach", _any(rng, PAINTS[4:7]), x + 1.8)]
    parts.append(Part(box(2 * x, 2.3, height, 0.9), "panel", _any(rng, PAINTS[:2])))
    return parts + _wheels((x + 0.9, -x + 1.1, -x + 2.1), 2.2, 0.45)


def bus(rng) -> list[Part]:
    """A long yellow body with a band of windows."""
    x = rng.uniform(4.5, 6)
    body = Part(box(2 * x, 2.5, 2.8, 0.35), "coach", _any(rng, PAINTS[9:]), x)
    return [body, *_wheels((0.62 * x, -0.6 * x), 2.5, 0.48)]


def _wheels(axles, track: float, radius: float) -> list[Part]:
    """Two tyres with hubs on every axle."""
    profile = [(0, -0.12), (0.94, -0.12), (1, 0), (0.94, 0.12), (0, 0.12)] * np.array([radius, 1])
    tyre, hub = lathe(profile, 14, "y"), lathe(profile * [0.55, 1.1], 7, "y")
    places = [(x, y, radius) for x in axles for y in (0.08 - track / 2, track / 2 - 0.08)]
    both = ((tyre, (0.06, 0.06, 0.07)), (hub, (0.6, 0.6, 0.62)))
    return [Part(moved(s, *at), "plain", colour) for at in places for s, colour in both]


def _bar(bottom, top, radius: float, colour) -> Part:
    """A round bar from one place to another."""
    vertices, triangles = lathe([(0, 0), (radius, 0.02), (1.15 * radius, 0.9), (0, 1)], 7)
    vertices = vertices * (1, 1, 0) + vertices[:, 2:] * np.subtract(top, bottom) + bottom
    return Part((vertices, triangles), "plain", colour)


def person(rng, lift: float = 0.0) -> list[Part]:
    """Someone walking, 1.5-1.9 m tall, `lift` metres above the ground."""
    coat, trousers, skin = _any(rng, PAINTS), _any(rng, PAINTS) * 0.5, _any(rng, SKINS)
    stride, tall = rng.uniform(0.05, 0.3), rng.uniform(0.87, 1.08)
    parts = [
        _bar((0, 0, 0.8), (0.05, 0, 1.48), 0.18, coat),
        _bar((0.03, 0, 1.44), (0.06, 0, 1.7), 0.1, skin),
        _bar((0.01, 0, 1.58), (0.03, 0, 1.77), 0.105, skin * 0.25),
    ]
    for side in (-1, 1):
        parts.append(_bar((side * stride, side * 0.1, 0), (0, side * 0.1, 0.85), 0.08, trousers))
        parts.append(_bar((-side * stride, side * 0.27, 0.8), (0, side * 0.23, 1.4), 0.05, coat))
    return [p._replace(shape=moved((p.shape[0] * tall, p.shape[1]), z=lift)) for p in parts]


def bicycle(rng) -> list[Part]:
    """Someone on two thin wheels and a frame."""
    ring = [(0.3, -0.02), (0.35, -0.02), (0.35, 0.02), (0.3, 0.02), (0.3, -0.02)]
    black, wheel = (0.06, 0.06, 0.06), lathe(ring, 16, "y")
    frame = extrude([(-0.5, 0.33), (0, 0.3), (0.45, 0.85), (-0.15, 0.85)], 0.05)
    parts = [Part(moved(wheel, x, z=0.35), "plain", black) for x in (-0.5, 0.5)]
    return [*parts, Part(frame, "plain", _any(rng, PAINTS)), *person(rng, lift=0.25)]


def tree(rng, scale: float) -> list[Part]:
    """A trunk under three clouds of leaves; with a scale below 0.4 a bush."""
    bush, tint = scale < 0.4, np.array([0.2, 0.33, 0.1]) * rng.uniform(0.75, 1.25, 3)
    top = 0.4 if bush else scale * rng.uniform(2.5, 4.5) + 1
    bark = (0.3, 0.24, 0.18)
    parts = [] if bush else [_bar((0, 0, -0.2), (0, 0, top + 0.5), 0.2 * scale, bark)]
    for _ in range(1 if bush else 3):
        half_axes = scale * rng.uniform(1.4, 2.4, 3)
        cloud = leaves(rng, half_axes, 200 if bush else 450, 0.2 * scale**0.5)
        shift = rng.uniform(-0.7, 0.7, 3) * scale + (0, 0, top + 0.5 * scale)
        parts.append(Part(moved(cloud, *shift), "leaf", tint))
    return parts


def hedge(rng) -> list[Part]:
    """Two metres of hedge: a dark core in loose leaves."""
    tint, height = (0.17, 0.31, 0.1), rng.uniform(0.6, 0.9)
    rough = moved(leaves(rng, (1.2, 0.45, 0.6 * height), 150, 0.1), z=height / 2)
    return [Part(box(2.0, 0.6, height), "leaf", tint), Part(rough, "leaf", tint)]


def lamp(rng) -> list[Part]:
    """A street lamp with its arm over the road."""
    z, grey = rng.uniform(5.5, 8), np.full(3, rng.uniform(0.2, 0.6))
    return [_bar((0, 0, 0), (0, 0, z), 0.08, grey), _bar((0, 0, z), (0, 1.8, z), 0.1, grey)]


def sign(rng) -> list[Part]:
    """A round traffic sign with a red rim."""
    parts = [_bar((0, 0, 0), (0, 0, 2.7), 0.04, (0.5, 0.5, 0.5))]
    for radius, colour, x in ((0.38, (0.75, 0.08, 0.08), 0.05), (0.27, _any(rng, PAINTS), 0.06)):
        plate = lathe([(0, -x), (radius, -x), (radius, x), (0, x)], 14, "x")
        parts.append(Part(moved(plate, z=2.4), "sign", colour))
    return parts


def traffic_cone(rng) -> list[Part]:
    profile = [(0.26, 0), (0.2, 0.05), (0.03, 0.75), (0, 0.75)]
    return [Part(lathe(profile), "striped", (0.92, 0.32, 0.08), 0.0)]


def barrier(rng) -> list[Part]:
    """Two striped boards on feet."""
    boards = [box(1.9, 0.06, 0.3, 0.2), box(1.9, 0.06, 0.4, 0.6)]
    feet = [moved(box(0.1, 0.5, 0.65), x) for x in (-0.8, 0.8)]
    parts = [Part(shape, "striped", (0.8, 0.1, 0.1), 1.0) for shape in boards]
    return parts + [Part(shape, "plain", (0.2, 0.2, 0.2)) for shape in feet]
