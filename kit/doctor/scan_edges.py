"""Edges of a lidar scan: where range or intensity jumps between two neighbouring beams.

An edge of the scan should lie on an edge of the image. The beams hit on both sides of it, so its
place is known to half the angle between two beams: the edge is put half-way between the directions
of the two beams. At a jump in range it gets the range of the nearer beam, because the edge belongs
to the nearer object. On a surface that continues, for example on the road, only a jump in intensity
counts. Neighbours are searched by direction, so no ring numbers and no order of the points are
needed.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from kit import geometry
from kit.data.keyframe import Keyframe

ALONG, ACROSS = 0, 1  # neighbours in the same scan line, and in the next line above or below
RANGES = (1.5, 70.0)  # metres; nearer points are on the own car, farther ones are sparse
LARGEST_ANGLE = (1.2, 2.2)  # degrees between two neighbours, along and across
JUMP = 0.08  # ratio of range
LEAST_JUMP = 0.3  # metres
INTENSITY_JUMP = 0.2  # of the rank of intensity, 0 to 1
NEIGHBOURS = 10  # that are looked at for each point
STRETCH = 8.0  # of the other direction, so that the nearest neighbours are along or across


@dataclass(frozen=True, eq=False)
class ScanEdges:
    """Edges of one scan.

    Attributes:
        points: (E, 3) lidar frame, metres.
        kind: (E,) ALONG or ACROSS. An edge between neighbours along a scan line is vertical in the
            image; one across is horizontal.
        half_angle: (E,) degrees, half the angle between the two beams.
    """

    points: Float[np.ndarray, "E 3"]
    kind: Int[np.ndarray, " E"]
    half_angle: Float[np.ndarray, " E"]


@dataclass(frozen=True, eq=False)
class _Beams:
    """The points of a scan by direction: range (m), inverse range, angles (rad), intensity rank."""

    range: np.ndarray
    direction: np.ndarray
    azimuth: np.ndarray
    elevation: np.ndarray
    intensity: np.ndarray


@dataclass(frozen=True, eq=False)
class _Next:
    """The next beam on one side of each beam: its index, the angle to it, and whether it exists."""

    index: np.ndarray
    angle: np.ndarray
    exists: np.ndarray


def find_edges(keyframe: Keyframe) -> ScanEdges:
    """Find the edges of a keyframe's scan."""
    beams = _beams(keyframe)
    found = []
    if len(beams.range) > NEIGHBOURS:
        for kind in (ALONG, ACROSS):
            after, before = _neighbours(beams, kind)
            for here, there in ((after, before), (before, after)):
                jumps = _range_jumps(beams, here, there)
                found.append(_edges(beams, here, jumps, kind, beams.range[jumps]))
            jumps = _intensity_jumps(beams, after, before)
            middle = (beams.range[jumps] + beams.range[after.index[jumps]]) / 2
            found.append(_edges(beams, after, jumps, kind, middle))
    if not found:
        return ScanEdges(np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros(0))
    return ScanEdges(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _beams(keyframe: Keyframe) -> _Beams:
    """The points within `RANGES`, by direction."""
    points = keyframe.points.double().numpy()
    distance = np.linalg.norm(points, axis=1)
    chosen = (distance > RANGES[0]) & (distance < RANGES[1])
    points, distance = points[chosen], distance[chosen]
    intensity = keyframe.intensity.numpy()[chosen]
    order = np.argsort(np.argsort(intensity, kind="stable"), kind="stable")
    # Equal intensities get equal ranks: the middle of their places.
    _, inverse = np.unique(intensity, return_inverse=True)
    rank = (np.bincount(inverse, order) / np.maximum(np.bincount(inverse), 1))[inverse]
    return _Beams(
        range=distance,
        direction=points / distance[:, None],
        azimuth=np.arctan2(points[:, 1], points[:, 0]),
        elevation=np.arcsin(np.clip(points[:, 2] / distance, -1, 1)),
        intensity=rank / max(len(rank), 1),
    )


def _neighbours(beams: _Beams, kind: int) -> tuple[_Next, _Next]:
    """The next beam of each beam on both sides: left and right, or above and below."""
    width = np.cos(beams.elevation)
    flat = np.stack([beams.azimuth * width, beams.elevation, 0 * width], axis=1)
    flat[:, 1 if kind == ALONG else 0] *= STRETCH
    at = torch.from_numpy(flat.astype(np.float32))
    index = geometry.k_nearest(at, at, NEIGHBOURS)[1].numpy()
    aside = (beams.azimuth[index] - beams.azimuth[:, None]) * width[:, None]
    up = beams.elevation[index] - beams.elevation[:, None]
    step, other = (aside, up) if kind == ALONG else (up, aside)
    tolerance = np.maximum((0.35, 0.5)[kind] * np.abs(step), np.radians(0.06))
    straight = (np.abs(other) < tolerance) & (np.abs(step) < np.radians(LARGEST_ANGLE[kind]))
    return tuple(_nearest(index, sign * step, straight) for sign in (1, -1))


def _nearest(index: np.ndarray, step: np.ndarray, allowed: np.ndarray) -> _Next:
    """Of each row, the allowed neighbour with the smallest positive step."""
    steps = np.where(allowed & (step > 1e-4), step, np.inf)
    best = steps.argmin(1)[:, None]
    angle = np.take_along_axis(steps, best, 1)[:, 0]
    return _Next(np.take_along_axis(index, best, 1)[:, 0], angle, np.isfinite(angle))


def _range_jumps(beams: _Beams, here: _Next, there: _Next) -> Bool[np.ndarray, " N"]:
    """Whether a beam is the near side of a jump in range towards the neighbour `here`.

    Inverse range is linear along a plane. A road seen at a grazing angle has large steps in range
    and no edge, so the neighbour must be farther than the plane through the beam and its other
    neighbour `there` would be.
    """
    distance, inverse = beams.range, 1 / beams.range
    other = distance[there.index]
    both = here.exists & there.exists
    ratio = np.zeros(len(distance))
    ratio[both] = np.minimum(here.angle[both] / there.angle[both], 2)
    expected = np.clip(inverse + (inverse - inverse[there.index]) * ratio, 1e-3, inverse)
    far = inverse[here.index] < expected * (1 - JUMP)
    far &= distance[here.index] - 1 / expected > LEAST_JUMP
    supported = there.exists & (np.abs(other - distance) < 0.1 * distance + 0.2)
    return here.exists & far & supported


def _intensity_jumps(beams: _Beams, after: _Next, before: _Next) -> Bool[np.ndarray, " N"]:
    """Whether intensity jumps to the next beam, on one surface and steadily on both sides."""
    distance, rank = beams.range, beams.intensity
    flat = 0.05 * distance + 0.1
    smooth = np.abs(distance[after.index] - distance) < flat
    smooth &= np.abs(distance[before.index] - distance) < flat
    second, exists = after.index[after.index], after.exists[after.index]
    jump = np.abs(rank[after.index] - rank)
    steady = np.abs(rank[before.index] - rank) < 0.35 * jump
    steady &= np.abs(rank[second] - rank[after.index]) < 0.35 * jump
    known = after.exists & before.exists & exists
    return known & smooth & steady & (jump > INTENSITY_JUMP)


def _edges(
    beams: _Beams, side: _Next, jumps: np.ndarray, kind: int, distance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, kinds and half angles of edges between the beams `jumps` and their neighbours."""
    middle = beams.direction[jumps] + beams.direction[side.index[jumps]]
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    half = np.degrees(side.angle[jumps]) / 2
    return middle * distance[:, None], np.full(len(half), kind), half
