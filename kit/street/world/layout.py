"""The layout of the street: builds the mesh of a scene at one time.

The street consists of blocks of `BLOCK_LENGTH` metres. Each block has its own random generator, so
a keyframe does not depend on the number of keyframes in its scene.
"""

from collections.abc import Callable

import numpy as np

from kit.data.classes import NUSCENES
from kit.street.assets import buildings, catalogue
from kit.street.assets.shapes import Part, box, loft
from kit.street.surfaces.materials import PAINTERS
from kit.street.surfaces.paint_ground import LANE_WIDTH, PARKING_WIDTH
from kit.street.world.mesh import Mesh
from kit.street.world.placement_rules import (
    BLOCK_LENGTH,
    BUILD_RADIUS,
    BUILDING_TYPES,
    KERBSIDE_RULES,
    PAVEMENT_RULES,
    PLOT_DEPTH,
    PLOT_TYPES,
    TRAFFIC_VEHICLES,
    Rule,
)
from kit.street.world.scene import Scene

LAP = 220.0  # metres of road on which vehicles drive, around the ego car


def build(scene: Scene, time: float, density: float = 1.0, add: Callable | None = None) -> Mesh:
    """Build the mesh of the street around the ego car.

    Args:
        scene: its random properties.
        time: seconds since the start of the scene.
        density: of all objects that can move, 0 (none) to 1.
        add: function that adds more objects to the mesh before it is finished.

    Returns:
        a finished mesh of all blocks within `BUILD_RADIUS`.
    """
    builder = _MeshBuilder(scene, time, density)
    builder.fields()
    first, last = ((builder.ego + away) // BLOCK_LENGTH for away in (-BUILD_RADIUS, BUILD_RADIUS))
    for index in range(int(first), int(last) + 1):
        builder.block(index)
    builder.traffic()
    if add:
        add(builder.mesh)
    return builder.mesh.finish()


class _MeshBuilder:
    """Builder of the mesh: adds blocks and traffic."""

    def __init__(self, scene: Scene, time: float, density: float):
        """Start an empty mesh; arguments as in `build`."""
        self.scene, self.time, self.density = scene, time, density
        self.ego = scene.speed * time  # along the road, metres
        self.mesh = Mesh(NUSCENES.names, PAINTERS, scene.terrain)

    def fields(self) -> None:
        """Add meadows around the street, a little lower; on hills, with a vertex every 10 m."""
        shape = box(900.0, 900.0, 0.1)
        if self.scene.hills:
            side = np.linspace(-450, 450, 91)
            rows = np.stack(np.broadcast_arrays(side[:, None], side, 0.1), -1)
            shape = loft(rows, closed=False, caps=False)
        meadows = Part(shape, "grass", (0.35, 0.4, 0.22))
        self.mesh.add_scenery("terrain", [meadows], self.scene.pose(self.ego, 0, -0.5))

    # --- blocks ---------------------------------------------------------------------------------

    def block(self, index: int) -> None:
        """Add the road of a block, and on both sides the strips of ground with their objects."""
        scene, span = self.scene, (index * BLOCK_LENGTH, (index + 1) * BLOCK_LENGTH)
        rng = np.random.default_rng((*scene.seed, 1, index % 2**32))
        half, inner = scene.half, scene.half + scene.verge
        style = (half, scene.lanes, scene.yellow, rng.random())
        self.ground("road", span, (-half, half), rng, style)
        cut = span[0] + (2 * LANE_WIDTH + 2 * scene.pavement + 4 if scene.is_crossing(index) else 0)
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
            for number, rule in enumerate(PAVEMENT_RULES):
                self.place_rule(rng, rule, rest, side, inner, 1, f"{track}-p{number}")
            kind = str(scene.kerbsides[(2 * index + (side > 0)) % len(scene.kerbsides)])
            for number, rule in enumerate(KERBSIDE_RULES[kind]):
                height = scene.kerb if rule.lateral[1] <= 0 else 0.0  # pavement or road
                self.place_rule(rng, rule, rest, side, half, -1, f"{track}-k{number}", height)
            if kind == "bus stop":
                lateral = side * (inner + scene.pavement - 1.0)
                place = scene.pose(cut + 8, lateral, scene.kerb, -side * np.pi / 2)
                self.add_asset(rng, "bus shelter", place, track)

    def ground(self, kind, along, lateral, rng, style=None) -> None:
        """Add a strip of ground with a kerb around it; grass and soil are uneven."""
        scene = self.scene
        a, b = (
            np.pad(np.linspace(*along, 15), 1, "edge"),
            np.pad(np.linspace(*lateral, 9), 1, "edge"),
        )
        z = np.full((len(a), len(b)), scene.kerb if kind in ("paving", "island") else 0.0)
        if kind in ("grass", "soil"):
            rough = 0.06 if kind == "grass" else 0.15
            z[1:-1, 1:-1] += scene.kerb + rough * rng.normal(size=(len(a) - 2, len(b) - 2))
        z[[0, -1]] = z[:, [0, -1]] = -0.6  # the doubled edge forms the kerb
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
        """Add a curved surface, given arrays (A, B) of along, lateral and height."""
        i = np.arange(z.size).reshape(z.shape)
        i, right, up, both = (x.ravel() for x in (i[:-1, :-1], i[:-1, 1:], i[1:, :-1], i[1:, 1:]))
        triangles = np.hstack([(i, right, up), (right, both, up)]).T
        part = Part((np.stack([a, b, z], -1).reshape(-1, 3), triangles), kind, colour, style)
        world = np.stack(self.scene.pose(a, b, z)[:3], -1).reshape(-1, 3)
        self.mesh.add_in_world(label, part, world)

    def marking(self, along, lateral) -> None:
        """Add a white rectangle of road marking."""
        a, b = np.meshgrid(np.linspace(*along, 2), np.linspace(*lateral, 3), indexing="ij")
        white = np.array((0.78, 0.78, 0.76))
        self.surface("marking", "driveable_surface", white, (), a, b, np.full(a.shape, 0.008))

    def crossing(self, rng, start: float, end: float) -> None:
        """Add a side road with zebra crossings, traffic lights and waiting cars."""
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
                self.add_asset(rng, "traffic light", place, "light")
            for number, away in enumerate((8, 14.5, 21, 34)):
                own = np.random.default_rng(rng.integers(2**63))
                at = (road[0] + road[1] - side * LANE_WIDTH) / 2
                place = scene.pose(at, side * (half + away), 0.0, -side * np.pi / 2)
                if own.random() < 0.7 * self.density:
                    self.add_asset(own, "car", place, scene.track("x", start, side, number))

    def island(self, rng, index: int, start: float) -> None:
        """Add a traffic island with a sign and a bollard, if the road has a median."""
        scene = self.scene
        if not scene.median:
            return
        long = BLOCK_LENGTH - 4 if index % 2 else 7.0
        span = (start + 3, min(start + 3 + long, (index + 1) * BLOCK_LENGTH - 0.5))
        wide = scene.median / 2
        self.ground("island", span, (-wide, wide), rng, (rng.random(), 0.8))
        for at, name in ((span[0] + 0.4, "traffic sign"), (span[1] - 0.4, "bollard")):
            place = scene.pose(at, 0.0, scene.kerb, np.pi)
            self.add_asset(rng, name, place, "island")

    def plot(self, rng, index: int, span, side: int, edge: float) -> None:
        """Add a plot beside the pavement: ground, objects by rule, buildings."""
        kind = self.scene.plot(index, side)
        plot = PLOT_TYPES[kind]
        self.ground(plot.ground, span, (side * edge, side * (edge + PLOT_DEPTH)), rng)
        height = 0.0 if plot.ground == "lot" else self.scene.kerb
        for number, rule in enumerate(plot.rules):
            track = self.scene.track(index, side, "g", number)
            self.place_rule(rng, rule, span, side, edge, 1, track, height)
        if kind == "square":
            self.basin(span, side, edge)
        if plot.building:
            self.buildings(rng, plot.building, span, side, edge + rng.uniform(*plot.setback))
        self.backdrop(rng, span, side, edge)

    def basin(self, span, side: int, edge: float) -> None:
        """Add a water basin, if the square is long enough."""
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
        """Add a row of buildings that face the road."""
        draw = BUILDING_TYPES[name]
        at = span[0] + 0.2
        while span[1] - at > 7:
            left = span[1] - at - 0.2
            width = left if left < 16 else rng.uniform(8, min(left - 7, 18))
            width = left if name != "house" else width
            corner, turn = (at + width, np.pi) if side > 0 else (at, 0.0)
            place = self.scene.pose(corner, side * front, 0, turn)
            self.mesh.add_scenery("manmade", draw(rng, width), place, rigid=True)
            at += width + rng.choice([0.0, 0.0, rng.uniform(0.8, 3)])

    def backdrop(self, rng, span, side: int, edge: float) -> None:
        """Add a tall building behind the plot, with a probability that depends on the district."""
        if rng.random() < (0.75 if self.scene.district in ("centre", "town") else 0.3):
            turn = np.pi if side > 0 else 0.0
            at = span[1] - 2 if side > 0 else span[0] + 2
            place = self.scene.pose(at, side * (edge + rng.uniform(36, 42)), 0, turn)
            office = buildings.office(rng, rng.uniform(12, 22))
            self.mesh.add_scenery("manmade", office, place, rigid=True)

    # --- objects --------------------------------------------------------------------------------

    def place_rule(self, rng, rule: Rule, span, side, edge, outward, track, height=None) -> None:
        """Place the assets of a rule along one side.

        Args:
            rng: draws the seed of each position.
            rule: what to place.
            span: start and end along the road, metres.
            side: 1 left, -1 right.
            edge: lateral position from which the rule measures, metres.
            outward: 1 away from the road, -1 towards its middle.
            track: prefix of the track identities.
            height: of the ground, metres; None: of the pavement.
        """
        scene, number = self.scene, 0
        height = scene.kerb if height is None else height
        for at in np.arange(span[0] + rule.step / 2, span[1], rule.step):
            number += 1
            own = np.random.default_rng(rng.integers(2**63))  # omitting one must not change others
            name = str(own.choice(rule.names))
            along = at + rule.jitter * rule.step * own.uniform(-1, 1)
            lateral = side * (edge + outward * own.uniform(*rule.lateral))
            keep = rule.probability
            if catalogue.ASSETS[name].category:
                keep *= self.density
            if own.random() >= keep or abs(along - self.ego) > rule.max_distance:
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
            self.add_asset(own, name, pose, f"{track}-{number}", speed)

    def add_asset(self, rng, name: str, pose, track: str, speed=0.0) -> None:
        """Build an asset and add it to the mesh, as an object or as scenery."""
        full, asset, parts = catalogue.make(name, rng)
        if asset.category:
            self.mesh.add_object(asset.label, parts, pose, full, asset.category, track, speed)
        else:
            self.mesh.add_scenery(asset.label, parts, pose)

    def traffic(self) -> None:
        """Add vehicles in all lanes, and cyclists; they drive around in a loop of `LAP` metres."""
        scene, ego = self.scene, self.ego
        inner = scene.median / 2 + LANE_WIDTH / 2
        bikes = scene.half - PARKING_WIDTH - 0.3
        paths = []
        for lane in range(scene.lanes // 2):
            for side in (-1, 1):
                # 0.35 m towards the middle, to leave room for cyclists
                lateral = side * (inner + LANE_WIDTH * lane) - 0.35 * side
                speed = -side * (scene.speed if side < 0 else 9.0)
                paths.append((lateral, speed, 17, TRAFFIC_VEHICLES))
        paths += [(s * bikes, -s * 4.0, 17, ("cyclist",)) for s in (-1, 1)]
        phases = np.random.default_rng((*scene.seed, 2)).uniform(0, LAP, len(paths))
        for number, (lateral, speed, gap, names) in enumerate(paths):
            for slot in range(int(LAP // gap)):
                rng = np.random.default_rng((*scene.seed, 2, number, slot))
                start = slot * gap + rng.uniform(-2, 2) + phases[number]
                lap, away = np.divmod(start + speed * self.time - ego + LAP / 2, LAP)
                away -= LAP / 2
                same = abs(lateral - scene.lane) < 2
                if rng.random() > 0.62 * self.density or (same and abs(away) < 13):
                    continue
                place = scene.pose(ego + away, lateral, 0, np.pi if lateral > 0 else 0.0)
                track = scene.track("t", number, slot, int(lap))
                actual = abs(speed) * (1 - scene.curvature * lateral)  # an outer lane is longer
                self.add_asset(rng, str(rng.choice(names)), place, track, actual)
