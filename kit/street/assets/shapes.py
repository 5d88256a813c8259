"""Solid shapes, and the mesh they are merged into.

A shape is `(vertices (V, 3), triangles (F, 3))` in its object's own frame: x forward, y left, z up,
metres. Nearly everything is a loft: a skin over a row of rings, open or closed at the ends.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

Shape = tuple[np.ndarray, np.ndarray]
STYLE = 4  # numbers a part gives to its surface


class Part(NamedTuple):
    """A shape and how it looks.

    Attributes:
        shape: vertices and triangles.
        surface: name of a painter in `textures.PAINTERS`.
        colour: (3,) base colour in [0, 1].
        style: up to four numbers that the surface may use as it likes.
        smooth: whether light treats the surface as rounded; or the (V, 3) unit normals it shall
            believe in.
    """

    shape: Shape
    surface: str
    colour: np.ndarray | tuple
    style: tuple = ()
    smooth: bool | np.ndarray = False


def loft(rings: Float[np.ndarray, "S K 3"], closed: bool = True, caps: bool = True) -> Shape:
    """Stretch a skin over S rings of K points each; fans about their centres close the ends.

    Args:
        rings: one after the other along the body.
        closed: whether a ring's last point is joined to its first.
        caps: whether the two ends are closed.
    """
    rings = np.asarray(rings, float)
    count, size = rings.shape[:2]
    row, column = np.indices((count - 1, size if closed else size - 1)).reshape(2, -1)
    i, j = row * size + column, row * size + (column + 1) % size
    triangles = [np.stack([i, j, i + size], 1), np.stack([j, j + size, i + size], 1)]
    vertices = rings.reshape(-1, 3)
    if caps:
        ends = rings[[0, -1]].mean(1)
        k = np.arange(size if closed else size - 1)
        for end, first in enumerate((0, (count - 1) * size)):
            here, there = first + k, first + (k + 1) % size
            centre = np.full_like(k, len(vertices) + end)
            order = (there, here, centre) if end == 0 else (here, there, centre)
            triangles.append(np.stack(order, 1))
        vertices = np.vstack([vertices, ends])
    return vertices, np.concatenate(triangles)


def extrude(outline, width) -> Shape:
    """Give a side view (K, 2) of x and z a width in y: one number, or one for each corner."""
    outline = np.asarray(outline, float)
    half = np.broadcast_to(width, len(outline)) / 2
    left = np.column_stack([outline[:, 0], half, outline[:, 1]])
    return loft(np.stack([left, left * [1, -1, 1]]))


def box(length, width, height, z=0.0) -> Shape:
    """A box centred on the z axis, from `z` upwards."""
    if min(length, width, height) <= 0:
        raise ValueError(f"a box needs positive sizes, got {length} x {width} x {height} m")
    x = length / 2
    return extrude([(-x, z), (x, z), (x, z + height), (-x, z + height)], width)


def lathe(profile, sides: int = 10, axis: str = "z") -> Shape:
    """Turn a profile (S, 2) of radius and height about the z, y (wheels) or x axis (signs)."""
    radius, height = np.asarray(profile, float).T[:, :, None]
    angle = 2 * np.pi * np.arange(sides) / sides
    a, b, c = radius * np.cos(angle), radius * np.sin(angle), height + 0 * angle
    order = {"z": (a, b, c), "y": (a, c, b), "x": (c, a, b)}[axis]
    return loft(np.stack(order, -1), caps=False)


def stack(levels, corner: int = 3) -> Shape:
    """Lay rounded rectangles on each other: rows of z, rear x, front x, half width, radius."""
    rings = []
    for z, rear, front, half, radius in levels:
        turn = np.linspace(0, np.pi / 2, corner)
        quarter = np.stack([np.cos(turn), np.sin(turn)], 1)
        inner = np.array([(front - rear) / 2 - radius, half - radius])
        signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
        ring = [(quarter * radius + inner)[:: a * b] * (a, b) for a, b in signs]
        ring = np.vstack(ring) + ((front + rear) / 2, 0)
        rings.append(np.column_stack([ring, np.full(len(ring), z)]))
    return loft(np.stack(rings))


def tube(path, radius, sides: int = 7) -> Shape:
    """A round bar along a path (S, 3), of one radius or one for each place."""
    path = np.asarray(path, float)
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    helper = np.where(np.abs(along[:, 2:]) > 0.9, (1.0, 0, 0), (0, 0, 1.0))
    u = np.cross(along, helper)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(along, u)
    angle = 2 * np.pi * np.arange(sides) / sides
    radius = np.broadcast_to(radius, len(path))[:, None, None]
    ring = u[:, None] * np.cos(angle)[:, None] + v[:, None] * np.sin(angle)[:, None]
    return loft(path[:, None] + radius * ring)


def blob(rng: np.random.Generator, half_axes, rough=0.25, detail: int = 9) -> Shape:
    """A lumpy ellipsoid about the origin."""
    up = np.linspace(-np.pi / 2, np.pi / 2, detail)[:, None]
    turn = 2 * np.pi * np.arange(2 * detail) / (2 * detail)
    waves = rng.uniform(2, 6, (4, 2)).round(), rng.uniform(0, 2 * np.pi, 4)
    lumps = sum(np.sin(a * turn + b * up + c) for (a, b), c in zip(*waves, strict=True))
    radius = 1 + rough * lumps / 4 * np.cos(up)
    unit = (np.cos(up) * np.cos(turn), np.cos(up) * np.sin(turn), np.sin(up) + 0 * turn)
    return loft(np.stack(unit, -1) * radius[..., None] * half_axes, caps=False)


def leaves(rng: np.random.Generator, half_axes, count: int, leaf) -> Shape:
    """Loose triangles about an ellipsoid, denser outside: some light and laser pass through."""
    outward = rng.normal(size=(count, 3))
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    centre = outward * rng.uniform(0.45, 1.08, (count, 1)) ** 0.6 * half_axes
    corners = centre[:, None] + leaf * rng.normal(size=(count, 3, 3))
    return corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3)


def outward(shape: Shape, centre, half_axes) -> Float[np.ndarray, "V 3"]:
    """Unit normals of an ellipsoid at a shape's vertices: loose leaves lit as one round crown."""
    return _unit((shape[0] - centre) / np.square(half_axes))


