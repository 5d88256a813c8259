"""Points on surfaces, and building blocks of procedural patterns: noise, lines, mixtures.

Patterns fade to their mean where they are finer than a pixel; this avoids aliasing.
"""

from typing import NamedTuple

import numpy as np


class SurfacePoints(NamedTuple):
    """N points on surfaces.

    Attributes:
        x, y, z: (N,) metres in the object's frame; on the ground along the road, lateral, height.
        normal: (3, N) absolute values of the components of the unit normals.
        colour, style: (N, 3) and (N, 4), of the part.
        pixel: (N,) size of a pixel at the point, metres; 0 for the lidar.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    normal: np.ndarray
    colour: np.ndarray
    style: np.ndarray
    pixel: np.ndarray

    def select(self, index) -> "SurfacePoints":
        """Select points by index."""
        first = (np.take(values, index, -1) for values in self[:4])
        return SurfacePoints(*first, *(np.take(values, index, 0) for values in self[4:]))

    def fade(self, size: float) -> np.ndarray:
        """1 where a detail of this size in metres is visible, 0 where it is below a pixel."""
        return np.clip(1.6 - 0.8 * self.pixel / size, 0, 1)


def _noise_table() -> np.ndarray:
    """A periodic (512, 512) tile of 1/f noise, mean 0, standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)) + 1 / 512
    spectrum = np.fft.rfft2(np.random.default_rng(0).normal(size=(512, 512)))
    table = np.fft.irfft2(spectrum / frequency**0.9)
    return ((table - table.mean()) / table.std()).astype(np.float32)


NOISE = _noise_table()


def noise_at(u, v) -> np.ndarray:
    """Noise at any positions u, v, bilinear between integers, periodic."""
    i, j = np.floor(u), np.floor(v)
    a, b = (u - i).astype(np.float32), (v - j).astype(np.float32)
    i, j = (i.astype(np.int32) & 511) * 512, j.astype(np.int32) & 511
    below, right = (i + 512) & 0x3FFFF, (j + 1) & 511
    tile = NOISE.ravel()
    top = tile.take(i + j) * (1 - b) + tile.take(i + right) * b
    return top * (1 - a) + (tile.take(below + j) * (1 - b) + tile.take(below + right) * b) * a


def noise(s: SurfacePoints, grain: float, seed=0.0) -> np.ndarray:
    """Noise (N, 1) over any surface; `grain` is its finest detail in metres."""
    flat = s.normal[2] > 0.7
    shift = 997 * (s.style[:, 0] + seed)
    u = np.where(flat, s.x, s.x + s.y) / np.float32(grain) + shift
    v = np.where(flat, s.y, s.z) / np.float32(grain) + np.float32(0.37) * shift
    # Noise finer than a pixel averages out; coarser noise stays.
    return (noise_at(u, v) * np.clip(1.2 - s.pixel / (24 * grain), 0.25, 1))[:, None]


def hashed(*numbers) -> np.ndarray:
    """Hash up to three numbers to a pseudo-random number in [0, 1)."""
    factors = (12.9898, 78.233, 37.719)
    total = sum(n * f for n, f in zip(numbers, factors, strict=False))
    return np.sin(total) * 43758.5 % 1


def mix(ratio, other, colour) -> np.ndarray:
    """Blend colours: `ratio` (N,), or a mask, of `other` and the rest of `colour`."""
    ratio = np.asarray(ratio, np.float32)[:, None]
    return colour + ratio * (np.asarray(other, np.float32) - colour)


def paint_where(mask, painter, colour, s: SurfacePoints, *columns) -> np.ndarray:
    """Set `colour` where the mask (N,) holds, to `painter(points, *columns)` of those points."""
    index = np.flatnonzero(mask)
    colour[index] = painter(s.select(index), *(column[index] for column in columns))
    return colour


def with_gloss(colour, gloss) -> np.ndarray:
    """Append the gloss to the colours: (N, 4)."""
    return np.column_stack([colour, np.broadcast_to(gloss, len(colour))])


def line(distance, half_width, s: SurfacePoints):
    """Ratio of each pixel that a line covers, given the distance from its centre in metres."""
    return np.clip(0.5 + (half_width - np.abs(distance)) / np.maximum(s.pixel, 0.01), 0, 1)
