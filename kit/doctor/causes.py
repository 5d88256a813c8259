"""Common mistakes in a calibration, each tested against the images.

Each mistake is undone, and the edges of the scans are compared with the images again. If they fit
clearly better then, the mistake is named.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from kit.doctor.camera_edges import CameraEdges, angles_between, scaled, standard_errors

Matrix = Float[np.ndarray, "4 4"]
CERTAIN = 3.5  # standard errors, above which a mistake is named; 30 mistakes are tested
LEAST_SHIFT = 1.0  # degrees; mistakes that move the edges by less are no explanation
SCALES = (0.25, 0.5, 2 / 3, 0.75, 0.8, 1.25, 4 / 3, 1.5, 2.0, 4.0)  # of K


@dataclass(frozen=True)
class Cause:
    """A mistake that explains why the edges do not fit.

    Attributes:
        name: what is wrong.
        fix: how to correct the calibration.
        certainty: standard errors by which the edges fit better without the mistake.
    """

    name: str
    fix: str
    certainty: float


def _turned(*angles: int) -> Matrix:
    """Rotation about x, y and z in turn, degrees."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix().round()
    return T


def _with(T: Matrix, rotation: np.ndarray | None = None, move: np.ndarray | None = None) -> Matrix:
    """The transform with another rotation or translation."""
    changed = T.copy()
    if rotation is not None:
        changed[:3, :3] = rotation
    if move is not None:
        changed[:3, 3] = move
    return changed


# From camera axes x forward, y left, z up to x right, y down, z forward.
_FORWARD_LEFT_UP = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
_LIDAR_AXES = (
    "the axes of the lidar frame are not those of the extrinsics: they differ by a turn of "
)

# What is wrong, how to fix it, and how to undo it in T_cam_lidar.
MISTAKES: tuple[tuple[str, str, Callable[[Matrix], Matrix]], ...] = (
    (
        "the extrinsics are inverted: T_lidar_cam was given as T_cam_lidar",
        "T_cam_lidar = kit.geometry.invert_rigid(T)",
        np.linalg.inv,
    ),
    (
        "the rotation of the extrinsics is transposed",
        "T[:3, :3] = T[:3, :3].T",
        lambda T: _with(T, rotation=T[:3, :3].T),
    ),
    (
        "the translation is the camera's place in the lidar frame",
        "T[:3, 3] = -T[:3, :3] @ T[:3, 3]",
        lambda T: _with(T, move=-T[:3, :3] @ T[:3, 3]),
    ),
    (
        "the translation has the wrong sign",
        "T[:3, 3] = -T[:3, 3]",
        lambda T: _with(T, move=-T[:3, 3]),
    ),
    (
        "the translation is in millimetres",
        "T[:3, 3] /= 1000",
        lambda T: _with(T, move=T[:3, 3] / 1000),
    ),
    (
        "the translation is in centimetres",
        "T[:3, 3] /= 100",
        lambda T: _with(T, move=T[:3, 3] / 100),
    ),
    (
        "the camera's axes are x forward, y left, z up",
        "T_cam_lidar = [[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]] @ T",
        lambda T: _FORWARD_LEFT_UP @ T,
    ),
    *(
        (f"{_LIDAR_AXES}{words}", f"turn the points, or T = T @ {fix}", lambda T, by=by: T @ by)
        for words, fix, by in (
            (
                "90 degrees about z (x forward, y left was taken for x right, y forward)",
                "[[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]",
                _turned(0, 0, 90),
            ),
            (
                "-90 degrees about z (x right, y forward was taken for x forward, y left)",
                "[[0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]",
                _turned(0, 0, -90),
            ),
            ("180 degrees about z", "diag([-1, -1, 1, 1])", _turned(0, 0, 180)),
            ("180 degrees about x (z points down)", "diag([1, -1, -1, 1])", _turned(180, 0, 0)),
            (
                "90 degrees about x (y points up or down)",
                "[[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]",
                _turned(90, 0, 0),
            ),
            (
                "-90 degrees about x (y points up or down)",
                "[[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]]",
                _turned(-90, 0, 0),
            ),
        )
    ),
    (
        "the image is upside down",
        "turn the images by 180 degrees, and the principal point with them",
        lambda T: _turned(0, 0, 180) @ T,
    ),
)


def find_cause(
    edges: CameraEdges,
    extrinsics: Mapping[str, Matrix],
    name: str,
    image_size: tuple[int, int],
) -> Cause | None:
    """Find the mistake that explains best why edges do not fit.

    Args:
        edges: of all directions (`gather(..., everywhere=True)`).
        extrinsics: T_cam_lidar of every camera; those of another camera are tried, too.
        name: of this camera.
        image_size: (height, width) of its images in pixels.

    Returns:
        None if nothing fits clearly better than what was given.
    """
    T, given, best = extrinsics[name], edges.scores(edges.points), None
    back = np.linalg.inv(T)
    for words, fix, changed in _changed_extrinsics(extrinsics, name):
        points = edges.points @ (changed @ back)[:3, :3].T + (changed @ back)[:3, 3]
        best = _better(best, words, fix, edges, given, points, None)
    for words, fix, K in _changed_intrinsics(edges, image_size):
        best = _better(best, words, fix, edges, given, edges.points, K)
    return best[0] if best else None


def _changed_extrinsics(
    extrinsics: Mapping[str, Matrix], name: str
) -> Iterator[tuple[str, str, Matrix]]:
    T = extrinsics[name]
    for words, fix, undo in MISTAKES:
        yield words, fix, undo(T)
    for other, its in extrinsics.items():
        if other != name:
            words = f"the image or the extrinsics are those of {other}"
            yield words, f"look for cameras that were interchanged: {name} and {other}", its


def _changed_intrinsics(
    edges: CameraEdges, image_size: tuple[int, int]
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Intrinsics as they would be for this image size if they are for another one."""
    K = edges.images.K
    centre = K[:, :2, 2].mean(0) / edges.images.scale.mean()
    height, width = image_size
    by_centre = (width / 2 / centre[0], height / 2 / centre[1])
    for factor in (*SCALES, *(f for f in by_centre if 0.2 < f < 5 and abs(f - 1) > 0.1)):
        size = f"{round(width / factor)} x {round(height / factor)}"
        yield (
            f"K is for images of about {size} pixels (width x height), not {width} x {height}",
            f"K[:2] *= {factor:.4g}",
            scaled(K, factor),
        )


def _better(
    best: tuple[Cause, float] | None,
    words: str,
    fix: str,
    edges: CameraEdges,
    given: np.ndarray,
    points: np.ndarray,
    K: np.ndarray | None,
) -> tuple[Cause, float] | None:
    """The better of the best cause so far, with its score, and another one."""
    scores = edges.scores(points, K)
    certainty = standard_errors(scores, given)
    if K is None:
        seen = edges.points[:, 2] > 1
        shift = np.median(angles_between(edges.points[seen], points[seen])) if seen.any() else 180
        if shift < LEAST_SHIFT:
            return best
    if certainty < CERTAIN or standard_errors(scores, 0 * scores) < CERTAIN:
        return best
    if best is not None and scores.sum() <= best[1]:
        return best
    return Cause(words, fix, certainty), float(scores.sum())
