"""The simulated rotating lidar: beams, range noise, intensity, and lost returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from kit.street.render.rays import Hits, cast_rays, surface_colour
from kit.street.surfaces.materials import REFLECTANCE
from kit.street.world.mesh import Mesh


@dataclass(frozen=True)
class Lidar:
    """A lidar that rotates clockwise, seen from above.

    Its repr is part of the keys of cached keyframes: renaming a field makes them invalid.

    Attributes:
        elevations: angle of each beam above the horizon, degrees.
        azimuths: number of firings in a rotation.
        hz: rotations per second.
        start: direction in which a rotation begins, degrees clockwise from ahead. The rotation ends
            at the time stamp.
        max_range: metres; the street itself ends 98 m from the car.
        nearest: smallest range, metres.
        noise: standard deviation of the range, metres.
        gain: intensity of a return that contains all of the emitted light.

    Raises:
        ValueError: a value is out of range.
    """

    elevations: tuple[float, ...]
    azimuths: int = 1084
    hz: float = 20.0
    start: float = 252.0
    max_range: float = 100.0
    nearest: float = 1.0
    noise: float = 0.02
    gain: float = 255.0

    def __post_init__(self):
        object.__setattr__(self, "elevations", tuple(map(float, self.elevations)))
        if not self.elevations or any(not -90 < e < 90 for e in self.elevations):
            raise ValueError(
                "lidar: elevations must be at least one angle between -90 and 90 degrees, got "
                f"{self.elevations}"
            )
        least = {"azimuths": 0, "hz": 0, "start": -1, "max_range": self.nearest, "gain": 0}
        for name, low in least.items():
            if not low < getattr(self, name) < np.inf:
                raise ValueError(f"lidar: {name} must be above {low}, got {getattr(self, name)}")
        for name in ("nearest", "noise"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"lidar: {name} must not be negative, got {getattr(self, name)}")

    @property
    def times(self) -> Float[np.ndarray, " A"]:
        """Time of each firing relative to the time stamp, -1/hz to 0 s; the first is ahead."""
        turn = np.arange(self.azimuths) / self.azimuths
        return ((turn - self.start / 360) % 1 - 1) / self.hz


class Scan(NamedTuple):
    """One rotation of a lidar.

    Attributes:
        points: (N, 3) float32 metres in the lidar frame at the time stamp.
        intensity: (N,) float32.
        part: (N,) index of the mesh's part.
        surface: (N, 3) float64 hit positions in the world frame, without range noise, metres.
    """

    points: Float[np.ndarray, "N 3"]
    intensity: Float[np.ndarray, " N"]
    part: Int[np.ndarray, " N"]
    surface: Float[np.ndarray, "N 3"]


def scan(
    mesh: Mesh,
    lidar: Lidar,
    T_world_lidar: Callable[[np.ndarray], Float[np.ndarray, "A 4 4"]],
    rng: np.random.Generator,
) -> Scan:
    """Simulate one rotation; all points are in the lidar frame at the time stamp.

    Every firing starts at the pose of the car at that time. The intensity depends on the material,
    its brightness and the angle of incidence. Weak returns are lost, most of all from far away and
    from glass. Differs from a real lidar: other objects do not move during the rotation.

    Args:
        mesh: finished.
        lidar: its beams and its noise.
        T_world_lidar: function from times relative to the time stamp, (A,) seconds, to poses of the
            lidar (x right, y forward, z up).
        rng: draws noise and lost returns.
    """
    poses = T_world_lidar(lidar.times)
    turn = 2 * np.pi * np.arange(lidar.azimuths)[:, None] / lidar.azimuths
    up = np.radians(lidar.elevations) + 0 * turn
    rays = np.stack([np.sin(turn) * np.cos(up), np.cos(turn) * np.cos(up), np.sin(up)], -1)
    rays = np.einsum("aij,abj->abi", poses[:, :3, :3], rays).reshape(-1, 3)
    origin = np.repeat(poses[:, :3, 3], len(lidar.elevations), axis=0)
    hits = cast_rays(mesh, origin, rays)
    hit = np.flatnonzero((hits.t < lidar.max_range) & (hits.t > lidar.nearest))
    hits, rays, origin = hits.select(hit), rays[hit], origin[hit]
    part = mesh.part_of_triangle[hits.triangle]
    back = _returned(mesh, hits, rays, part) * rng.gamma(6, 1 / 6, len(hit))
    needed = 0.03 * (hits.t / lidar.max_range) ** 1.5 * rng.exponential(1, len(hit))
    seen = (back > needed) & (rng.random(len(hit)) > 0.02)
    distance = hits.t + lidar.noise * rng.standard_normal(len(hit))
    world = (origin + rays * distance[:, None])[seen]
    T = np.linalg.inv(T_world_lidar(np.zeros(1))[0])
    points = (world @ T[:3, :3].T + T[:3, 3]).astype(np.float32)
    intensity = (lidar.gain * back[seen]).clip(0, 255).round().astype(np.float32)
    surface = (origin + rays * hits.t[:, None])[seen]
    return Scan(points, intensity, part[seen], surface)


def _returned(mesh: Mesh, hits: Hits, rays, part) -> np.ndarray:
    """Ratio of the light that returns, by material, brightness and angle of incidence.

    It is proportional to the root of the cosine of the angle, because the return of rough surfaces
    falls less than by Lambert's law. Glass transmits most of the light.
    """
    colour = surface_colour(mesh, hits, 0.0)
    material = np.array([REFLECTANCE.get(name, 0.35) for name in mesh.surfaces])
    facing = np.abs(np.einsum("ij,ij->i", mesh.normal[hits.triangle], rays))
    kept = 1 - 0.93 * (colour[:, 3] > 0.35)  # 7 % for glass
    brightness = 0.05 + 0.6 * colour[:, :3].mean(1)
    return material[mesh.surface_of_part[part]] * brightness * np.sqrt(facing) * kept
