"""Coordinate frames, rigid transforms, checks of calibrations, and nearest neighbours.

`T_target_source` takes source-frame points to the target frame:
`p_target = T_target_source @ p_source`. In a product, adjacent frame names are equal:
`T_cam_lidar = T_cam_ego @ T_ego_lidar`. Products are computed in float64, because global
coordinates are kilometres from the origin, where float32 is less precise than a millimetre.

Frames (all right-handed, metres):
    lidar   nuScenes: x right, y forward, z up; KITTI: x forward, y left, z up
    ego     x forward, y left, z up, origin on the ground below the rear axle (nuScenes)
    camera  x right, y down, z forward
    global  the frame of the map
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from pykdtree.kdtree import KDTree
from scipy.spatial.transform import Rotation
from torch import Tensor

MAX_TRANSLATION = 1e8  # metres; UTM northings reach 1e7
FOCAL_LENGTHS = (1.0, 1e6)  # pixels
MAX_SIDE = 65_535  # pixels of an image; the limit of JPEG


def rigid_transform(
    rotation: Float[Tensor, "4"] | list | tuple, translation: Float[Tensor, "3"] | list | tuple
) -> Float[Tensor, "4 4"]:
    """Build a rigid transform from a quaternion and a translation, as in the tables of nuScenes.

    Args:
        rotation: quaternion (w, x, y, z); need not be normalised.
        translation: metres.

    Returns:
        float64 matrix.

    Raises:
        ValueError: the quaternion or the translation is not finite, or the quaternion is zero or
            huge.
    """
    q = torch.as_tensor(rotation, dtype=torch.float64)
    t = torch.as_tensor(translation, dtype=torch.float64)
    if q.shape != (4,) or t.shape != (3,) or not (q.isfinite().all() and t.isfinite().all()):
        raise ValueError(
            f"a rotation (w, x, y, z) and a translation (x, y, z) must be finite, got {rotation} "
            f"and {translation}"
        )
    if not 1e-6 < q.norm() < 1e6:
        raise ValueError(
            f"a rotation quaternion must not be zero, and its length at most 1e6, got {rotation}"
        )
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3] = torch.from_numpy(Rotation.from_quat(q.numpy(), scalar_first=True).as_matrix())
    T[:3, 3] = t
    return T


def check_rigid(T: Float[Tensor, "4 4"], name: str = "T") -> None:
    """Check that `T` is a rotation and a translation.

    Args:
        T: a transform; its rotation may be inexact by 1e-3, as in files with few digits.
        name: used in the error.

    Raises:
        ValueError: it is transposed, scaled, singular, mirrored or not finite, or its translation
            is longer than `MAX_TRANSLATION`.
    """
    last_row = T[3].tolist()
    if last_row != [0.0, 0.0, 0.0, 1.0]:
        raise ValueError(
            f"{name} must end in the row [0, 0, 0, 1], got {last_row}. Was it transposed?"
        )
    matrix = T.double().numpy()  # NumPy is faster than torch on 3x3 matrices
    R, t = matrix[:3, :3], matrix[:3, 3]
    rigid = np.abs(R).max() < 2 and np.abs(R @ R.T - np.eye(3)).max() <= 1e-3  # False for NaN
    if not (rigid and np.isfinite(t).all()):
        raise ValueError(
            f"{name} is not a rigid transform: its upper left 3x3 block must be a rotation "
            f"(R @ R.T = 1), got {R.tolist()} and the translation {t.tolist()}. Is it scaled, "
            "singular, or a projection K @ T?"
        )
    if np.linalg.det(R) < 0:
        raise ValueError(f"{name} mirrors space (determinant -1): is one axis flipped?")
    if np.abs(t).max() > MAX_TRANSLATION:
        raise ValueError(
            f"{name}: expected a translation of at most {MAX_TRANSLATION:.0e} m, got {t.tolist()}"
        )


def check_intrinsics(
    K: Float[Tensor, "3 3"], name: str = "K", image_size: tuple[int, int] | None = None
) -> None:
    """Check that `K` is the matrix of a pinhole camera in pixels.

    Args:
        K: intrinsics.
        name: used in the error.
        image_size: (height, width) in pixels; if given, `K` must fit it.

    Raises:
        ValueError: it is transposed or not finite, a focal length is not within `FOCAL_LENGTHS`, or
            the principal point is outside the image.
    """
    last_row = K[2].tolist()
    if last_row != [0.0, 0.0, 1.0]:
        raise ValueError(
            f"{name} must end in the row [0, 0, 1], got {last_row}. Was it transposed?"
        )
    (fx, skew, cx), (other_skew, fy, cy) = K[:2].tolist()
    positive = fx > 0 and fy > 0 and max(abs(skew), abs(other_skew)) < min(fx, fy)
    if not (K.isfinite().all() and positive and max(abs(cx), abs(cy)) <= FOCAL_LENGTHS[1]):
        raise ValueError(
            f"{name} must be [[fx, skew, cx], [0, fy, cy], [0, 0, 1]] in pixels, finite and with "
            f"positive focal lengths, got {K.tolist()}"
        )
    low, high = FOCAL_LENGTHS
    if not (low <= fx <= high and low <= fy <= high):
        raise ValueError(
            f"{name}: expected focal lengths of {low:.0f} to {high:.0e} pixels, got {fx:.6g} and "
            f"{fy:.6g}. If K is relative to the image size, multiply its first row by the width "
            "and its second row by the height"
        )
    if image_size is not None:
        check_image_size(image_size, f"image size of {name}")
        _check_principal_point((cx, cy), name, image_size)


def _check_principal_point(
    point: tuple[float, float], name: str, image_size: tuple[int, int]
) -> None:
    """Check that the principal point (column, row) is inside the image, and not in its corner."""
    height, width = image_size
    x, y = point[0] / width, point[1] / height
    if not (0 < x < 1 and 0 < y < 1) or min(x, y) > 0.9 or max(x, y) < 0.1:
        raise ValueError(
            f"{name}: the principal point ({point[0]:.6g}, {point[1]:.6g}) is outside the image of "
            f"{width} x {height} pixels (width x height), or in its corner. Is K for another image "
            "size? Multiply its first row by new width / old width, and its second row by new "
            "height / old height"
        )


def check_image_size(image_size: tuple[int, int], name: str = "image_size") -> None:
    """Check that `image_size` is (height, width), each from 1 to `MAX_SIDE` pixels.

    Raises:
        ValueError: it is not.
    """
    if not (min(image_size) >= 1 and max(image_size) <= MAX_SIDE):
        raise ValueError(
            f"{name} must be (height, width) in pixels, each 1 to {MAX_SIDE:,}, got {image_size}"
        )


def invert_rigid(T: Float[Tensor, "4 4"]) -> Float[Tensor, "4 4"]:
    """Invert a rigid transform, T_b_a to T_a_b: rotation R^T, translation -R^T t."""
    inverse = torch.eye(4, dtype=T.dtype)
    inverse[:3, :3] = T[:3, :3].T
    inverse[:3, 3] = -T[:3, :3].T @ T[:3, 3]
    return inverse


def interpolate_rigid(
    T_a: Float[Tensor, "4 4"], T_b: Float[Tensor, "4 4"], ratio: float
) -> Float[Tensor, "4 4"]:
    """Interpolate between two poses: positions linearly, rotations on the shortest arc.

    Args:
        T_a, T_b: float64 poses.
        ratio: 0 gives the first pose and 1 the second one; below 0 or above 1, their motion is
            continued.
    """
    turn = Rotation.from_matrix((T_a[:3, :3].T @ T_b[:3, :3]).numpy()).as_rotvec()
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3] = T_a[:3, :3] @ torch.from_numpy(Rotation.from_rotvec(ratio * turn).as_matrix())
    T[:3, 3] = T_a[:3, 3] + ratio * (T_b[:3, 3] - T_a[:3, 3])
    return T


def transform_points(
    T_target_source: Float[Tensor, "4 4"], points: Float[Tensor, "N 3"]
) -> Float[Tensor, "N 3"]:
    """Transform points (metres) from the source to the target frame, in float64."""
    T = T_target_source.double()
    return points.double() @ T[:3, :3].T + T[:3, 3]


def k_nearest(
    points: Float[Tensor, "N 3"], at: Float[Tensor, "M 3"], k: int
) -> tuple[Float[Tensor, "M k"], Int[Tensor, "M k"]]:
    """Find the k nearest points of each query position, in order of distance.

    Args:
        points: metres; at least one.
        at: query positions, metres, in the dtype of `points`.
        k: number of neighbours. If there are fewer points, all of them are returned.

    Returns:
        distance: metres.
        index: into `points`.
    """
    k = min(k, len(points))
    tree = KDTree(np.ascontiguousarray(points.numpy()))
    distance, index = tree.query(np.ascontiguousarray(at.numpy()), k=k)
    shape = (len(at), k)
    return (
        torch.from_numpy(distance.reshape(shape)),
        torch.from_numpy(index.astype(np.int64).reshape(shape)),
    )
