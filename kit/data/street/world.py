"""The layout of the street: where the road goes, what is beside it, who moves on it.

A place is given by `along` the road's centre line and `lateral` to it (left positive), metres; the
road is an arc, so both are bent into the world frame. Every `BLOCK` metres of street have random
numbers of their own: a keyframe looks the same however many keyframes the scene has.
"""

import numpy as np

from kit.data.classes import NUSCENES
from kit.data.street import objects
from kit.data.street.paint import PAINTERS
from kit.data.street.shapes import Mesh, Part, box

BLOCK, REACH = 28.0, 112.0  # metres with the same random numbers; metres built around the car
PLOTS = ("garden", "forecourt", "park", "garden", "car park")


class Road:
    """What holds for a whole scene, drawn from its random numbers.

    Attributes:
        seed: of the data set, number of the scene. order: of the plots beside the road.
        curvature: 1/m, positive to the left. half: from the centre line to the kerb, m.
        verge, pavement: widths of the strips beside it, m. kerb: height of the pavement, m.
        speed, lane: of the ego car, m/s; where it drives, m.
        asphalt: its brightness. sun: (3,) towards the sun; its length is its strength.
    """

    def __init__(self, seed: int, scene: int):
        rng = np.random.default_rng((seed, scene))
        self.seed, self.order = (seed, scene), rng.permutation(len(PLOTS))
        self.curvature = rng.choice([-1, 1]) / rng.uniform(140, 600)
        self.half, self.pavement = rng.uniform(4.2, 7.5), rng.uniform(1.6, 4)
        self.verge = rng.choice([0.0, 1.0, 1.0]) * rng.uniform(1.2, 3)
        self.kerb = rng.choice([0.0, 0.05, 0.13])
        self.speed = rng.uniform(9, 14)
        self.lane = -0.5 * min(self.half, 4.6) + rng.uniform(-0.6, 0.4)
        self.asphalt = rng.uniform(0.2, 0.32)
        turn, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.1)
        flat = np.cos(height)
        sun = np.array([np.cos(turn) * flat, np.sin(turn) * flat, np.sin(height)])
        self.sun = rng.uniform(0.25, 0.75) * sun

    def pose(self, along, lateral, z=0.0, turn=0.0):
        """World x, y, z and yaw of a place, or of arrays of places."""
        yaw, k = self.curvature * along, self.curvature
        x = np.sin(yaw) / k - lateral * np.sin(yaw)
        y = (1 - np.cos(yaw)) / k + lateral * np.cos(yaw)
        return x, y, z, yaw + turn


