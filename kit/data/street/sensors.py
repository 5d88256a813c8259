"""The lidar and the six cameras that look at a street, and the rays both are made of.

Source: the HDL-32E's data sheet; sensor places and focal lengths of nuScenes (arXiv:1903.11027).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from kit.data.street.paint import PAINTERS, REFLECTANCE, Spots
from kit.data.street.shapes import Mesh

# Velodyne HDL-32E: 32 beams over 41.33 degrees, 2 cm; 1,084 firings a turn at 20 Hz.
ELEVATIONS, AZIMUTHS = np.linspace(-30.67, 10.67, 32), 1084
MAX_RANGE, RANGE_NOISE = 100.0, 0.02
# Where nuScenes' cars carry the lidar and the cameras, rounded to centimetres and degrees.
T_EGO_LIDAR = np.array([[0, 1, 0, 0.94], [-1, 0, 0, 0], [0, 0, 1, 1.84], [0, 0, 0, 1.0]])


class Mount(NamedTuple):
    """A camera on the car: place (ego frame, m), yaw (degrees), focal length (px at 1600 columns),
    and when it looks (s after the lidar)."""

    place: tuple[float, float, float]
    yaw: float
    focal: float
    delay: float


CAMERAS = {
    "CAM_FRONT": Mount((1.70, 0.02, 1.51), 0.0, 1266.0, -0.035),
    "CAM_FRONT_RIGHT": Mount((1.55, -0.49, 1.50), -55.0, 1266.0, -0.027),
    "CAM_FRONT_LEFT": Mount((1.52, 0.49, 1.51), 55.0, 1266.0, -0.043),
    "CAM_BACK": Mount((0.03, 0.00, 1.58), 180.0, 809.0, -0.010),
    "CAM_BACK_LEFT": Mount((1.04, 0.48, 1.59), 110.0, 1266.0, -0.002),
    "CAM_BACK_RIGHT": Mount((1.01, -0.48, 1.56), -110.0, 1266.0, -0.020),
}
BESIDE = np.array([(-0.35, 0.2), (0.35, -0.2)])  # pixels from the centre, for smooth edges


class Hits(NamedTuple):
    """Where rays ended: distance in ray lengths (inf: nowhere), triangle, place on it."""

    t: np.ndarray
    triangle: np.ndarray
    uv: np.ndarray


def trace(mesh: Mesh, origin, rays) -> Hits:
    """Follow rays to the first surface; `origin` and `rays` are (N, 3), or (3,) where all agree."""
    import open3d

    both = np.concatenate(np.broadcast_arrays(origin, rays), axis=1).astype(np.float32)
    found = mesh.rays.cast_rays(open3d.core.Tensor(both))
    return Hits(*(found[key].numpy() for key in ("t_hit", "primitive_ids", "primitive_uvs")))


def paint(mesh: Mesh, hits: Hits) -> Float[np.ndarray, "N 3"]:
    """Colours in [0, 1] of what was hit (every ray must have hit)."""
    part, (u, v) = mesh.part[hits.triangle], hits.uv.T[:, :, None]
    edges = mesh.edges[hits.triangle]
    local = mesh.corner[hits.triangle] + u * edges[:, 0] + v * edges[:, 1]
    surface, colours = mesh.surface[part], np.empty((len(part), 3), np.float32)
    for index in np.flatnonzero(np.bincount(surface)):
        at = np.flatnonzero(surface == index)
        normal = np.abs(mesh.local_normal[hits.triangle[at]]).T
        spots = Spots(*local[at].T, normal, mesh.colour[part[at]], mesh.style[part[at]])
        colours[at] = PAINTERS[mesh.surfaces[index]](spots)
    return colours.clip(0, 1)


def scan(
    mesh: Mesh, T_world_lidar: Float[np.ndarray, "4 4"], rng: np.random.Generator
) -> tuple[Float[np.ndarray, "N 3"], Float[np.ndarray, " N"], Int[np.ndarray, " N"]]:
    """One turn of the lidar.

    Intensity follows reflectance, brightness and angle of incidence; weak far returns get lost.

    Returns:
        points: lidar frame (x right, y forward, z up), metres, 2 cm of noise along the ray.
        intensity: 0..255.
        labels: class of the triangle that was hit.
    """
    turn = 2 * np.pi * np.arange(AZIMUTHS)[:, None] / AZIMUTHS
    up = np.radians(ELEVATIONS) + 0 * turn
    rays = np.stack([np.sin(turn) * np.cos(up), np.cos(turn) * np.cos(up), np.sin(up)], -1)
    rays = rays.reshape(-1, 3)
    world_rays = rays @ T_world_lidar[:3, :3].T
    hits = trace(mesh, T_world_lidar[:3, 3], world_rays)
    hit = np.flatnonzero(hits.t < MAX_RANGE)
    hits, rays, world_rays = Hits(*(x[hit] for x in hits)), rays[hit], world_rays[hit]
    part = mesh.part[hits.triangle]
    material = np.array([REFLECTANCE.get(name, 0.35) for name in mesh.surfaces])
    facing = np.abs((mesh.normal[hits.triangle] * world_rays).sum(1))
    back = material[mesh.surface[part]] * (0.05 + 0.6 * paint(mesh, hits).mean(1)) * np.sqrt(facing)
    back *= rng.gamma(6, 1 / 6, len(hit))
    needed = 0.03 * (hits.t / MAX_RANGE) ** 1.5 * rng.exponential(1, len(hit))
    seen = (back > needed) & (rng.random(len(hit)) > 0.02)
    distance = hits.t + RANGE_NOISE * rng.normal(size=len(hit))
    points = (rays * distance[:, None])[seen].astype(np.float32)
    intensity = (255 * back[seen]).clip(0, 255).round().astype(np.float32)
    return points, intensity, mesh.label[part][seen].astype(np.int64)


def intrinsics(name: str, image_size: tuple[int, int]) -> Float[np.ndarray, "3 3"]:
    """K for (height, width): of a picture of 900 x 1600 that was squeezed to this size."""
    focal, (height, width) = CAMERAS[name].focal, image_size
    return np.diag([width / 1600, height / 900, 1]) @ [[focal, 0, 812], [0, focal, 486], [0, 0, 1]]


def T_ego_cam(name: str) -> Float[np.ndarray, "4 4"]:
    """Pose of a camera (x right, y down, z forward) on the car (x forward, y left, z up)."""
    mount, T = CAMERAS[name], np.eye(4)
    cos, sin = np.cos(np.radians(mount.yaw)), np.sin(np.radians(mount.yaw))
    T[:3] = np.column_stack([(sin, -cos, 0), (0, 0, -1), (cos, sin, 0), mount.place])
    return T


def pixel_centres(image_size: tuple[int, int]) -> Float[np.ndarray, "M 2"]:
    """Column and row of every pixel's centre, row by row: 0.5, 0.5 is the first."""
    row, column = np.indices(image_size)
    return np.stack([column, row], -1).reshape(-1, 2) + 0.5


