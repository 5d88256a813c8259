"""Hills of the street: the elevation of the ground, and its normals."""

import numpy as np
from jaxtyping import Float

WAVELENGTHS = ((120, 200), (200, 320), (320, 600))  # metres, the range of each wave
STEEPEST = 0.15  # largest root mean square slope; single places are up to 2.5 times as steep


class Terrain:
    """A sum of plane waves of equal steepness in random directions.

    The shortest wave is long enough for ground with a vertex every 3 m to follow it within 1 cm.
    """

    def __init__(self, rng: np.random.Generator, hills: float = 0.0):
        """Draw the waves.

        Args:
            rng: draws their lengths, directions and phases.
            hills: root mean square slope of the ground, 0 (level) to `STEEPEST`.
        """
        number = 2 * np.pi / np.array([rng.uniform(*each) for each in WAVELENGTHS])  # 1/m
        direction = rng.uniform(0, 2 * np.pi, len(number))
        self._waves = number[:, None] * np.stack([np.cos(direction), np.sin(direction)], 1)
        self._phase = rng.uniform(0, 2 * np.pi, len(number))
        self._height = hills * np.sqrt(2 / len(number)) / number  # a sine's mean square is a half

    def elevation(self, x, y) -> Float[np.ndarray, "*n"] | float:
        """Height of the ground at places x, y in the world, metres; arrays of any shape."""
        return np.sin(self._angle(x, y)) @ self._height

    def normal(self, x, y) -> Float[np.ndarray, "*n 3"]:
        """Unit normals (..., 3) of the ground at places x, y in the world; they point upwards."""
        slope = (np.cos(self._angle(x, y)) * self._height) @ self._waves  # dz/dx, dz/dy
        normal = np.concatenate([-slope, np.ones((*slope.shape[:-1], 1))], -1)
        return normal / np.linalg.norm(normal, axis=-1, keepdims=True)

    def _angle(self, x, y) -> Float[np.ndarray, "*n 3"]:
        return np.stack(np.broadcast_arrays(x, y), -1) @ self._waves.T + self._phase
