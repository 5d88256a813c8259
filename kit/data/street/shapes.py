"""Solid shapes, and the mesh they are merged into.

A shape is `(vertices (V, 3), triangles (F, 3))` in its object's own frame: x forward, y left, z up,
metres. Two recipes make nearly everything: a side view given a width, and a profile turned about an
axis. Objects are lists of `Part`; `Mesh` holds everything at one moment.
"""

from typing import NamedTuple

import numpy as np

Shape = tuple[np.ndarray, np.ndarray]


class Part(NamedTuple):
    """A shape and how it is painted; `style` is a number its surface may use as it likes."""

    shape: Shape
    surface: str
    colour: np.ndarray | tuple
    style: float = 0.0


def extrude(outline, width) -> Shape:
    """Give a side view (K, 2) of x and z a width in y: one number, or one for each corner."""
    outline = np.asarray(outline, float)
    count = len(outline)
    half = np.broadcast_to(width, count) / 2
    left = np.column_stack([outline[:, 0], half, outline[:, 1]])
    left = np.vstack([left, left.mean(0)])  # the sides are fans about their centre
    i = np.arange(count)
    j, far, centre = (i + 1) % count, count + 1, np.full(count, count)
    triangles = [
        (i, j, i + far),
        (j, j + far, i + far),
        (i, j, centre),
        (i + far, j + far, centre + far),
    ]
    return np.vstack([left, left * [1, -1, 1]]), np.hstack(triangles).T


def box(length: float, width: float, height: float, z: float = 0.0) -> Shape:
    """A box centred on the z axis, from `z` upwards."""
    x = length / 2
    return extrude([(-x, z), (x, z), (x, z + height), (-x, z + height)], width)


def lathe(profile, sides: int = 10, axis: str = "z") -> Shape:
    """Turn a profile (K, 2) of radius and height about the z, y (wheels) or x axis (signs)."""
    radius, height = np.asarray(profile, float).T[:, :, None]
    angle = 2 * np.pi * np.arange(sides) / sides
    a, b, c = radius * np.cos(angle), radius * np.sin(angle), height + 0 * angle
    order = {"z": (a, b, c), "y": (a, c, b), "x": (c, a, b)}[axis]
    row, column = np.indices((len(radius) - 1, sides)).reshape(2, -1)
    i, j = row * sides + column, row * sides + (column + 1) % sides
    triangles = np.hstack([(i, j, i + sides), (j, j + sides, i + sides)]).T
    return np.stack(order, -1).reshape(-1, 3), triangles


def leaves(rng: np.random.Generator, half_axes, count: int, leaf: float) -> Shape:
    """Loose triangles in an ellipsoid, denser outside: some light and laser pass through."""
    outward = rng.normal(size=(count, 3))
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    centre = outward * rng.uniform(0.2, 1, (count, 1)) ** 0.5 * half_axes
    corners = centre[:, None] + leaf * rng.normal(size=(count, 3, 3))
    return corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3)


def moved(shape: Shape, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Shape:
    """The shape elsewhere in its object's frame."""
    return shape[0] + (x, y, z), shape[1]


class Mesh:
    """Everything at one moment, in the world frame, ready for rays.

    Attributes (after `finish`; F triangles, P parts):
        corner, edges: (F, 3), (F, 2, 3) a corner in the object's frame and edges from it, m.
        local_normal, normal: (F, 3) unit normals, either way out, in that frame and in the world.
        part: (F,) part of each triangle. label, surface: (P,) class index, index into `surfaces`.
        colour: (P, 3) in [0, 1]. style: (P,).
        rays: Open3D's ray caster.
    """

    def __init__(self, classes, surfaces):
        self.classes, self.surfaces, self._placed = list(classes), list(surfaces), []

    def place(self, name: str, parts: list[Part], pose) -> None:
        """Put an object of class `name` at `pose`: x, y, z, yaw in the world."""
        x, y, z, yaw = pose
        cos, sin = np.cos(yaw), np.sin(yaw)
        rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        for part in parts:
            self._placed.append((name, part, part.shape[0] @ rotation.T + (x, y, z)))

    def place_bent(self, name: str, part: Part, world) -> None:
        """Put a part whose vertices' places (V, 3) in the world are known."""
        self._placed.append((name, part, world))

    def finish(self) -> "Mesh":
        """Merge the parts and hand them to Open3D's ray caster."""
        import open3d

        names, parts, worlds = zip(*self._placed, strict=True)
        start = np.cumsum([0] + [len(world) for world in worlds[:-1]])
        triangles = [p.shape[1] + s for p, s in zip(parts, start, strict=True)]
        triangles = np.concatenate(triangles).astype(np.uint32)
        local = np.concatenate([p.shape[0] for p in parts]).astype(np.float32)
        world = np.concatenate(worlds).astype(np.float32)
        self.corner, self.edges, self.local_normal = _corners(local, triangles)
        self.normal = _corners(world, triangles)[2]
        self.part = np.repeat(np.arange(len(parts)), [len(p.shape[1]) for p in parts])
        self.label = np.array([self.classes.index(name) for name in names])
        self.surface = np.array([self.surfaces.index(p.surface) for p in parts])
        self.colour = np.array([p.colour for p in parts], np.float32)
        self.style = np.array([p.style for p in parts], np.float32)
        self.rays = open3d.t.geometry.RaycastingScene()
        self.rays.add_triangles(open3d.core.Tensor(world), open3d.core.Tensor(triangles))
        self._placed = []
        return self


def _corners(vertices, triangles):
    """First corners (F, 3), edges from them (F, 2, 3), unit normals (F, 3)."""
    corners = vertices[triangles]
    edges = corners[:, 1:] - corners[:, :1]
    normal = np.cross(edges[:, 0], edges[:, 1])
    size = np.linalg.norm(normal, axis=1, keepdims=True)
    return corners[:, 0], edges, normal / np.maximum(size, 1e-12)
