"""Places on surfaces, and what painters draw patterns with: noise, lines, mixtures.

Patterns fade to their mean where they are finer than a pixel, or they would flicker.
"""

from typing import NamedTuple

import numpy as np

LANE, KERBSIDE = 3.5, 2.4  # metres: a lane; the strip beside the kerb where one parks


class Spots(NamedTuple):
    """N places on surfaces.

    x, y, z: (N,) m in the object's frame (ground: along, lateral, height). normal: (3, N) sizes of
    the unit normal's components there. colour: (N, 3) and style: (N, 4) of the part. pixel: (N,)
    metres that a pixel covers there, 0 for a laser.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    normal: np.ndarray
    colour: np.ndarray
    style: np.ndarray
    pixel: np.ndarray

    def at(self, rows) -> "Spots":
        """Some of the places."""
        return Spots(*(np.take(values, rows, -1) for values in self[:4]),
                     *(np.take(values, rows, 0) for values in self[4:]))  # fmt: skip

    def fade(self, size: float) -> np.ndarray:
        """1 where a detail of this size in metres is seen, 0 where a pixel covers it."""
        return np.clip(1.6 - 0.8 * self.pixel / size, 0, 1)


def _noise_table() -> np.ndarray:
    """A (512, 512) tile of noise with detail at every scale, mean 0, deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)) + 1 / 512
    spectrum = np.fft.rfft2(np.random.default_rng(0).normal(size=(512, 512)))
    table = np.fft.irfft2(spectrum / frequency**0.9)
    return ((table - table.mean()) / table.std()).astype(np.float32)


NOISE = _noise_table()


def look_up(u, v) -> np.ndarray:
    """Noise at places u, v of any size, interpolated between whole numbers."""
    i, j = np.floor(u), np.floor(v)
    a, b = (u - i).astype(np.float32), (v - j).astype(np.float32)
    i, j = (i.astype(np.int32) & 511) * 512, j.astype(np.int32) & 511
    below, right = (i + 512) & 0x3FFFF, (j + 1) & 511
    tile = NOISE.ravel()
    top = tile.take(i + j) * (1 - b) + tile.take(i + right) * b
    return top * (1 - a) + (tile.take(below + j) * (1 - b) + tile.take(below + right) * b) * a


def noise(s: Spots, grain: float, seed=0.0) -> np.ndarray:
    """Noise (N, 1) over any surface, `grain` metres fine, fading with distance."""
    flat = s.normal[2] > 0.7
    shift = 997 * (s.style[:, 0] + seed)
    u = np.where(flat, s.x, s.x + s.y) / np.float32(grain) + shift
    v = np.where(flat, s.y, s.z) / np.float32(grain) + np.float32(0.37) * shift
    # 1/f noise: what is finer than a pixel averages out, what is coarser stays.
    return (look_up(u, v) * np.clip(1.2 - s.pixel / (24 * grain), 0.25, 1))[:, None]


def chance(*numbers) -> np.ndarray:
    """A number in [0, 1) that looks random, the same for the same integers."""
    factors = (12.9898, 78.233, 37.719)
    total = sum(n * f for n, f in zip(numbers, factors, strict=False))
    return np.sin(total) * 43758.5 % 1


def mix(share, other, colour) -> np.ndarray:
    """`share` (N,) of `other`, the rest of `colour`; a mask is a share of 0 or 1."""
    share = np.asarray(share, np.float32)[:, None]
    return colour + share * (np.asarray(other, np.float32) - colour)


def put(mask, painter, colour, s: Spots, *columns) -> np.ndarray:
    """`painter(spots, ...)` where the mask (N,) holds, found for those places alone."""
    rows = np.flatnonzero(mask)
    colour[rows] = painter(s.at(rows), *(column[rows] for column in columns))
    return colour


def shiny(colour, gloss) -> np.ndarray:
    return np.column_stack([colour, np.broadcast_to(gloss, len(colour))])


def line(distance, half_width, s: Spots):
    """Share of a pixel that a line covers, `distance` from its middle, metres."""
    return np.clip(0.5 + (half_width - np.abs(distance)) / np.maximum(s.pixel, 0.01), 0, 1)
