"""Beams of a lidar: which one measured a point, and scans with fewer of them.

A spinning lidar has lasers at fixed angles, its beams. Data sets rarely tell which one measured a
point, so beams are estimated from the elevations of the points. Before, the correction for the
motion of the car is undone, see `scan_motion.py`.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks
from torch import Generator, Tensor

from kit.student.scan_motion import STILL, elevations, find_motion

BIN = 0.01  # of the histogram of elevations, degrees
SMOOTHING = 3  # standard deviation of the Gaussian, bins
PROMINENCE = 0.4  # of a peak in the logarithm of the histogram; 0.4 is a factor of 1.5
SHARP = 1.4  # likewise, where the motion of the car was undone; a factor of 4


def find_beams(points: Float[Tensor, "N 3"], num_beams: int | None = None) -> Int[Tensor, " N"]:
    """Estimate the beam of each point, counted from the lowest one.

    Beams are peaks of the histogram of elevations; a point belongs to the nearest peak.

    Of the points of a real nuScenes scan 99 % get the number that the file tells, and on the
    simulated street 99 % for each of its lidars (32, 64 and 64 beams) their own. Where no motion is
    found although the car drove, it is far less: 3 to 90 % on scans of PandaSet.

    Args:
        points: lidar frame, metres.
        num_beams: of the lidar; None: all clear peaks count.

    Raises:
        ValueError: fewer than one beam, or no point.

    Source: our own. LiDAR Distillation (arXiv:2203.14956) groups zenith angles by k-means, which
        here puts fewer points into the right beam.
    """
    if len(points) == 0 or (num_beams is not None and num_beams < 1):
        raise ValueError(f"beams need points and a beam, got {len(points)} and {num_beams}")
    motion = find_motion(points)
    angle = elevations(points.double().numpy(), motion)
    low = angle.min() - 5 * SMOOTHING * BIN  # empty bins at both ends, so that each peak has sides
    bins = int(np.ptp(angle) / BIN) + 10 * SMOOTHING
    count, edges = np.histogram(angle, bins, (low, low + bins * BIN))
    smooth = np.log1p(gaussian_filter1d(count.astype(np.float64), SMOOTHING, mode="constant"))
    clear = PROMINENCE if motion == STILL else SHARP
    least = clear if num_beams is None else 1e-3
    peaks, found = find_peaks(smooth, prominence=least)
    if num_beams is not None:
        peaks = np.sort(peaks[np.argsort(-found["prominences"], kind="stable")[:num_beams]])
    if len(peaks) == 0:
        return torch.zeros(len(points), dtype=torch.int64)
    centres = (edges[peaks] + edges[peaks + 1]) / 2
    return torch.from_numpy(np.searchsorted((centres[1:] + centres[:-1]) / 2, angle))


def keep_beams(
    points: Float[Tensor, "N 3"], every: int, num_beams: int | None = None, first: int = 0
) -> Bool[Tensor, " N"]:
    """Mask of the points of every `every`-th beam: of 64 beams, 2 keeps 32 and 4 keeps 16.

    Args:
        points: lidar frame, metres.
        every: at least 1, which keeps all.
        num_beams: of the lidar, as in `find_beams`.
        first: the lowest beam that is kept.

    Raises:
        ValueError: `every` is below 1.
    """
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")
    return find_beams(points, num_beams) % every == first % every


def drop_beams(
    points: Float[Tensor, "N 3"], probability: float, generator: Generator
) -> Bool[Tensor, " N"]:
    """Augmentation: sometimes keep only every second, or every fourth beam.

    Args:
        points: lidar frame, metres.
        probability: that beams are left out; 2 and 4 are then equally likely.
        generator: draws whether, how many, and which.

    Returns:
        Mask of the points that are kept.

    Source: LiDAR Distillation (arXiv:2203.14956), which makes scans of fewer beams for training.
    """
    drawn, kind = torch.rand(2, generator=generator).tolist()
    every = 2 if kind < 0.5 else 4
    first = int(torch.randint(every, (1,), generator=generator))
    if drawn >= probability:
        return torch.ones(len(points), dtype=torch.bool)
    return keep_beams(points, every, first=first)
