"""A turning lidar: its beams, its noise, and what it does not get back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from kit.street.assets.shapes import Mesh
from kit.street.render.camera import paint, trace
from kit.street.surfaces.textures import REFLECTANCE


@dataclass(frozen=True)
class Lidar:
    """A lidar that turns clockwise, seen from above.

    Attributes:
        elevations: degrees of each beam above the horizon.
        azimuths: firings a turn.
        hz: turns a second.
        start: degrees, clockwise from ahead, where a turn begins; it ends at the time stamp.
        max_range: metres; the street itself ends 98 m from the car.
        nearest: metres within which nothing is returned.
        noise: standard deviation along the ray, metres.
        gain: intensity per share of the light that comes back (`_returned`).

    Raises:
        ValueError: a value that cannot be.
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
        """Seconds of each firing relative to the time stamp, -1/hz to 0; the first looks ahead."""
        turn = np.arange(self.azimuths) / self.azimuths
        return ((turn - self.start / 360) % 1 - 1) / self.hz


class Scan(NamedTuple):
    """One turn.

    Attributes:
        points: (N, 3) float32 metres in the lidar frame at the time stamp.
        intensity: (N,) float32.
        part: (N,) row of the mesh's parts.
        surface: (N, 3) float64 places in the world that were hit, without the noise, metres.
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
    """Turn once and bring all points into the frame of the time stamp.

    Every firing starts where the car is at that moment. The intensity follows the material, its
    brightness and the angle; weak returns from afar get lost, and glass mostly answers with none.
    Differs from a real turn: all but the car itself stand still during it.

    Args:
        T_world_lidar: poses of the lidar (x right, y forward, z up) at times relative to the time
            stamp, (A,) seconds.
    """
    poses = T_world_lidar(lidar.times)
    turn = 2 * np.pi * np.arange(lidar.azimuths)[:, None] / lidar.azimuths
    up = np.radians(lidar.elevations) + 0 * turn
    rays = np.stack([np.sin(turn) * np.cos(up), np.cos(turn) * np.cos(up), np.sin(up)], -1)
    rays = np.einsum("aij,abj->abi", poses[:, :3, :3], rays).reshape(-1, 3)
    origin = np.repeat(poses[:, :3, 3], len(lidar.elevations), axis=0)
    hits = trace(mesh, origin, rays)
    hit = np.flatnonzero((hits.t < lidar.max_range) & (hits.t > lidar.nearest))
    hits, rays, origin = hits.at(hit), rays[hit], origin[hit]
    part = mesh.part[hits.triangle]
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


def _returned(mesh: Mesh, hits, rays, part) -> np.ndarray:
    """Share of the light that comes back: by material and brightness; glass lets most through.

    It falls with the root of the cosine of the angle: rough surfaces fall less than Lambert's law.
    """
    looks = paint(mesh, hits, 0.0)
    material = np.array([REFLECTANCE.get(name, 0.35) for name in mesh.surfaces])
    facing = np.abs(np.einsum("ij,ij->i", mesh.normal[hits.triangle], rays))
    clear = 1 - 0.93 * (looks[:, 3] > 0.35)
    return (
        material[mesh.surface[part]] * (0.05 + 0.6 * looks[:, :3].mean(1)) * np.sqrt(facing) * clear
    )
