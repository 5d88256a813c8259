"""Ray casting against the mesh of a scene: hits, occlusion, and the colour of the surfaces hit."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from kit.street.surfaces.materials import PAINTERS
from kit.street.surfaces.patterns import SurfacePoints
from kit.street.world.mesh import Mesh


class Hits(NamedTuple):
    """The first surfaces that rays meet.

    Attributes:
        t: distance in ray lengths, inf if nothing was hit.
        triangle: index of the triangle.
        uv: barycentric coordinates on the triangle.
    """

    t: np.ndarray
    triangle: np.ndarray
    uv: np.ndarray

    def select(self, index) -> "Hits":
        """Select hits by index."""
        return Hits(*(np.take(values, index, 0) for values in self))


def cast_rays(mesh: Mesh, origin, rays) -> Hits:
    """Follow rays to the first surface.

    Args:
        mesh: finished.
        origin, rays: (N, 3) in the world frame; one of them may be (3,), the same for all rays.
    """
    import open3d

    found = mesh.raycaster.cast_rays(open3d.core.Tensor(_origins_and_rays(origin, rays)))
    return Hits(*(found[key].numpy() for key in ("t_hit", "primitive_ids", "primitive_uvs")))


def is_occluded(mesh: Mesh, origin, rays, max_length: float = np.inf) -> np.ndarray:
    """Test whether rays meet a surface within `max_length` ray lengths; see `cast_rays`."""
    import open3d

    both = open3d.core.Tensor(_origins_and_rays(origin, rays))
    return mesh.raycaster.test_occlusions(both, 0.0, max_length).numpy()


def _origins_and_rays(origin, rays) -> np.ndarray:
    """(N, 6) float32, as Open3D expects them."""
    rays = np.asarray(rays)
    both = np.empty((len(rays) if rays.ndim > 1 else len(origin), 6), np.float32)
    both[:, :3], both[:, 3:] = origin, rays
    return both


def surface_colour(mesh: Mesh, hits: Hits, pixel) -> Float[np.ndarray, "N 4"]:
    """Compute the colour and gloss of surfaces, without lighting.

    Args:
        mesh: finished.
        hits: each ray must have hit a surface.
        pixel: size of a pixel at the surface, metres, (N,) or one number; 0 for the lidar.
    """
    part, (u, v) = np.take(mesh.part_of_triangle, hits.triangle), hits.uv.T[:, :, None]
    edges = np.take(mesh.edges, hits.triangle, 0)
    local = np.take(mesh.corner, hits.triangle, 0) + u * edges[:, 0] + v * edges[:, 1]
    local = np.ascontiguousarray(local.T)
    normal = np.ascontiguousarray(np.abs(np.take(mesh.local_normal, hits.triangle, 0)).T)
    pixel = np.broadcast_to(np.float32(pixel), len(part))
    surface, result = np.take(mesh.surface_of_part, part), np.zeros((len(part), 4), np.float32)
    order = np.argsort(surface, kind="stable")
    borders = np.searchsorted(surface[order], np.arange(len(mesh.surfaces) + 1))
    for index in np.flatnonzero(np.diff(borders)):
        at = order[borders[index] : borders[index + 1]]
        own = part[at]
        colour, style = np.take(mesh.colour, own, 0), np.take(mesh.style, own, 0)
        x, y, z = np.take(local, at, 1)
        points = SurfacePoints(x, y, z, np.take(normal, at, 1), colour, style, pixel[at])
        painted = PAINTERS[mesh.surfaces[index]](points)
        result[at, : painted.shape[1]] = painted
    return result.clip(0, 1)
