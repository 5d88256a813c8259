"""Triangle meshes of simple solids: boxes, tubes, solids of revolution, ellipsoids.

A shape is `(vertices (V, 3), triangles (F, 3))` in its object's frame: x forward, y left, z up,
metres. Most shapes are lofts: a surface through a sequence of cross-sections.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Shape = tuple[np.ndarray, np.ndarray]


class Part(NamedTuple):
    """A shape with its material.

    Attributes:
        shape: vertices and triangles.
        surface: name of a material in `materials.PAINTERS`.
        colour: (3,) base colour in [0, 1].
        style: up to 4 parameters of the material, see the function that paints it.
        smooth: shading: False for flat triangles, True for normals averaged at the vertices, or
            the (V, 3) unit normals to use.
    """

    shape: Shape
    surface: str
    colour: np.ndarray | tuple
    style: tuple = ()
    smooth: bool | np.ndarray = False


def loft(rings: Float[np.ndarray, "S K 3"], closed: bool = True, caps: bool = True) -> Shape:
    """Make a surface through S cross-sections of K points each.

    Args:
        rings: the cross-sections, in order along the body.
        closed: whether the last point of a ring is connected to its first.
        caps: whether the two ends are closed by triangle fans.
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
    """Extrude an outline in y.

    Args:
        outline: (K, 2) x and z of the corners.
        width: extent in y, centred; one number, or one for each corner.
    """
    outline = np.asarray(outline, float)
    half = np.broadcast_to(width, len(outline)) / 2
    left = np.column_stack([outline[:, 0], half, outline[:, 1]])
    return loft(np.stack([left, left * [1, -1, 1]]))


def box(length, width, height, z=0.0) -> Shape:
    """Make a box centred on the z axis, from `z` upwards.

    Raises:
        ValueError: a size is not positive.
    """
    if min(length, width, height) <= 0:
        raise ValueError(f"a box must have positive sizes, got {length} x {width} x {height} m")
    x = length / 2
    return extrude([(-x, z), (x, z), (x, z + height), (-x, z + height)], width)


def lathe(profile, sides: int = 10, axis: str = "z") -> Shape:
    """Make a solid of revolution.

    Args:
        profile: (S, 2) radius and position along the axis.
        sides: number of corners of the approximated circle.
        axis: "z"; "y", as for wheels; or "x", as for signs.
    """
    radius, height = np.asarray(profile, float).T[:, :, None]
    angle = 2 * np.pi * np.arange(sides) / sides
    a, b, c = radius * np.cos(angle), radius * np.sin(angle), height + 0 * angle
    order = {"z": (a, b, c), "y": (a, c, b), "x": (c, a, b)}[axis]
    return loft(np.stack(order, -1), caps=False)


def rounded_body(levels, corner: int = 3) -> Shape:
    """Loft rounded rectangles at several heights, as for the body of a car.

    Args:
        levels: rows of z, rear x, front x, half width, radius of the corners.
        corner: number of points at each rounded corner.
    """
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
    """Make a round bar along a path.

    Args:
        path: (S, 3) positions.
        radius: one number, or one for each position.
        sides: number of corners of the approximated circle.
    """
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


def ellipsoid(rng: np.random.Generator, half_axes, rough=0.25, detail: int = 9) -> Shape:
    """Make an ellipsoid at the origin with random bumps.

    Args:
        rng: draws the bumps.
        half_axes: in x, y and z.
        rough: height of the bumps as a ratio of the radius.
        detail: number of rings; each has twice as many points.
    """
    up = np.linspace(-np.pi / 2, np.pi / 2, detail)[:, None]
    turn = 2 * np.pi * np.arange(2 * detail) / (2 * detail)
    waves = rng.uniform(2, 6, (4, 2)).round(), rng.uniform(0, 2 * np.pi, 4)
    lumps = sum(np.sin(a * turn + b * up + c) for (a, b), c in zip(*waves, strict=True))
    radius = 1 + rough * lumps / 4 * np.cos(up)
    direction = (np.cos(up) * np.cos(turn), np.cos(up) * np.sin(turn), np.sin(up) + 0 * turn)
    return loft(np.stack(direction, -1) * radius[..., None] * half_axes, caps=False)


def leaf_cloud(rng: np.random.Generator, half_axes, count: int, leaf) -> Shape:
    """Make loose triangles in an ellipsoid, denser outside; part of all rays pass through.

    Args:
        rng: draws the triangles.
        half_axes: of the ellipsoid.
        count: number of triangles.
        leaf: standard deviation of their corners, metres.
    """
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    centre = direction * rng.uniform(0.45, 1.08, (count, 1)) ** 0.6 * half_axes
    corners = centre[:, None] + leaf * rng.normal(size=(count, 3, 3))
    return corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3)


def ellipsoid_normals(shape: Shape, centre, half_axes) -> Float[np.ndarray, "V 3"]:
    """Unit normals of an ellipsoid at a shape's vertices, to shade loose leaves as one crown."""
    return unit((shape[0] - centre) / np.square(half_axes))


def join(shapes: Iterable[Shape]) -> Shape:
    """Merge shapes of the same material into one."""
    vertices, triangles = zip(*shapes, strict=True)
    start = np.cumsum([0, *(len(v) for v in vertices[:-1])])
    return np.concatenate(vertices), np.concatenate(
        [t + s for t, s in zip(triangles, start, strict=True)]
    )


def moved(shape: Shape, x=0.0, y=0.0, z=0.0) -> Shape:
    """Translate a shape in its object's frame."""
    return shape[0] + (x, y, z), shape[1]


def rotated(shape: Shape, yaw) -> Shape:
    """Rotate a shape about the z axis; radians, positive to the left."""
    return shape[0] @ yaw_rotation(yaw).T, shape[1]


def pose_matrix(x, y, z, yaw, up=(0.0, 0.0, 1.0)) -> Float[np.ndarray, "4 4"]:
    """Make T_world_object from a position in metres, a yaw in radians and the direction of up."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = tilt_rotation(np.asarray(up)) @ yaw_rotation(yaw), (x, y, z)
    return T


def tilt_rotation(up: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3 3"]:
    """Rotation about a level axis that turns (0, 0, 1) to the unit vector `up`.

    Source: Rodrigues' formula, with the angle's cosine, the third coordinate of `up`, put in.
    """
    a, b, c = np.moveaxis(up, -1, 0)
    rows = [
        [1 - a * a / (1 + c), -a * b / (1 + c), a],
        [-a * b / (1 + c), 1 - b * b / (1 + c), b],
        [-a, -b, c],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def yaw_rotation(yaw) -> Float[np.ndarray, "3 3"]:
    """Rotation about the z axis. Other rounding, such as scipy's, would change rendered bytes."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])


def unit(vectors):
    """Scale vectors to length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