def join(shapes: Iterable[Shape]) -> Shape:
    """Several shapes as one, for what looks alike."""
    vertices, triangles = zip(*shapes, strict=True)
    start = np.cumsum([0, *(len(v) for v in vertices[:-1])])
    return np.concatenate(vertices), np.concatenate(
        [t + s for t, s in zip(triangles, start, strict=True)]
    )


def moved(shape: Shape, x=0.0, y=0.0, z=0.0) -> Shape:
    """The shape elsewhere in its object's frame."""
    return shape[0] + (x, y, z), shape[1]


def turned(shape: Shape, yaw) -> Shape:
    """The shape turned about the z axis, radians, to the left."""
    return shape[0] @ _rotation(yaw).T, shape[1]


def pose_matrix(x, y, z, yaw) -> Float[np.ndarray, "4 4"]:
    """The rigid transform from an object's own frame to the world."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = _rotation(yaw), (x, y, z)
    return T


def _rotation(yaw) -> Float[np.ndarray, "3 3"]:
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])


class Thing(NamedTuple):
    """One object that was placed.

    Attributes:
        name: in plain language, e.g. "red car".
        label: class index. category: of nuScenes, e.g. "vehicle.car".
        pose: x, y, z, yaw in the world; the object's own origin.
        low, high: (3,) corners of its box in its own frame, metres.
        track: the same for one object at all times.
        speed: m/s along its own x axis.
    """

    name: str
    label: int
    category: str
    pose: tuple
    low: np.ndarray
    high: np.ndarray
    track: str
    speed: float = 0.0


class Mesh:
    """Everything at one moment, in the world frame, ready for rays.

    Attributes (after `finish`; F triangles, P parts):
        corner, edges: (F, 3), (F, 2, 3) a corner in the object's frame and edges from it, m.
        local_normal: (F, 3) unit normals in that frame, either way out.
        normal: (F, 3) the same in the world.
        rounding: (F,) row of `corner_normal` (R, 3, 3), the unit normals at the corners of those
            triangles that look rounded; -1 for flat ones.
        part: (F,) part of each triangle. label, surface: (P,) class index, index into `surfaces`.
        colour: (P, 3) in [0, 1]. style: (P, 4). thing: (P,) row of `things`, -1 for the scenery.
        things: the objects, in the order they were placed.
        rays: Open3D's ray caster.
    """

    def __init__(self, classes, surfaces):
        self.classes, self.surfaces, self.things = list(classes), list(surfaces), []
        self._placed: list[tuple[int, int, Part, np.ndarray]] = []

    def place(self, label: str, parts: list[Part], pose) -> None:
        """Put scenery of class `label` at `pose`: x, y, z, yaw in the world."""
        self._add(label, parts, pose, -1)

    def place_thing(
        self, label: str, parts: list[Part], pose, name: str, category: str, track: str, speed=0.0
    ) -> None:
        """Put an object: it has a name, a box and an identity that lasts."""
        corners = np.concatenate([part.shape[0] for part in parts])
        low, high = corners.min(0), corners.max(0)
        index = self.classes.index(label)
        pose = tuple(map(float, pose))
        self.things.append(Thing(name, index, category, pose, low, high, track, float(speed)))
        self._add(label, parts, pose, len(self.things) - 1)

    def place_bent(self, label: str, part: Part, world: Float[np.ndarray, "V 3"]) -> None:
        """Put scenery whose vertices' places in the world are known."""
        self._placed.append((self.classes.index(label), -1, part, world))

    def _add(self, label: str, parts: list[Part], pose, thing: int) -> None:
        rotation, place = _rotation(pose[3]), pose[:3]
        for part in parts:
            world = part.shape[0] @ rotation.T + place
            if not isinstance(part.smooth, bool):
                part = part._replace(smooth=part.smooth @ rotation.T)
            self._placed.append((self.classes.index(label), thing, part, world))

    def finish(self) -> "Mesh":
        """Merge the parts and hand them to Open3D's ray caster.

        Raises:
            ValueError: nothing was placed.
        """
        import open3d

        if not self._placed:
            raise ValueError("there is nothing to look at: place at least one object")
        label, thing, parts, worlds = zip(*self._placed, strict=True)
        start = np.cumsum([0] + [len(world) for world in worlds[:-1]])
        triangles = [p.shape[1] + s for p, s in zip(parts, start, strict=True)]
        triangles = np.concatenate(triangles).astype(np.uint32)
        local = np.concatenate([p.shape[0] for p in parts]).astype(np.float32)
        world = np.concatenate(worlds).astype(np.float32)
        self.corner, self.edges, self.local_normal = _corners(local, triangles)
        self.part = np.repeat(np.arange(len(parts)), [len(p.shape[1]) for p in parts])
        smooth = np.array([p.smooth is not False for p in parts])[self.part]
        self.normal = _corners(world, triangles)[2]
        self.rounding = np.where(smooth, np.cumsum(smooth) - 1, -1)
        vertex_normal = _vertex_normals(world, triangles[smooth])
        for part, first in zip(parts, start, strict=True):
            if not isinstance(part.smooth, bool):
                vertex_normal[first : first + len(part.smooth)] = part.smooth
        self.corner_normal = vertex_normal[triangles[smooth]]
        self.label, self.thing = np.array(label), np.array(thing)
        self.surface = np.array([self.surfaces.index(p.surface) for p in parts])
        self.colour = np.array([p.colour for p in parts], np.float32)
        style = [(*p.style, *(0.0,) * (STYLE - len(p.style))) for p in parts]
        self.style = np.array(style, np.float32)
        self.rays = open3d.t.geometry.RaycastingScene()
        self.rays.add_triangles(open3d.core.Tensor(world), open3d.core.Tensor(triangles))
        self._placed = []
        return self


def _corners(vertices, triangles):
    """First corners (F, 3), edges from them (F, 2, 3), unit normals (F, 3)."""
    corners = vertices[triangles]
    edges = corners[:, 1:] - corners[:, :1]
    return corners[:, 0], edges, _unit(np.cross(edges[:, 0], edges[:, 1]))


def _vertex_normals(
    vertices: Float[np.ndarray, "V 3"], triangles: Integer[np.ndarray, "R 3"]
) -> Float[np.ndarray, "V 3"]:
    """Unit normals at vertices: the mean of the faces that meet there, by area."""
    _, edges, _ = _corners(vertices, triangles)
    area = np.cross(edges[:, 0], edges[:, 1])
    corners = triangles.ravel()
    total = [np.bincount(corners, np.repeat(a, 3), len(vertices)) for a in area.T]
    return _unit(np.stack(total, 1)).astype(np.float32)


def _unit(vectors):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