def pixel_rays(
    T_world_cam: Float[np.ndarray, "4 4"], K: Float[np.ndarray, "3 3"], uv: Float[np.ndarray, "N 2"]
) -> Float[np.ndarray, "N 3"]:
    """Unit rays in the world through places `uv` (column, row) on the image, pixels."""
    M = (T_world_cam[:3, :3] @ np.linalg.inv(K)).T.astype(np.float32)
    rays = uv.astype(np.float32) @ M[:2] + M[2]
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def render(
    mesh: Mesh, sun, T_world_cam, K, image_size: tuple[int, int]
) -> UInt8[np.ndarray, "H W 3"]:
    """The picture a camera takes: one ray a pixel, two more where neighbours differ much."""
    centres, origin = pixel_centres(image_size), T_world_cam[:3, 3]
    picture = _look(mesh, sun, origin, pixel_rays(T_world_cam, K, centres))
    grey = picture.mean(1).reshape(image_size)
    wide = np.pad(grey, 1, mode="edge")
    around = wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:]
    rough = np.abs(np.stack(around) - grey).max(0) > 0.09
    again = np.flatnonzero(rough)
    finer = (centres[again, None] + BESIDE).reshape(-1, 2)
    finer = _look(mesh, sun, origin, pixel_rays(T_world_cam, K, finer))
    picture[again] = (picture[again] + finer.reshape(-1, 2, 3).sum(1)) / 3
    return (255 * picture**0.8).round().astype(np.uint8).reshape(*image_size, 3)


def _look(mesh: Mesh, sun, origin, rays) -> np.ndarray:
    """Colours (N, 3) in [0, 1] seen along unit rays: paint in sun and sky light, behind haze."""
    colours = np.empty_like(rays)
    hits = trace(mesh, origin, rays)
    miss, hit = np.flatnonzero(np.isinf(hits.t)), np.flatnonzero(np.isfinite(hits.t))
    colours[miss] = _sky(rays[miss], sun)
    hits, rays = Hits(*(x[hit] for x in hits)), rays[hit]
    clear = np.exp(-hits.t / 350)[:, None]
    lit = paint(mesh, hits) * _light(mesh, sun, origin, rays, hits)
    colours[hit] = clear * lit + (1 - clear) * np.array((0.74, 0.79, 0.85), np.float32)
    return colours.clip(0, 1)


def _light(mesh: Mesh, sun, origin, rays, hits: Hits) -> np.ndarray:
    """Light (N, 3) on what was hit: the sky's and, by Lambert's law, the sun's where not hidden."""
    normal, strength = mesh.normal[hits.triangle], np.linalg.norm(sun)
    normal = normal * -np.sign((normal * rays).sum(1, keepdims=True))  # towards who looks
    direct = (normal @ (sun / strength).astype(np.float32)).clip(0)
    faces = np.flatnonzero(direct > 0)
    place = origin.astype(np.float32) + rays[faces] * hits.t[faces, None] + 0.02 * normal[faces]
    direct[faces] *= np.isinf(trace(mesh, place, sun).t)
    sky = (1 - 0.55 * strength) * (0.75 + 0.25 * normal[:, 2:])
    warm, cold = np.array([(1.06, 1.0, 0.9), (0.95, 1.0, 1.08)], np.float32)
    return sky * cold + 1.25 * strength * direct[:, None] * warm


def _sky(rays, sun) -> np.ndarray:
    """Blue overhead, pale at the horizon, bright about the sun; grey when the sun is weak."""
    strength = np.linalg.norm(sun)
    up = np.sqrt(rays[:, 2:].clip(0))
    top = strength * np.array((0.3, 0.5, 0.8)) + (1 - strength) * np.array((0.62, 0.66, 0.7))
    glow = 0.35 * strength * (rays @ (sun / strength)).clip(0)[:, None] ** 30
    return (np.array((0.8, 0.85, 0.9)) * (1 - up) + top * up + glow).astype(np.float32)
