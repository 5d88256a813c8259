"""The layout of the street: where the road goes, what is beside it, who moves on it.

A place is given by `along` the road's centre line and `lateral` to it (left positive), metres; the
road is an arc, so both are bent into the world frame. Every `BLOCK` metres of street have random
numbers of their own: a keyframe looks the same however many keyframes the scene has.
"""

from collections.abc import Callable

import numpy as np

from kit.data.classes import NUSCENES
from kit.street.assets import buildings
from kit.street.assets import catalogue as assets
from kit.street.assets.shapes import Mesh, Part, box
from kit.street.surfaces.spots import KERBSIDE, LANE
from kit.street.surfaces.textures import PAINTERS
from kit.street.world import sky
from kit.street.world.plan import (
    BLOCK,
    DISTRICTS,
    FRONTS,
    KERBSIDE_MIX,
    KERBSIDES,
    PAVEMENT,
    PLOT_DEPTH,
    PLOTS,
    REACH,
    TRAFFIC,
    Rule,
)


class Scene:
    """What holds for a whole scene, drawn from its random numbers.

    Attributes:
        seed: of the data set, number of the scene.
        district: "suburb", "town", "centre" or "industry". layout: one of LAYOUTS.
        curvature: 1/m, positive to the left. half: from the centre line to the kerb, m.
        lanes: of both directions. median: width of the island in the middle, m.
        verge, pavement: widths of the strips beside the road, m. kerb: height of the pavement, m.
        speed, lane: of the ego car, m/s; where it drives, m.
        plots, kerbsides: what comes one after the other along the road; square: on which side.
        tone, tint, yellow: brightness, colour and paint of the road.
        slab, stone: size and brightness of the pavement's slabs.
        weather: light and air.
    """

    LAYOUTS = ("straight", "junction", "bend", "square")

    def __init__(self, seed: int, number: int, weather: sky.Weather | None = None):
        rng = np.random.default_rng((seed, number))
        self.seed = (seed, number)
        self.district = tuple(DISTRICTS)[(number + rng.integers(2)) % len(DISTRICTS)]
        self.layout = self.LAYOUTS[number % 4]
        radius = rng.uniform(95, 160) if self.layout == "bend" else rng.uniform(700, 4000)
        self.curvature = rng.choice([-1, 1]) / radius
        self.lanes, self.median = int(rng.choice([2, 2, 4])), rng.choice([0.0, 1.4])
        self.half = self.lanes / 2 * LANE + self.median / 2 + KERBSIDE
        self.pavement = rng.uniform(2.2, 4.5)
        self.verge = rng.choice([0.0, 1.0, 1.0]) * rng.uniform(1.2, 2.5)
        self.kerb = rng.uniform(0.1, 0.16)
        self.speed = rng.uniform(6, 13)
        self.lane = -(self.median / 2 + LANE * (self.lanes / 2 - 0.5)) + rng.uniform(-0.3, 0.3)
        self.plots = rng.permutation(DISTRICTS[self.district])
        self.kerbsides = rng.permutation(KERBSIDE_MIX)
        self.square = int(rng.integers(2))
        self.tone, self.yellow = rng.uniform(0.25, 0.58), float(rng.random() < 0.5)
        self.tint = 1 + rng.uniform(-0.04, 0.04, 3)
        self.slab, self.stone = rng.random(), rng.uniform(0.6, 1.12)
        drawn = sky.draw_weather(rng)
        self.weather = weather or drawn

    def pose(self, along, lateral, z=0.0, turn=0.0):
        """World x, y, z and yaw of a place, or of arrays of places."""
        yaw, k = self.curvature * along, self.curvature
        x = np.sin(yaw) / k - lateral * np.sin(yaw)
        y = (1 - np.cos(yaw)) / k + lateral * np.cos(yaw)
        return x, y, z, yaw + turn

    def track(self, *numbers) -> str:
        """An identity that is unique in the data set and lasts as long as the scene."""
        return "-".join(map(str, (*self.seed, *numbers)))

    def plot(self, index: int, side: int) -> str:
        """Which plot lies left (1) or right (-1) of a block."""
        if self.layout == "square" and index % 3 != 2 and (side > 0) == bool(self.square):
            return "square"
        return str(self.plots[(2 * index + (side > 0)) % len(self.plots)])

    def is_crossing(self, index: int) -> bool:
        """Whether a side road crosses at the start of a block."""
        return self.layout == "junction" and index % 4 == 1


