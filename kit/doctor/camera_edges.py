"""Compare the edges of several scans with the edge maps of one camera's images.

The score of a calibration is the sum of the maps at the pixels of the edges. Edges of one object
are no independent measurements, so they are summed in cells of 5 degrees first. The deviation
between cells gives the standard error of a difference of two scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial.transform import Rotation
from torch import Tensor

from kit.data.keyframe import Camera
from kit.doctor.image_edges import edge_maps
from kit.doctor.scan_edges import ACROSS, ALONG, ScanEdges
from kit.lens import PINHOLE, Lens, Pinhole

CELL = 5.0  # degrees
MAX_EDGES = 16_000  # of a camera; of more, these many are drawn
DISTANCES = (1.5, 65.0)  # metres from the camera
BORDER = 0.06  # of the image, outside of which edges may still move into it
TURNS, MOVES = ("pitch", "yaw", "roll"), ("right", "down", "ahead")


@dataclass(frozen=True, eq=False)
class CameraImages:
    """The edge maps of the images of one camera.

    Attributes:
        maps: (F, 2, h, w) edge maps; smaller images have zeros below and to the right.
        K: (F, 3, 3) intrinsics for the maps.
        scale: (F,) pixels of a map by pixels of its image.
        lens: of the camera.
    """

    maps: Float[np.ndarray, "F 2 h w"] = field(repr=False)
    K: Float[np.ndarray, "F 3 3"]
    scale: Float[np.ndarray, " F"]
    lens: Lens = PINHOLE


@dataclass(frozen=True, eq=False)
class CameraEdges:
    """Edges of scans, to be compared with the images of one camera.

    Attributes:
        points: (E, 3) edges in the camera frame, metres.
        kind: (E,) ALONG or ACROSS.
        keyframe: (E,) index into the images.
        cell: (E,) the cell of each edge, from 0.
        images: of the camera.
        velocity: (E, 3) of standing objects, in the camera frame, m/s; None if it is not known.
    """

    points: Float[np.ndarray, "E 3"]
    kind: Int[np.ndarray, " E"]
    keyframe: Int[np.ndarray, " E"]
    cell: Int[np.ndarray, " E"]
    images: CameraImages
    velocity: Float[np.ndarray, "E 3"] | None = None

    def values(
        self, points: Float[np.ndarray, "E 3"], K: Float[np.ndarray, "F 3 3"] | None = None
    ) -> Float[np.ndarray, " E"]:
        """Look up the maps at the pixels of points of the camera frame; 0 outside the images."""
        pinholes = self._pinholes if K is None else pinholes_of(K, self.keyframe)
        column, row, inside = pixels_of(points, pinholes, self.images.lens)
        height, width = self.images.maps.shape[2:]
        inside &= (column >= 0) & (row >= 0) & (column < width) & (row < height)
        found = np.zeros(len(points))
        column, row = column[inside].astype(np.int64), row[inside].astype(np.int64)
        place = (self.keyframe[inside], self.kind[inside], row, column)
        found[inside] = self.images.maps[place]
        return found

    def scores(
        self, points: Float[np.ndarray, "E 3"], K: Float[np.ndarray, "F 3 3"] | None = None
    ) -> Float[np.ndarray, " B"]:
        """The sum of the maps in each cell, if the edges were at `points` of the camera frame."""
        sums = np.bincount(self.cell, self.values(points, K), self.num_cells)
        return sums.astype(np.float64)  # without edges, bincount returns integers

    @cached_property
    def num_cells(self) -> int:
        """Number of cells with an edge."""
        return int(self.cell.max(initial=-1)) + 1

    @cached_property
    def _pinholes(self) -> Float[np.ndarray, "4 E"]:
        return pinholes_of(self.images.K, self.keyframe)


@dataclass(frozen=True)
class Twist:
    """Motion of the lidar in its own frame: m/s, and radians/s about the axes."""

    linear: tuple[float, float, float]
    angular: tuple[float, float, float]

    @property
    def speed(self) -> float:
        """The speed of the car, metres per second."""
        return float(np.linalg.norm(self.linear))

    def apparent(self, points: Float[np.ndarray, "E 3"]) -> Float[np.ndarray, "E 3"]:
        """Velocity of standing points as the lidar sees them, m/s."""
        return -(np.array(self.linear) + np.cross(np.array(self.angular), points))


def read_images(
    cameras: Sequence[Camera], pixels: Sequence[np.ndarray], scans: Sequence[ScanEdges]
) -> CameraImages:
    """Compute the edge maps of the images of one camera."""
    widths = _edge_widths(scans)
    maps, scale = zip(
        *(edge_maps(p, float(c.K[0, 0]), widths) for p, c in zip(pixels, cameras, strict=True)),
        strict=True,
    )
    height, width = (max(each.shape[axis] for each in maps) for axis in (1, 2))
    stacked = np.zeros((len(maps), 2, height, width), np.float32)
    for number, each in enumerate(maps):
        stacked[number, :, : each.shape[1], : each.shape[2]] = each
    K = np.stack([scaled(c.K.numpy(), s) for c, s in zip(cameras, scale, strict=True)])
    return CameraImages(stacked, K, np.array(scale), cameras[0].lens)


def _edge_widths(scans: Sequence[ScanEdges]) -> tuple[float, float]:
    """How well the places of edges are known, degrees: median half angle, along and across."""
    kind = np.concatenate([scan.kind for scan in scans])
    half = np.concatenate([scan.half_angle for scan in scans])
    along, across = (half[kind == one] for one in (ALONG, ACROSS))
    return tuple(float(np.median(each)) if len(each) else 0.1 for each in (along, across))


def scaled(K: Float[np.ndarray, "*F 3 3"], factor: float) -> Float[np.ndarray, "*F 3 3"]:
    """Intrinsics for images that are `factor` times as wide and high."""
    return np.diag([factor, factor, 1.0]) @ K


def gather(
    scans: Sequence[ScanEdges],
    cameras: Sequence[Camera],
    images: CameraImages,
    twists: Sequence[Twist] | None = None,
    everywhere: bool = False,
) -> CameraEdges:
    """Take the edges of scans to the frame of a camera.

    Args:
        scans: edges of each keyframe.
        cameras: the camera in each keyframe.
        images: of these cameras.
        twists: motion of the lidar in each keyframe; None: not known.
        everywhere: keep edges that are not near the image, too.
    """
    columns = []
    for number, (scan, camera) in enumerate(zip(scans, cameras, strict=True)):
        T = camera.T_cam_lidar.numpy()
        points = moved(scan.points, T)
        kept = np.full(len(points), True) if everywhere else _near_image(points, camera)
        velocity = np.zeros((kept.sum(), 3))
        if twists is not None:
            velocity = twists[number].apparent(scan.points[kept]) @ T[:3, :3].T
        cell = _cells(scan.points[kept]) + number * 10_000
        columns.append((points[kept], scan.kind[kept], np.full(kept.sum(), number), cell, velocity))
    columns = [np.concatenate(column) for column in zip(*columns, strict=True)]
    if len(columns[0]) > MAX_EDGES:
        drawn = np.sort(np.random.default_rng(0).permutation(len(columns[0]))[:MAX_EDGES])
        columns = [column[drawn] for column in columns]
    points, kind, keyframe, cell, velocity = columns
    cell = np.unique(cell, return_inverse=True)[1]
    return CameraEdges(points, kind, keyframe, cell, images, None if twists is None else velocity)


def pinholes_of(
    K: Float[np.ndarray, "F 3 3"], keyframe: Int[np.ndarray, " E"]
) -> Float[np.ndarray, "4 E"]:
    """Focal lengths and principal point of each edge: fx, fy, cx, cy."""
    return np.stack([K[keyframe, 0, 0], K[keyframe, 1, 1], K[keyframe, 0, 2], K[keyframe, 1, 2]])


def pixels_of(
    points: Float[np.ndarray, "E 3"], pinholes: Float[np.ndarray, "4 E"], lens: Lens
) -> tuple[Float[np.ndarray, " E"], Float[np.ndarray, " E"], Bool[np.ndarray, " E"]]:
    """Column and row of points of the camera frame, and whether the lens can see them."""
    if isinstance(lens, Pinhole):
        rays, seen = points, points[:, 2] > 1
    else:
        rays, seen = (each.numpy() for each in lens.distort(torch.from_numpy(points)))
        seen = seen & (np.linalg.norm(points, axis=1) > 1)
    (fx, fy, cx, cy), (x, y, z) = pinholes, rays.T
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        column = fx * x / z + cx
        row = fy * y / z + cy
    return column, row, seen & np.isfinite(column) & np.isfinite(row)


def _near_image(points: Float[np.ndarray, "E 3"], camera: Camera) -> Bool[np.ndarray, " E"]:
    """Which points of the camera frame are in the image, or close to its border."""
    height, width = camera.image_size
    pinholes = pinholes_of(camera.K.numpy()[None], np.zeros(len(points), np.int64))
    column, row, seen = pixels_of(points, pinholes, camera.lens)
    x, y, distance = column / width, row / height, np.linalg.norm(points, axis=1)
    inside = (x > -BORDER) & (x < 1 + BORDER) & (y > -BORDER) & (y < 1 + BORDER)
    return seen & inside & (distance > DISTANCES[0]) & (distance < DISTANCES[1])


def _cells(points: Float[np.ndarray, "E 3"]) -> Int[np.ndarray, " E"]:
    """The cell of 5 x 5 degrees in which the lidar sees each point."""
    azimuth = np.degrees(np.arctan2(points[:, 1], points[:, 0])) // CELL
    away = np.linalg.norm(points, axis=1)
    elevation = np.degrees(np.arcsin(points[:, 2] / np.maximum(away, 1e-6))) // CELL
    return (azimuth.astype(np.int64) + 50) * 50 + elevation.astype(np.int64) + 20


def motion(**amounts: float | int) -> Float[Tensor, "4 4"]:
    """Make the rigid transform that turns and moves points of the camera frame.

    `T_cam_lidar = motion(yaw=1.0) @ T_cam_lidar` corrects extrinsics.

    Args:
        amounts: `pitch`, `yaw`, `roll`: degrees about the camera's x (right), y (down) and z axis
            (ahead); `right`, `down`, `ahead`: metres along these axes.

    Returns:
        float64 matrix.
    """
    unknown = set(amounts) - {*TURNS, *MOVES}
    if unknown:
        raise ValueError(f"a motion has {', '.join((*TURNS, *MOVES))}, got {sorted(unknown)}")
    T = np.eye(4)
    turn = np.radians([amounts.get(name, 0.0) for name in TURNS])
    T[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    T[:3, 3] = [amounts.get(name, 0.0) for name in MOVES]
    return torch.from_numpy(T)


def moved(
    points: Float[np.ndarray, "E 3"], T: Float[np.ndarray, "4 4"]
) -> Float[np.ndarray, "E 3"]:
    """Apply a rigid transform."""
    return points @ T[:3, :3].T + T[:3, 3]


def angles_between(
    points: Float[np.ndarray, "E 3"], others: Float[np.ndarray, "E 3"]
) -> Float[np.ndarray, " E"]:
    """Degrees between the directions of two points each."""
    lengths = np.linalg.norm(points, axis=1) * np.linalg.norm(others, axis=1)
    sine = np.linalg.norm(np.cross(points, others), axis=1) / np.maximum(lengths, 1e-9)
    angles = np.degrees(np.arcsin(np.clip(sine, 0, 1)))
    return np.where((points * others).sum(1) < 0, 180 - angles, angles)


def standard_errors(better: Float[np.ndarray, " B"], worse: Float[np.ndarray, " B"]) -> float:
    """By how many standard errors the sum of one score over cells exceeds that of another."""
    gain = better - worse
    return float(gain.sum() / max(np.sqrt((gain**2).sum()), 1e-9))
