"""Estimate how far the car drove during a rotation of the lidar, from the points alone.

Scans are usually corrected for this motion. After that, the points of one beam no longer have one
elevation. With the right motion undone they do, so the histogram of elevations is sharpest.
"""

import hashlib
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor

MOST_POINTS = 8000  # that are compared
FAR = 8.0  # metres; elevations of far points change little, so a coarse search finds the right one
LEAST_GAIN = 1.5  # in sharpness; less is no evidence for a motion
STEPS = (0.2, 0.2, 1 / 16, 0.25)  # of the fine search, for each number of `Motion`
KEPT = 6  # best of the coarse search, from which the fine search starts


class Motion(NamedTuple):
    """The motion that a scan was corrected for.

    Attributes:
        x, y: displacement in a whole rotation, lidar frame, metres.
        start: direction in which the rotation begins, clockwise from y, in turns.
        reference: the time at which no point was moved, in turns after the start.
    """

    x: float = 0.0
    y: float = 0.0
    start: float = 0.0
    reference: float = 0.0


STILL = Motion()


def elevations(points: Float[np.ndarray, "N 3"], motion: Motion = STILL) -> Float[np.ndarray, " N"]:
    """Angle of each point above the horizontal plane of the lidar that measured it, degrees."""
    time = (_turn(points) - motion.start) % 1 - motion.reference
    away = np.hypot(points[:, 0] - motion.x * time, points[:, 1] - motion.y * time)
    return np.degrees(np.arctan2(points[:, 2], away))


def find_motion(points: Float[Tensor, "N 3"]) -> Motion:
    """The motion without which the elevations are sharpest; none if it is not much sharper.

    The last few thousand results are kept, because training draws the same scans again.

    Args:
        points: lidar frame, z up, metres. The lidar rotates, clockwise or not.

    Source: our own.
    """
    some = points[:: max(1, len(points) // MOST_POINTS)].double().numpy()
    return _found(_Points(some))


class _Points:
    """Points that are compared by their content; they are dropped after their use."""

    def __init__(self, points: np.ndarray):
        self.points, self._digest = points, hashlib.sha1(points.tobytes()).digest()

    def __hash__(self) -> int:
        return hash(self._digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Points) and self._digest == other._digest


@lru_cache(4096)
def _found(content: _Points) -> Motion:
    points, content.points = content.points, None
    far = points[np.hypot(points[:, 0], points[:, 1]) > FAR]
    if len(far) < 100:
        return STILL
    lengths = [sign * length for length in np.arange(0.4, 2.5, 0.4) for sign in (-1, 1)]
    places = [*((length, 0.0) for length in lengths), *((0.0, length) for length in lengths)]
    coarse = [
        Motion(x, y, start / 8, reference)
        for (x, y), start, reference in product(places, range(8), (0.0, 0.5, 1.0))
    ]
    coarse.sort(key=lambda motion: -_sharpness(far, motion, 0.08))
    best = max(
        (_refined(points, motion) for motion in coarse[:KEPT]),
        key=lambda motion: _sharpness(points, motion, 0.02),
    )
    gain = _sharpness(points, best, 0.02) / _sharpness(points, STILL, 0.02)
    return best if gain > LEAST_GAIN else STILL


def _refined(points: np.ndarray, motion: Motion) -> Motion:
    """Change one number at a time, by smaller and smaller steps, while that is sharper."""
    for width in (0.06, 0.03, 0.02):
        sharpest = _sharpness(points, motion, width)
        steps = np.array(STEPS) * width / 0.06
        for _ in range(5):
            for number, sign in product(range(4), (-1, 1)):
                changed = list(motion)
                changed[number] += sign * steps[number]
                value = _sharpness(points, Motion(*changed), width)
                if value > sharpest:
                    sharpest, motion = value, Motion(*changed)
            steps /= 1.6
    return motion


def _sharpness(points: np.ndarray, motion: Motion, width: float) -> float:
    """Sum of squares of the histogram of elevations with bins of `width` degrees."""
    count = np.bincount(((elevations(points, motion) + 91) / width).astype(np.int64))
    return float((count.astype(np.float64) ** 2).sum())


def _turn(points: np.ndarray) -> np.ndarray:
    """Direction of each point, clockwise from y seen from above, in turns from 0 to 1."""
    return np.arctan2(points[:, 0], points[:, 1]) / (2 * np.pi) % 1