def build(scene: Scene, time: float, density: float = 1.0, add: Callable | None = None) -> Mesh:
    """Build all within REACH of the ego car, `time` seconds after the scene's start.

    Args:
        density: of everything that can move away; 0 leaves an empty street.
        add: is given the mesh at last, to place more in it.
    """
    street = _Street(scene, time, density)
    fields = Part(box(900.0, 900.0, 0.1), "grass", (0.35, 0.4, 0.22))
    street.mesh.place("terrain", [fields], scene.pose(street.ego, 0, -0.5))
    first, last = ((street.ego + reach) // BLOCK for reach in (-REACH, REACH))
    for index in range(int(first), int(last) + 1):
        street.block(index)
    street.traffic()
    if add:
        add(street.mesh)
    return street.mesh.finish()


class _Street:
    """A street while it is being built."""

    def __init__(self, scene: Scene, time: float, density: float):
        self.scene, self.time, self.density = scene, time, density
        self.ego = scene.speed * time  # along the road, metres
        self.mesh = Mesh(NUSCENES.names, PAINTERS)

    # --- one stretch ----------------------------------------------------------------------------

    def block(self, index: int) -> None:
        """The road, then on either side strips of ground and what is on them."""
        scene, span = self.scene, (index * BLOCK, (index + 1) * BLOCK)
        rng = np.random.default_rng((*scene.seed, 1, index % 2**32))
        half, inner = scene.half, scene.half + scene.verge
        style = (half, scene.lanes, scene.yellow, rng.random())
        self.ground("road", span, (-half, half), rng, style)
        cut = span[0] + (2 * LANE + 2 * scene.pavement + 4 if scene.is_crossing(index) else 0)
        if cut > span[0]:
            self.crossing(rng, span[0], cut)
        self.island(rng, index, cut)
        for side in (-1, 1):
            outer = inner + scene.pavement
            rest = (cut, span[1])
            if scene.verge:
                self.ground("grass", rest, (side * half, side * inner), rng)
            self.ground("paving", rest, (side * inner, side * outer), rng)
            self.plot(rng, index, rest, side, outer)
            track = scene.track(index, side)
            for number, rule in enumerate(PAVEMENT):
                self.fill(rng, rule, rest, side, inner, 1, f"{track}-p{number}")
            kind = str(scene.kerbsides[(2 * index + (side > 0)) % len(scene.kerbsides)])
            for number, rule in enumerate(KERBSIDES[kind]):
                height = scene.kerb if rule.lateral[1] <= 0 else 0.0  # on the pavement, on the road
                self.fill(rng, rule, rest, side, half, -1, f"{track}-k{number}", height)
            if kind == "bus stop":
                lateral = side * (inner + scene.pavement - 1.0)
                place = scene.pose(cut + 8, lateral, scene.kerb, -side * np.pi / 2)
                self.put(rng, "bus shelter", place, track)

    def ground(self, kind, along, lateral, rng, style=None) -> None:
        """A strip of ground with a kerb all round; grass is uneven."""
        scene = self.scene
        a, b = (
            np.pad(np.linspace(*along, 15), 1, "edge"),
            np.pad(np.linspace(*lateral, 9), 1, "edge"),
        )
        z = np.full((len(a), len(b)), scene.kerb if kind in ("paving", "island") else 0.0)
        if kind in ("grass", "soil"):
            rough = 0.06 if kind == "grass" else 0.15
            z[1:-1, 1:-1] += scene.kerb + rough * rng.normal(size=(len(a) - 2, len(b) - 2))
        z[[0, -1]] = z[:, [0, -1]] = -0.6  # the doubled edge goes down as the kerb
        a, b = np.broadcast_to(a[:, None], z.shape), np.broadcast_to(b, z.shape)
        label, colour = {
            "paving": ("sidewalk", np.array((0.66, 0.64, 0.6)) * scene.stone),
            "island": ("other_flat", np.array((0.6, 0.58, 0.55))),
            "grass": ("terrain", np.array((0.36, 0.42, 0.2)) * rng.uniform(0.8, 1.2)),
            "soil": ("terrain", np.array((0.48, 0.4, 0.31)) * rng.uniform(0.8, 1.1)),
        }.get(kind, ("driveable_surface", scene.tone * scene.tint * rng.uniform(0.97, 1.03)))
        style = style or (rng.random(), scene.slab)
        self.surface(kind, label, colour, style, a, b, z)

    def surface(self, kind, label, colour, style, a, b, z) -> None:
        """A bent sheet: arrays (A, B) of along, lateral and height."""
        i = np.arange(z.size).reshape(z.shape)
        i, right, up, both = (x.ravel() for x in (i[:-1, :-1], i[:-1, 1:], i[1:, :-1], i[1:, 1:]))
        triangles = np.hstack([(i, right, up), (right, both, up)]).T
        part = Part((np.stack([a, b, z], -1).reshape(-1, 3), triangles), kind, colour, style)
        world = np.stack(self.scene.pose(a, b, z)[:3], -1).reshape(-1, 3)
        self.mesh.place_bent(label, part, world)

    def marking(self, along, lateral) -> None:
        """A rectangle of paint."""
        a, b = np.meshgrid(np.linspace(*along, 2), np.linspace(*lateral, 3), indexing="ij")
        white = np.array((0.78, 0.78, 0.76))
        self.surface("marking", "driveable_surface", white, (), a, b, np.full(a.shape, 0.008))

    def crossing(self, rng, start: float, end: float) -> None:
        """A side road with zebra crossings, traffic lights and waiting cars."""
        scene, (half, walk) = self.scene, (self.scene.half, self.scene.pavement)
        for side in (-1, 1):
            road, far = (start + walk, end - walk), (side * half, side * 80)
            self.ground("lot", road, far, rng)
            for strip in ((start, start + walk), (end - walk, end)):
                self.ground("paving", strip, far, rng)
            for lateral in np.arange(0.4, half, 1.1):
                for at in (start - 3.5, end + 0.5):
                    self.marking((at, at + 3), (side * lateral, side * (lateral + 0.55)))
            for at in np.arange(road[0] + 0.3, road[1] - 0.4, 1.1):
                self.marking((at, at + 0.55), (side * (half + 1.0), side * (half + 3.6)))
            for at, turn in ((start + 0.6, np.pi), (end - 0.6, 0.0)):
                place = scene.pose(at, side * (half + 0.8), scene.kerb, turn)
                self.put(rng, "traffic light", place, "light")
            for number, away in enumerate((8, 14.5, 21, 34)):
                own = np.random.default_rng(rng.integers(2**63))
                at = (road[0] + road[1] - side * LANE) / 2
                place = scene.pose(at, side * (half + away), 0.0, -side * np.pi / 2)
                if own.random() < 0.7 * self.density:
                    self.put(own, "car", place, scene.track("x", start, side, number))

    def island(self, rng, index: int, start: float) -> None:
        """A traffic island in the middle of the road, with a sign and a bollard."""
        scene = self.scene
        if not scene.median:
            return
        long = BLOCK - 4 if index % 2 else 7.0
        span = (start + 3, min(start + 3 + long, (index + 1) * BLOCK - 0.5))
        wide = scene.median / 2
        self.ground("island", span, (-wide, wide), rng, (rng.random(), 0.8))
        for at, name in ((span[0] + 0.4, "traffic sign"), (span[1] - 0.4, "bollard")):
            place = scene.pose(at, 0.0, scene.kerb, np.pi)
            self.put(rng, name, place, "island")

    def plot(self, rng, index: int, span, side: int, edge: float) -> None:
        """Ground, rules and buildings behind the pavement."""
        kind = self.scene.plot(index, side)
        plot = PLOTS[kind]
        self.ground(plot.ground, span, (side * edge, side * (edge + PLOT_DEPTH)), rng)
        height = 0.0 if plot.ground == "lot" else self.scene.kerb
        for number, rule in enumerate(plot.rules):
            track = self.scene.track(index, side, "g", number)
            self.fill(rng, rule, span, side, edge, 1, track, height)
        if kind == "square":
            self.basin(span, side, edge)
        if plot.building:
            self.buildings(rng, plot.building, span, side, edge + rng.uniform(*plot.setback))
        self.backdrop(rng, span, side, edge)

    def basin(self, span, side: int, edge: float) -> None:
        """Water between stones, on a square that is long enough."""
        if span[1] - span[0] < 22:
            return
        a, b = (span[0] + 9, span[0] + 19), (side * (edge + 6), side * (edge + 13))
        for kind, grow, z in (("island", 0.5, 0.3), ("water", 0.0, 0.33)):
            along, lateral = (a[0] - grow, a[1] + grow), (b[0] - side * grow, b[1] + side * grow)
            x = np.pad(np.linspace(*along, 4), 1, "edge")
            y = np.pad(np.linspace(*lateral, 4), 1, "edge")
            high = np.full((6, 6), self.scene.kerb + z)
            high[[0, -1]] = high[:, [0, -1]] = 0.0
            x, y = np.broadcast_to(x[:, None], (6, 6)), np.broadcast_to(y, (6, 6))
            self.surface(kind, "other_flat", np.array((0.3, 0.38, 0.4)), (0.3, 0.9), x, y, high)

    def buildings(self, rng, name: str, span, side: int, front: float) -> None:
        """A row of buildings that look at the road."""
        draw = FRONTS[name]
        at = span[0] + 0.2
        while span[1] - at > 7:
            left = span[1] - at - 0.2
            width = left if left < 16 else rng.uniform(8, min(left - 7, 18))
            width = left if name != "house" else width
            corner, turn = (at + width, np.pi) if side > 0 else (at, 0.0)
            place = self.scene.pose(corner, side * front, 0, turn)
            self.mesh.place("manmade", draw(rng, width), place)
            at += width + rng.choice([0.0, 0.0, rng.uniform(0.8, 3)])

    def backdrop(self, rng, span, side: int, edge: float) -> None:
        """Tall buildings further back, for a skyline."""
        if rng.random() < (0.75 if self.scene.district in ("centre", "town") else 0.3):
            turn = np.pi if side > 0 else 0.0
            at = span[1] - 2 if side > 0 else span[0] + 2
            place = self.scene.pose(at, side * (edge + rng.uniform(36, 42)), 0, turn)
            self.mesh.place("manmade", buildings.office(rng, rng.uniform(12, 22)), place)

    # --- objects --------------------------------------------------------------------------------

    def fill(self, rng, rule: Rule, span, side, edge, outward, track, height=None) -> None:
        """Follow a rule along one side; `outward` is 1 away from the road, -1 into it."""
        scene, number = self.scene, 0
        height = scene.kerb if height is None else height
        for at in np.arange(span[0] + rule.step / 2, span[1], rule.step):
            number += 1
            own = np.random.default_rng(rng.integers(2**63))  # so that leaving one out moves none
            name = str(own.choice(rule.names))
            along = at + rule.jitter * rule.step * own.uniform(-1, 1)
            lateral = side * (edge + outward * own.uniform(*rule.lateral))
            keep = rule.chance
            if assets.ASSETS[name].category:
                keep *= self.density
            if own.random() >= keep or abs(along - self.ego) > rule.near:
                continue
            forward = 0.0 if side < 0 else np.pi
            turn = {
                "along": forward + own.normal(0, 0.03),
                "across": own.choice([-1, 1]) * np.pi / 2 + own.normal(0, 0.04),
                "oncoming": forward + np.pi,
                "road": -side * np.pi / 2,
                "any": own.uniform(0, 2 * np.pi),
            }[rule.heading]
            speed = 0.0
            if name == "walking person":
                way, speed = own.choice([-1, 1]), own.uniform(0.9, 1.6)
                turn = 0.0 if way > 0 else np.pi
                along += way * speed * self.time / (1 - scene.curvature * lateral)
            pose = scene.pose(along, lateral, height, turn)
            self.put(own, name, pose, f"{track}-{number}", speed)

    def put(self, rng, name: str, pose, track: str, speed=0.0) -> None:
        """Build an asset and put it somewhere, with a name and an identity if it is an object."""
        full, asset, parts = assets.make(name, rng)
        if asset.category:
            self.mesh.place_thing(asset.label, parts, pose, full, asset.category, track, speed)
        else:
            self.mesh.place(asset.label, parts, pose)

    def traffic(self) -> None:
        """Cars in all lanes, cyclists beside them; who is 110 m away comes back."""
        scene, ego = self.scene, self.ego
        inner = scene.median / 2 + LANE / 2
        lanes = [(s * (inner + LANE * n), s) for n in range(scene.lanes // 2) for s in (-1, 1)]
        bikes = scene.half - KERBSIDE - 0.3
        # 0.35 m towards the middle, to leave room for cyclists
        paths = [
            (lateral - 0.35 * side, -side * (scene.speed if side < 0 else 9.0), 17, TRAFFIC)
            for lateral, side in lanes
        ]
        paths += [(s * bikes, -s * 4.0, 17, ("cyclist",)) for s in (-1, 1)]
        phases = np.random.default_rng((*scene.seed, 2)).uniform(0, 220, len(paths))
        for number, (lateral, speed, gap, names) in enumerate(paths):
            for slot in range(int(220 // gap)):
                rng = np.random.default_rng((*scene.seed, 2, number, slot))
                start = slot * gap + rng.uniform(-2, 2) + phases[number]
                lap, away = np.divmod(start + speed * self.time - ego + 110, 220)
                away -= 110
                same = abs(lateral - scene.lane) < 2
                if rng.random() > 0.62 * self.density or (same and abs(away) < 13):
                    continue
                place = scene.pose(ego + away, lateral, 0, np.pi if lateral > 0 else 0.0)
                track = scene.track("t", number, slot, int(lap))
                really = abs(speed) * (1 - scene.curvature * lateral)  # an outer lane is longer
                self.put(rng, str(rng.choice(names)), place, track, really)
