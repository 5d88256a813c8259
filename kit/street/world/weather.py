"""Weather: position and strength of the sun, colour of the sky, visibility, camera exposure."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kit.street.surfaces.patterns import noise_at


@dataclass(frozen=True)
class Weather:
    """Light and atmosphere of a scene.

    Its repr is part of the keys of cached keyframes: renaming a field makes them invalid.

    Attributes:
        sun_azimuth: direction of the sun, degrees from the world's x axis to the left.
        sun_elevation: degrees above the horizon.
        sun: strength of direct light; 0 under an overcast sky, about 1 on a clear day.
        clouds: ratio of the sky covered by clouds, 0 to 1.
        visibility: distance in metres at which haze has replaced 63 % (1 - 1/e) of a colour.
        warmth: colour of the light, from -1 (bluish) to 1 (reddish).
        exposure: brightness of the images; 1 is normal.
        noise: standard deviation of the cameras' noise, as a ratio of white.

    Raises:
        ValueError: a value is out of range.
    """

    sun_azimuth: float = 60.0
    sun_elevation: float = 45.0
    sun: float = 0.9
    clouds: float = 0.3
    visibility: float = 400.0
    warmth: float = 0.0
    exposure: float = 1.0
    noise: float = 0.01

    def __post_init__(self):
        bounds = {
            "sun_elevation": (0, 90), "sun": (0, 5), "clouds": (0, 1), "visibility": (5, np.inf),
            "warmth": (-1, 1), "exposure": (0.05, 20), "noise": (0, 0.5),
        }  # fmt: skip
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"weather: {name} must be {low} to {high}, got {value}")

    @property
    def to_sun(self) -> Float[np.ndarray, "3"]:
        """Unit vector towards the sun in the world frame."""
        turn, up = np.radians([self.sun_azimuth, self.sun_elevation])
        flat = np.cos(up)
        return np.array([flat * np.cos(turn), flat * np.sin(turn), np.sin(up)], np.float32)

    @property
    def sunlight(self) -> Float[np.ndarray, "3"]:
        """Colour and strength of direct light; more red when the sun is low."""
        low = np.exp(-self.sun_elevation / 12)
        tint = np.array([1.05, 1 - 0.25 * low, 0.92 - 0.5 * low]) * self._tint()
        return (2.4 * self.sun * (1 - 0.45 * low) * tint).astype(np.float32)

    @property
    def skylight(self) -> Float[np.ndarray, "3"]:
        """Colour and strength of the light from the whole sky."""
        blue = np.array([0.8, 0.95, 1.2]) * (1 - self.clouds) + self.clouds
        return (0.75 * blue * self._tint()).astype(np.float32)

    def _tint(self) -> np.ndarray:
        """Factor on red, green and blue for the warmth of the light."""
        return 1 + self.warmth * np.array([0.12, 0.0, -0.14])

    def sky(self, rays: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
        """Radiance of the sky along unit rays: a gradient, clouds, and the sun."""
        up = np.clip(rays[:, 2:], 0.0, 1)
        blue = np.array([0.22, 0.42, 0.9], np.float32)
        high = blue * (1 - 0.6 * self.clouds) + 0.3 * self.clouds
        pale = np.array([0.95, 1.02, 1.1], np.float32)
        colour = pale + (high - pale) * np.sqrt(up)
        drift = np.array([37 * self.sun_azimuth, 11 * self.sun_elevation], np.float32)
        plane = rays[:, :2] / (up + 0.12) * 40 + drift
        cover = noise_at(*plane.T)[:, None] * 0.5 + 2.6 * self.clouds - 1.3
        cloud = np.clip(1.6 * cover + 0.5, 0, 1) * np.clip(6 * up, 0, 1)
        grey = 1.25 - 0.45 * self.clouds - 0.12 * np.clip(cover, 0, 2)
        colour = colour + cloud * (grey - colour)
        toward = (rays @ self.to_sun)[:, None]
        near = np.exp(12 * (toward - 1))
        glow = self.sun * (0.5 * near + 2.5 * np.exp(200 * (toward - 1)) + 30 * (toward > 0.9996))
        tint = self._tint().astype(np.float32)
        return ((colour + glow * (1 - 0.7 * cloud)) * tint).astype(np.float32)


def draw_weather(rng: np.random.Generator) -> Weather:
    """Draw the weather of a dry day: clear, hazy, overcast or evening."""
    clouds = float(rng.choice([rng.uniform(0, 0.35), rng.uniform(0.35, 0.7), rng.uniform(0.8, 1)]))
    return Weather(
        sun_azimuth=float(rng.uniform(0, 360)),
        sun_elevation=float(rng.uniform(12, 65)),
        sun=float(rng.uniform(0.7, 1.1) * np.clip(1.4 - 1.35 * clouds, 0.03, 1)),
        clouds=clouds,
        visibility=float(rng.uniform(180, 700)),
        warmth=float(rng.uniform(-0.6, 0.8)),
        exposure=float(np.exp(rng.uniform(-0.9, 0.3))),
        noise=float(rng.uniform(0.004, 0.015)),
    )
