"""From foreground points to objects: clusters in space, boxes without a class, classes without a
name."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from scipy.spatial import ConvexHull, QhullError
from sklearn.cluster import KMeans
from torch import Tensor

from kit.data.annotations import Box
from kit.data.classes import IGNORE
from kit.discover.ground import height_above_ground
from kit.features.spaces import Features

os.environ.setdefault("OPEN3D_DISABLE_WEB_VISUALIZER", "true")

GROUND = 0.25  # metres; lower points would join all objects into one
OWN = 1.5  # metres from the lidar's axis; nearer points are on the vehicle that carries it
LARGEST = 25.0  # metres; longer clusters are walls


@dataclass(frozen=True, eq=False)
class Objects:
    """Objects of one keyframe.

    Attributes:
        object_of_point: (N,) number of the object, -1 for none.
        boxes: one for each object, in the lidar frame; no class.
    """

    object_of_point: Int[Tensor, " N"]
    boxes: tuple[Box, ...]

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        share = (self.object_of_point >= 0).float().mean()
        return f"{len(self)} objects, {share:.1%} of the points"


def find_objects(
    points: Float[Tensor, "N 3"],
    foreground: Bool[Tensor, " N"],
    *,
    gap: float = 0.6,
    min_points: int = 20,
) -> Objects:
    """Group foreground points into objects.

    Args:
        points: lidar frame, metres.
        foreground: which of them. Left out: points lower than 0.25 m above the ground, points
            within 1.5 m of the lidar's axis (the car's roof), groups longer than 25 m (walls).
        gap: points nearer than this belong together, metres.
        min_points: smaller groups are dropped.

    Source: DBSCAN (Ester et al., KDD 1996), Open3D's.
    """
    height = height_above_ground(points)
    around = points[:, :2].norm(dim=1) > OWN
    rows = (foreground & around & (height > GROUND)).nonzero()[:, 0]
    object_of_point = torch.full((len(points),), -1)
    boxes: list[Box] = []
    for members in _clusters(points[rows], gap, min_points):
        chosen = rows[members]
        box = box_around(points[chosen], f"object {len(boxes)}")
        if max(box.size) <= LARGEST:
            object_of_point[chosen] = len(boxes)
            boxes.append(box)
    return Objects(object_of_point, tuple(boxes))


def _clusters(points: Float[Tensor, "M 3"], gap: float, min_points: int) -> list[Tensor]:
    import open3d

    if len(points) == 0:
        return []
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points.double().numpy()))
    cluster = torch.from_numpy(np.array(cloud.cluster_dbscan(gap, min(min_points, 8))))
    order = cluster.argsort(stable=True)
    counts = torch.bincount(cluster[cluster >= 0])
    groups = order[(cluster < 0).sum() :].split(counts.tolist())
    return [group for group in groups if len(group) >= min_points]


def box_around(points: Float[Tensor, "M 3"], name: str) -> Box:
    """The upright box of least area around points, lidar frame.

    Source: a side of the least rectangle lies along a side of the convex hull (Freeman & Shapira,
        1975).
    """
    xyz = points.double().numpy()
    angle = _best_angle(xyz[:, :2])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    flat = xyz[:, :2] @ turn.T  # (M, 2) along the box's x and y
    low, high = flat.min(0), flat.max(0)
    T = np.eye(4)
    T[:2, :2] = turn.T
    T[:2, 3] = turn.T @ ((low + high) / 2)
    T[2, 3] = (xyz[:, 2].min() + xyz[:, 2].max()) / 2
    size = np.maximum([*(high - low), np.ptp(xyz[:, 2])], 0.05)
    return Box(name, "", IGNORE, torch.from_numpy(T), tuple(size.tolist()), name)


def _best_angle(flat: Float[np.ndarray, "M 2"]) -> float:
    try:
        corners = flat[ConvexHull(flat).vertices]
    except (QhullError, ValueError):  # points in a line, or too few
        spread = np.linalg.eigh(np.cov(flat.T))[1][:, -1] if len(flat) > 1 else np.array([1.0, 0])
        return float(np.arctan2(spread[1], spread[0]))
    sides = np.roll(corners, -1, 0) - corners
    angles = np.arctan2(sides[:, 1], sides[:, 0])
    turns = np.stack([np.cos(angles), np.sin(angles)], 1)  # (A, 2)
    along = corners @ turns.T
    across = corners @ np.stack([-turns[:, 1], turns[:, 0]])
    best = (np.ptp(along, axis=0) * np.ptp(across, axis=0)).argmin()
    longer = np.ptp(along, axis=0)[best] >= np.ptp(across, axis=0)[best]
    return float(angles[best] if longer else angles[best] + np.pi / 2)


def object_features(objects: Objects, features: Features) -> Float[Tensor, "K D"]:
    """The mean unit feature of each object's points, of unit length; zero if it has none."""
    of_object = objects.object_of_point[features.index]
    inside = of_object >= 0
    total = torch.zeros(len(objects), features.space.dim)
    total.index_add_(0, of_object[inside], features.unit[inside])
    return F.normalize(total, dim=1)


def unsupervised_classes(
    of_keyframes: Sequence[Float[Tensor, "_ D"]], num_classes: int = 8, seed: int = 0
) -> list[Int[Tensor, " _"]]:
    """Sort the objects of several keyframes into classes that have numbers and no names.

    Args:
        of_keyframes: `object_features` of each keyframe.
        num_classes: at most so many; fewer objects give fewer.

    Returns:
        The class of each object, keyframe by keyframe.

    Raises:
        ValueError: no object at all.
    """
    counts = [len(feat) for feat in of_keyframes]
    feat = torch.cat(list(of_keyframes))
    if len(feat) == 0:
        raise ValueError("there is no object to sort into classes")
    centred = F.normalize(feat - feat.mean(0), dim=1).numpy()
    means = KMeans(min(num_classes, len(feat)), n_init=4, random_state=seed).fit(centred)
    return list(torch.from_numpy(means.labels_).long().split(counts))
