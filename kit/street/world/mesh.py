"""The mesh of a scene at one time: objects and scenery in the world frame, and a ray caster."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from kit.street.assets.shapes import Part, pose_matrix, unit
from kit.street.world.terrain import Terrain

NUM_STYLE = 4  # style parameters of a part; missing ones are 0
UP = (0.0, 0.0, 1.0)


class PlacedObject(NamedTuple):
    """One object of the scene. The cache stores these fields, so their names must stay.

    Attributes:
        name: in plain language, e.g. "red car".
        label: class index. category: of nuScenes, e.g. "vehicle.car".
        pose: x, y, z, yaw of the object's frame in the world.
        low, high: (3,) corners of its bounding box in its own frame, metres.
        track: identity; the same at all times.
        speed: m/s along its own x axis.
        up: unit vector of the object's z axis in the world.
    """

    name: str
    label: int
    category: str
    pose: tuple
    low: np.ndarray
    high: np.ndarray
    track: str
    speed: float = 0.0
    up: tuple = UP


class Mesh:
    """All objects and scenery of a scene at one moment, in the world frame.

    Add parts first, then call `finish`. After that (F triangles, P parts, R smooth triangles):

    Attributes:
        objects: the placed objects, in the order in which they were added.
        surfaces: names of the materials.
        corner, edges: (F, 3), (F, 2, 3) one corner in the object's frame and two edges from it, m.
        local_normal: (F, 3) unit normals in that frame, of either sign.
        normal: (F, 3) the same in the world frame.
        smooth_index: (F,) index into `corner_normal`, -1 for flat triangles.
        corner_normal: (R, 3, 3) unit normals at the corners of smooth triangles.
        part_of_triangle: (F,) part of each triangle.
        label_of_part, surface_of_part: (P,) class index; index into `surfaces`.
        object_of_part: (P,) index into `objects`, -1 for scenery.
        colour, style: (P, 3) in [0, 1], (P, 4) parameters of the material.
        raycaster: Open3D's scene of triangles.
    """

    def __init__(self, classes, surfaces, terrain: Terrain | None = None):
        """Start an empty mesh, given the names of classes and of materials; None: level ground."""
        self.classes, self.surfaces = list(classes), list(surfaces)
        self.terrain = terrain or Terrain(np.random.default_rng(0))
        self.objects: list[PlacedObject] = []
        self._placed: list[tuple[int, int, Part, np.ndarray]] = []

    def add_scenery(self, label: str, parts: list[Part], pose, rigid: bool = False) -> None:
        """Add scenery of class `label`.

        Args:
            label: its class.
            parts: its shape.
            pose: x, y, z, yaw in the world; z is metres above the ground.
            rigid: stand upright on the lowest ground below it, as buildings do. Other scenery bends
                with the ground.
        """
        T = pose_matrix(*pose)
        placed = [part.shape[0] @ T[:3, :3].T + T[:3, 3] for part in parts]
        ground = [self.terrain.elevation(x, y) for x, y, _ in (world.T for world in placed)]
        lowest = min(each.min() for each in ground)
        for part, world, elevation in zip(parts, placed, ground, strict=True):
            world[:, 2] += lowest if rigid else elevation
            self._place(label, part, world, T[:3, :3], -1)

    def add_object(
        self, label: str, parts: list[Part], pose, name: str, category: str, track: str, speed=0.0
    ) -> None:
        """Add an object of class `label`, with the attributes of `PlacedObject`.

        The z of its pose is metres above the ground. It is inclined as the ground is, unless it is
        a person.
        """
        corners = np.concatenate([part.shape[0] for part in parts])
        low, high = corners.min(0), corners.max(0)
        index, (x, y, z, yaw) = self.classes.index(label), pose
        up = UP if category.startswith("human") else map(float, self.terrain.normal(x, y))
        pose, up = tuple(map(float, (x, y, z + self.terrain.elevation(x, y), yaw))), tuple(up)
        self.objects.append(
            PlacedObject(name, index, category, pose, low, high, track, float(speed), up)
        )
        T = pose_matrix(*pose, up)
        for part in parts:
            world = part.shape[0] @ T[:3, :3].T + T[:3, 3]
            self._place(label, part, world, T[:3, :3], len(self.objects) - 1)

    def add_in_world(self, label: str, part: Part, world: Float[np.ndarray, "V 3"]) -> None:
        """Add scenery whose vertices have known positions in the world, such as a curved road.

        Their z is metres above the ground.
        """
        bent = world.copy()
        bent[:, 2] += self.terrain.elevation(world[:, 0], world[:, 1])
        self._place(label, part, bent, np.eye(3), -1)

    def _place(self, label: str, part: Part, world, rotation, object_index: int) -> None:
        """Keep a part, with its vertices in the world, for `finish`."""
        if not isinstance(part.smooth, bool):
            part = part._replace(smooth=part.smooth @ rotation.T)
        self._placed.append((self.classes.index(label), object_index, part, world))

    def finish(self) -> "Mesh":
        """Merge all parts and build Open3D's ray caster.

        Raises:
            ValueError: nothing was added.
        """
        import open3d

        if not self._placed:
            raise ValueError("the mesh is empty: add at least one object or piece of scenery")
        labels, objects, parts, worlds = zip(*self._placed, strict=True)
        start = np.cumsum([0] + [len(world) for world in worlds[:-1]])
        triangles = [p.shape[1] + s for p, s in zip(parts, start, strict=True)]
        triangles = np.concatenate(triangles).astype(np.uint32)
        local = np.concatenate([p.shape[0] for p in parts]).astype(np.float32)
        world = np.concatenate(worlds).astype(np.float32)
        self.corner, self.edges, self.local_normal = _corners(local, triangles)
        self.part_of_triangle = np.repeat(np.arange(len(parts)), [len(p.shape[1]) for p in parts])
        smooth = np.array([p.smooth is not False for p in parts])[self.part_of_triangle]
        self.normal = _corners(world, triangles)[2]
        self.smooth_index = np.where(smooth, np.cumsum(smooth) - 1, -1)
        vertex_normal = _vertex_normals(world, triangles[smooth])
        for part, first in zip(parts, start, strict=True):
            if not isinstance(part.smooth, bool):
                vertex_normal[first : first + len(part.smooth)] = part.smooth
        self.corner_normal = vertex_normal[triangles[smooth]]
        self.label_of_part, self.object_of_part = np.array(labels), np.array(objects)
        self.surface_of_part = np.array([self.surfaces.index(p.surface) for p in parts])
        self.colour = np.array([p.colour for p in parts], np.float32)
        style = [(*p.style, *(0.0,) * (NUM_STYLE - len(p.style))) for p in parts]
        self.style = np.array(style, np.float32)
        self.raycaster = open3d.t.geometry.RaycastingScene()
        self.raycaster.add_triangles(open3d.core.Tensor(world), open3d.core.Tensor(triangles))
        self._placed = []
        return self


def _corners(vertices, triangles):
    """Return first corners (F, 3), edges from them (F, 2, 3) and unit normals (F, 3)."""
    corners = vertices[triangles]
    edges = corners[:, 1:] - corners[:, :1]
    return corners[:, 0], edges, unit(np.cross(edges[:, 0], edges[:, 1]))


def _vertex_normals(
    vertices: Float[np.ndarray, "V 3"], triangles: Integer[np.ndarray, "R 3"]
) -> Float[np.ndarray, "V 3"]:
    """Unit normals at vertices: the mean of the adjacent triangles, weighted by area."""
    _, edges, _ = _corners(vertices, triangles)
    area = np.cross(edges[:, 0], edges[:, 1])
    corners = triangles.ravel()
    total = [np.bincount(corners, np.repeat(a, 3), len(vertices)) for a in area.T]
    return unit(np.stack(total, 1)).astype(np.float32)
