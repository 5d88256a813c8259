"""The scene of the street: random properties that hold for the whole scene, and its road frame.

A position on the road is given by `along` its centre line and `lateral` to it (left positive), in
metres. The road is an arc of a circle; `Scene.pose` transforms positions to the world frame.
"""

import numpy as np

from kit.street.surfaces.paint_ground import LANE_WIDTH, PARKING_WIDTH
from kit.street.world.placement_rules import DISTRICTS, KERBSIDE_MIX
from kit.street.world.terrain import Terrain
from kit.street.world.weather import Weather, draw_weather


class Scene:
    """Random properties of a scene.

    Attributes:
        seed: seed of the data set and number of the scene.
        district: "suburb", "town", "centre" or "industry".
        layout: one of `LAYOUTS`.
        curvature: 1/m, positive to the left.
        half: distance from the centre line to the kerb, metres.
        lanes: number of lanes of both directions together.
        median: width of the traffic islands in the middle, metres; 0 for none.
        verge, pavement: widths of the strips beside the road, metres.
        kerb: height of the pavement, metres.
        speed, lane: of the ego car, m/s and lateral position in metres.
        plots, kerbsides: their sequence along the road.
        square: the side of the square, for the layout "square": 1 left, 0 right.
        tone, tint, yellow: brightness and colour of the asphalt; 1.0 for a yellow centre line.
        slab, stone: size and brightness of the pavement's slabs.
        weather: light and atmosphere.
        hills, terrain: root mean square slope of the ground, and its elevation.
    """

    LAYOUTS = ("straight", "junction", "bend", "square")

    def __init__(self, seed: int, number: int, weather: Weather | None = None, hills: float = 0.0):
        """Draw the scene `number` of the data set `seed`; `weather` None draws it too.

        `hills` is the root mean square slope of the ground.
        """
        rng = np.random.default_rng((seed, number))
        self.seed = (seed, number)
        self.district = tuple(DISTRICTS)[(number + rng.integers(2)) % len(DISTRICTS)]
        self.layout = self.LAYOUTS[number % 4]
        radius = rng.uniform(95, 160) if self.layout == "bend" else rng.uniform(700, 4000)
        self.curvature = rng.choice([-1, 1]) / radius
        self.lanes, self.median = int(rng.choice([2, 2, 4])), rng.choice([0.0, 1.4])
        self.half = self.lanes / 2 * LANE_WIDTH + self.median / 2 + PARKING_WIDTH
        self.pavement = rng.uniform(2.2, 4.5)
        self.verge = rng.choice([0.0, 1.0, 1.0]) * rng.uniform(1.2, 2.5)
        self.kerb = rng.uniform(0.1, 0.16)
        self.speed = rng.uniform(6, 13)
        self.lane = -(self.median / 2 + LANE_WIDTH * (self.lanes / 2 - 0.5)) + rng.uniform(
            -0.3, 0.3
        )
        self.plots = rng.permutation(DISTRICTS[self.district])
        self.kerbsides = rng.permutation(KERBSIDE_MIX)
        self.square = int(rng.integers(2))
        self.tone, self.yellow = rng.uniform(0.25, 0.58), float(rng.random() < 0.5)
        self.tint = 1 + rng.uniform(-0.04, 0.04, 3)
        self.slab, self.stone = rng.random(), rng.uniform(0.6, 1.12)
        drawn = draw_weather(rng)
        self.weather = weather or drawn
        self.hills = hills
        self.terrain = Terrain(np.random.default_rng((seed, number, 6)), hills)

    def pose(self, along, lateral, z=0.0, turn=0.0):
        """Transform road positions to the world without hills: x, y, z, metres; yaw, radians.

        Args:
            along, lateral: metres; numbers or arrays.
            z: height above the ground, metres.
            turn: heading relative to the road, radians.
        """
        yaw, k = self.curvature * along, self.curvature
        x = np.sin(yaw) / k - lateral * np.sin(yaw)
        y = (1 - np.cos(yaw)) / k + lateral * np.cos(yaw)
        return x, y, z, yaw + turn

    def track(self, *numbers) -> str:
        """Make a track identity that is unique in the data set."""
        return "-".join(map(str, (*self.seed, *numbers)))

    def plot(self, index: int, side: int) -> str:
        """Name of the plot on the left (1) or right (-1) side of a block."""
        if self.layout == "square" and index % 3 != 2 and (side > 0) == bool(self.square):
            return "square"
        return str(self.plots[(2 * index + (side > 0)) % len(self.plots)])

    def is_crossing(self, index: int) -> bool:
        """Return whether a side road crosses at the start of a block."""
        return self.layout == "junction" and index % 4 == 1