def build(road: Road, time: float) -> Mesh:
    """Build all within REACH of the ego car, `time` seconds after the scene's start."""
    mesh, ego = Mesh(NUSCENES.names, PAINTERS), road.speed * time
    fields = Part(box(900.0, 900.0, 0.1), "grass", (0.3, 0.36, 0.16))
    mesh.place("terrain", [fields], road.pose(ego, 0, -0.5))
    for index in range(int((ego - REACH) // BLOCK), int((ego + REACH) // BLOCK) + 1):
        _block(mesh, road, index)
    _traffic(mesh, road, time)
    return mesh.finish()


def _block(mesh: Mesh, road: Road, index: int) -> None:
    """One stretch: the road, then on either side strips of ground and what is on them."""
    rng = np.random.default_rng((*road.seed, 1, index % 2**32))
    start, end, edge = index * BLOCK, (index + 1) * BLOCK, road.half + road.verge
    _ground(mesh, road, rng, "road", (start, end), (-road.half, road.half))
    corner = start + 9 * (rng.random() < 0.3 and index != 0)  # a side road takes the first 9 m
    for side in (-1, 1):
        span, plot = (corner, end), edge + road.pavement
        if corner > start:
            _ground(mesh, road, rng, "lot", (start, corner), (side * road.half, side * 75))
            _houses(mesh, road, rng, (start - 5, corner + 5), side, 78)
        if road.verge:
            _ground(mesh, road, rng, "grass", span, (side * road.half, side * edge))
        _ground(mesh, road, rng, "paving", span, (side * edge, side * plot))
        kind = PLOTS[road.order[(2 * index + (side > 0)) % len(PLOTS)]]
        _plot(mesh, road, rng, kind, span, side, plot)
        _pavement(mesh, road, rng, span, side)
        _roadside(mesh, road, rng, span, side, (index + road.order[0] + 1 + side) % 4)


def _ground(mesh: Mesh, road: Road, rng, kind, along, lateral) -> None:
    """A strip of ground with a kerb all round; grass is uneven."""
    a, b = np.pad(np.linspace(*along, 15), 1, "edge"), np.pad(np.linspace(*lateral, 9), 1, "edge")
    z = np.full((len(a), len(b)), road.kerb if kind == "paving" else 0.0)
    if kind == "grass":
        z[1:-1, 1:-1] += rng.uniform(-0.08, 0.16, (len(a) - 2, len(b) - 2))
    z[[0, -1]] = z[:, [0, -1]] = -0.6  # the doubled edge goes down as the kerb
    a, b = np.broadcast_to(a[:, None], z.shape), np.broadcast_to(b, z.shape)
    i = np.arange(z.size).reshape(z.shape)
    i, right, up, both = (x.ravel() for x in (i[:-1, :-1], i[:-1, 1:], i[1:, :-1], i[1:, 1:]))
    triangles = np.hstack([(i, right, up), (right, both, up)]).T
    label, colour = {
        "paving": ("sidewalk", np.array((0.58, 0.54, 0.48)) * rng.uniform(0.85, 1.1)),
        "grass": ("terrain", np.array((0.27, 0.37, 0.13)) * rng.uniform(0.8, 1.25)),
    }.get(kind, ("driveable_surface", np.full(3, road.asphalt)))
    style = road.half if kind == "road" else rng.random()
    part = Part((np.stack([a, b, z], -1).reshape(-1, 3), triangles), kind, colour, style)
    mesh.place_bent(label, part, np.stack(road.pose(a, b, z)[:3], -1).reshape(-1, 3))


def _plot(mesh: Mesh, road: Road, rng, kind, span, side, edge) -> None:
    """Behind the pavement: houses with or without gardens, a park, or a car park."""
    ground = {"forecourt": "paving", "car park": "lot"}.get(kind, "grass")
    _ground(mesh, road, rng, ground, span, (side * edge, side * (edge + 40)))
    if kind in ("park", "garden"):
        deep, scales = (26, (0.3, 0.8, 1.2)) if kind == "park" else (3, (0.3, 0.5))
        for _ in range(8 if kind == "park" else 3):
            place = road.pose(rng.uniform(*span), side * (edge + rng.uniform(1, deep)))
            mesh.place("vegetation", objects.tree(rng, rng.choice(scales)), place)
    if kind == "garden" and rng.random() < 0.5:
        for at in np.arange(span[0] + 1.5, span[1], 2):
            mesh.place("vegetation", objects.hedge(rng), road.pose(at, side * (edge + 0.4)))
    if kind == "car park":
        for at in np.arange(span[0] + 2, span[1] - 1, 2.8):
            for row in (3.5, 13.0, 19.0)[rng.integers(2) :]:
                turn = rng.choice([-1, 1]) * np.pi / 2 + rng.normal(0, 0.04)
                mesh.place("car", objects.car(rng), road.pose(at, side * (edge + row), 0, turn))
    setback = {"garden": rng.uniform(3, 8), "forecourt": rng.uniform(0, 3)}.get(kind, 29)
    _houses(mesh, road, rng, span, side, edge + setback)


def _houses(mesh: Mesh, road: Road, rng, span, side, front) -> None:
    """A row of houses that look at the road."""
    at = span[0] + 0.3
    while (room := int((span[1] - at) / objects.BAY)) >= 3:
        bays = min(int(rng.integers(3, 7)), room)
        width, lateral = bays * objects.BAY, side * (front + 2 * objects.BAY)
        corner = road.pose(at, lateral) if side < 0 else road.pose(at + width, lateral, 0, np.pi)
        mesh.place("manmade", objects.house(rng, bays), corner)
        at += width + rng.choice([0.0, rng.uniform(0.5, 2.5)])


def _pavement(mesh: Mesh, road: Road, rng, span, side) -> None:
    """Trees, lamps, signs and people."""
    turn = 0 if side < 0 else np.pi
    for at in np.arange(span[0] + 2, span[1] - 1, 7.0):
        place = road.pose(at + rng.uniform(-1, 1), side * (road.half + 0.7), 0, turn)
        kind = rng.choice(["tree", "bush", "lamp", "sign"], p=[0.4, 0.15, 0.25, 0.2])
        if kind in ("lamp", "sign"):
            mesh.place("manmade", getattr(objects, kind)(rng), place)
        else:
            scale = rng.uniform(0.5, 0.9) if kind == "tree" else 0.25
            mesh.place("vegetation", objects.tree(rng, scale), place)
    for _ in range(rng.poisson(4)):
        lateral = side * (road.half + road.verge + rng.uniform(0.4, road.pavement))
        turn = rng.choice([0, np.pi]) + rng.normal(0, 0.4)
        place = road.pose(rng.uniform(*span), lateral, road.kerb, turn)
        mesh.place("pedestrian", objects.person(rng), place)


def _roadside(mesh: Mesh, road: Road, rng, span, side, number) -> None:
    """Roadworks behind cones or barriers, else parked cars where the road is wide enough."""
    works = {0: "traffic_cone", 2: "barrier"}.get(number)
    if works:
        for at in np.arange(span[0] + 2, span[1] - 2, 2.4):
            place = road.pose(at, side * (road.half - 0.5), 0, rng.normal(0, 0.06))
            mesh.place(works, getattr(objects, works)(rng), place)
    elif road.half > 5.6:
        for at in np.arange(span[0] + 4, span[1] - 3, 6.2):
            turn = rng.normal(0, 0.03) + (0 if side < 0 else np.pi)
            if rng.random() < 0.7:
                place = road.pose(at, side * (road.half - 1.15), 0, turn)
                mesh.place("car", objects.car(rng), place)


def _traffic(mesh: Mesh, road: Road, time: float) -> None:
    """Oncoming traffic, the ego car's own lane, cyclists; who is 100 m away comes back."""
    ego, bikes = road.speed * time, road.half - (2.6 if road.half > 5.6 else 0.7)
    lanes = ((-road.lane, -5.0), (road.lane, road.speed), (bikes, -3.0), (-bikes, 4.0))
    phases = np.random.default_rng((*road.seed, 2)).uniform(0, 200, len(lanes))
    for number in range(48):
        rng, slot = np.random.default_rng((*road.seed, 2, number)), number // 4
        lateral, speed = lanes[number % 4]
        away = 200 / 12 * slot + rng.uniform(-1, 1) + phases[number % 4]  # where a scene begins
        away = (away + speed * time - ego + 100) % 200 - 100
        kind = ("car", "truck", "car", "bus")[slot % 4] if number % 4 < 2 else "bicycle"
        if number % 4 != 1 or abs(away) > 14:
            pose = road.pose(ego + away, lateral, 0, np.pi if lateral > 0 else 0)
            mesh.place(kind, getattr(objects, kind)(rng), pose)
