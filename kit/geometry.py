"""Rigid transforms between the frames a driving data set names.

`T_target_source` takes source-frame points to the target frame:
`p_target = T_target_source @ p_source`, so neighbours match in a product:
`T_cam_lidar = T_cam_ego @ T_ego_lidar`. Chains are computed in float64, because global coordinates
are kilometres from their origin and float32 would lose millimetres.

Frames (all right-handed, metres):
    lidar   nuScenes: x right, y forward, z up; KITTI: x forward, y left, z up
    ego     x forward, y left, z up, origin on the ground below the rear axle (nuScenes)
    camera  x right, y down, z forward
    global  the map
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from pykdtree.kdtree import KDTree
from torch import Tensor


def rigid_transform(
    rotation: Float[Tensor, "4"] | list, translation: Float[Tensor, "3"] | list
) -> Float[Tensor, "4 4"]:
    """Build a transform from a quaternion and a translation, as nuScenes tables store them.

    Args:
        rotation: quaternion (w, x, y, z); normalised here.
        translation: metres.

    Returns:
        float64 matrix.

    Raises:
        ValueError: the quaternion or the translation is not finite, or the quaternion is zero.

    Source: the unit quaternion's rotation matrix, e.g. Hartley & Zisserman, Multiple View Geometry
        (2nd ed.), A4.3.
    """
    q = torch.as_tensor(rotation, dtype=torch.float64)
    t = torch.as_tensor(translation, dtype=torch.float64)
    if q.shape != (4,) or t.shape != (3,) or not (q.isfinite().all() and t.isfinite().all()):
        raise ValueError(
            f"a rotation (w, x, y, z) and a translation (x, y, z) must be finite, got {rotation} "
            f"and {translation}"
        )
    if q.norm() < 1e-6:
        raise ValueError(f"a rotation quaternion must not be zero, got {rotation}")
    w, x, y, z = (q / q.norm()).tolist()
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3] = torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ],
        dtype=torch.float64,
    )
    T[:3, 3] = t
    return T


def check_rigid(T: Float[Tensor, "4 4"], name: str = "T") -> None:
    """Raise ValueError, with what to try, unless `T` is a rotation and a translation.

    Rotations are accepted to 1e-3, the precision of calibration files with six digits.
    """
    last_row = T[3].tolist()
    if last_row != [0.0, 0.0, 0.0, 1.0]:
        raise ValueError(
            f"{name} must end in the row [0, 0, 0, 1], got {last_row}. Was it transposed?"
        )
    R = T[:3, :3].double().numpy()  # NumPy checks a hundred boxes before torch has begun
    if not np.isfinite(T.numpy()).all() or np.abs(R @ R.T - np.eye(3)).max() > 1e-3:
        raise ValueError(
            f"{name} is not a rigid transform: its upper left 3x3 block must be a rotation "
            f"(R @ R.T = 1), got {R.tolist()}. Is it scaled, singular, or a projection K @ T?"
        )
    if np.linalg.det(R) < 0:
        raise ValueError(f"{name} mirrors space (determinant -1): is one axis flipped?")


def check_intrinsics(K: Float[Tensor, "3 3"], name: str = "K") -> None:
    """Raise ValueError, with what to try, unless `K` is a pinhole camera's matrix in pixels."""
    last_row = K[2].tolist()
    if last_row != [0.0, 0.0, 1.0]:
        raise ValueError(
            f"{name} must end in the row [0, 0, 1], got {last_row}. Was it transposed?"
        )
    positive = K[0, 0] > 0 and K[1, 1] > 0 and K[0, 0] * K[1, 1] > K[0, 1] * K[1, 0]
    if not (K.isfinite().all() and positive):
        raise ValueError(
            f"{name} must be [[fx, skew, cx], [0, fy, cy], [0, 0, 1]] in pixels, finite and with "
            f"positive focal lengths, got {K.tolist()}"
        )


def check_image_size(image_size: tuple[int, int], name: str = "image_size") -> None:
    """Raise ValueError unless `image_size` is a positive (height, width)."""
    if min(image_size) < 1:
        raise ValueError(
            f"{name} must be (height, width) in pixels, both positive, got {image_size}"
        )


def invert_rigid(T: Float[Tensor, "4 4"]) -> Float[Tensor, "4 4"]:
    """Turn T_b_a into T_a_b: rotation transposed, translation -R^T t."""
    inverse = torch.eye(4, dtype=T.dtype)
    inverse[:3, :3] = T[:3, :3].T
    inverse[:3, 3] = -T[:3, :3].T @ T[:3, 3]
    return inverse


def transform_points(
    T_target_source: Float[Tensor, "4 4"], points: Float[Tensor, "N 3"]
) -> Float[Tensor, "N 3"]:
    """Take source-frame points (metres) to the target frame; computed and returned in float64."""
    T = T_target_source.double()
    return points.double() @ T[:3, :3].T + T[:3, 3]


def k_nearest(
    points: Float[Tensor, "N 3"], at: Float[Tensor, "M 3"], k: int
) -> tuple[Float[Tensor, "M k"], Int[Tensor, "M k"]]:
    """Find the nearest points of places, nearest first.

    Args:
        points: metres; at least one.
        at: places, metres.
        k: neighbours of each place; fewer where there are fewer points.

    Returns:
        distance: metres.
        index: rows of `points`.
    """
    k = min(k, len(points))
    tree = KDTree(np.ascontiguousarray(points.numpy()))
    distance, index = tree.query(np.ascontiguousarray(at.numpy()), k=k)
    shape = (len(at), k)
    return (
        torch.from_numpy(distance.reshape(shape)),
        torch.from_numpy(index.astype(np.int64).reshape(shape)),
    )
