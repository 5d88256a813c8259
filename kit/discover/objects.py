"""Objects: cluster foreground points, fit boxes, and group objects into classes without names."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from sklearn.cluster import KMeans
from torch import Tensor

from kit.data.annotations import Box
from kit.data.classes import IGNORE
from kit.data.ground import height_above_ground
from kit.discover.settings import DiscoverConfig
from kit.features.spaces import Features

os.environ.setdefault("OPEN3D_DISABLE_WEB_VISUALIZER", "true")

MIN_SIZE = 0.05  # metres; a box has a volume even around one point


@dataclass(frozen=True, eq=False)
class Objects:
    """Objects of one keyframe.

    Attributes:
        object_of_point: (N,) number of the object, -1 for none.
        boxes: one for each object, in the lidar frame, without a class.
    """

    object_of_point: Int[Tensor, " N"]
    boxes: tuple[Box, ...]

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        ratio = (self.object_of_point >= 0).float().mean()
        return f"{len(self)} objects, {ratio:.1%} of the points"


def find_objects(
    points: Float[Tensor, "N 3"],
    foreground: Bool[Tensor, " N"],
    config: DiscoverConfig = DiscoverConfig(),  # noqa: B008
) -> Objects:
    """Group foreground points into objects.

    Points near the ground, points on the vehicle that carries the lidar, and groups as long as
    walls are left out.

    Args:
        points: lidar frame, metres, the lidar at the origin.
        foreground: which of them are foreground.
        config: `object_floor`, `own_radius`, `object_gap`, `object_min_points` and
            `max_object_length` are used, and the settings of the ground.

    Source: DBSCAN (Ester et al., KDD 1996), Open3D's.
    """
    height = height_above_ground(points, config.ground)
    outside = points[:, :2].norm(dim=1) > config.own_radius
    index = (foreground & outside & (height > config.object_floor)).nonzero()[:, 0]
    object_of_point = torch.full((len(points),), -1)
    boxes: list[Box] = []
    for members in _clusters(points[index], config.object_gap, config.object_min_points):
        chosen = index[members]
        box = box_around(points[chosen], f"object {len(boxes)}")
        if max(box.size) <= config.max_object_length:
            object_of_point[chosen] = len(boxes)
            boxes.append(box)
    return Objects(object_of_point, tuple(boxes))


def _clusters(points: Float[Tensor, "M 3"], gap: float, min_points: int) -> list[Tensor]:
    """The rows of each cluster with at least `min_points` points."""
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
    """The upright box of least area around points, its length at least its width.

    Args:
        points: lidar frame, metres; at least one.
        name: of the box.

    Source: OpenCV's rotated rectangle of least area (`cv2.minAreaRect`).
    """
    xyz = points.double().numpy()
    (x, y), (length, width), degrees = cv2.minAreaRect(xyz[:, :2].astype(np.float32))
    if width > length:
        length, width, degrees = width, length, degrees + 90
    low, high = xyz[:, 2].min(), xyz[:, 2].max()
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    T = np.eye(4)
    T[:2, :2] = [[c, -s], [s, c]]
    T[:3, 3] = x, y, (low + high) / 2
    size = np.maximum([length, width, high - low], MIN_SIZE)
    return Box(name, "", IGNORE, torch.from_numpy(T), tuple(size.tolist()), name)


def object_features(objects: Objects, features: Features) -> Float[Tensor, "K D"]:
    """The mean unit feature of each object's points, at unit length; zero if no point has one."""
    of_object = objects.object_of_point[features.index]
    inside = of_object >= 0
    total = torch.zeros(len(objects), features.space.dim)
    total.index_add_(0, of_object[inside], features.unit[inside])
    return F.normalize(total, dim=1)


def unsupervised_classes(
    of_keyframes: Sequence[Float[Tensor, "_ D"]], num_classes: int = 8, seed: int = 0
) -> list[Int[Tensor, " _"]]:
    """Divide the objects of several keyframes into classes, by k-means; classes have no names.

    Args:
        of_keyframes: `object_features` of each keyframe.
        num_classes: at most so many; never more than objects.
        seed: of k-means.

    Returns:
        The class of each object, keyframe by keyframe.

    Raises:
        ValueError: there is no object.
    """
    counts = [len(feat) for feat in of_keyframes]
    feat = torch.cat(list(of_keyframes))
    if len(feat) == 0:
        raise ValueError("there is no object to classify: find_objects found none in any keyframe")
    centred = F.normalize(feat - feat.mean(0), dim=1).numpy()
    means = KMeans(min(num_classes, len(feat)), n_init=4, random_state=seed).fit(centred)
    return list(torch.from_numpy(means.labels_).long().split(counts))
