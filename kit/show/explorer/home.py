"""The first view of an explorer: from behind and above the sensor, in the direction of driving."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from kit.data.keyframe import Keyframe

NEAR = 3.0  # metres; closer points are of the vehicle itself
MOVED = 0.5  # metres between two keyframes, from which the motion has a direction
ONE_SIDE = 0.5  # mean of the points' directions, above which a lidar looks to one side only
LONGER = 1.2  # ratio of the reach along y to that along x, above which y is the axis of the road


def azimuth_of(direction: Float[np.ndarray, " 3"]) -> float:
    """Degrees from y towards x of a direction in the lidar frame."""
    return float(np.degrees(np.arctan2(direction[0], direction[1])))


def forward_azimuth(keyframes: Sequence[Keyframe]) -> float:
    """The azimuth (degrees, lidar frame) that points forward in the first of these keyframes.

    1. The direction of the front camera, by its name; of other cameras their mean.
    2. The motion between the keyframes, if they have poses.
    3. The points: where nearly all of them are on one side, that side. Otherwise roads are longer
       than they are wide: x, unless the points reach farther along y. Data sets define either x
       (KITTI, Argoverse) or y (nuScenes) as forward.
    """
    first = keyframes[0]
    ahead = {name: camera.T_cam_lidar[2, :3].numpy() for name, camera in first.cameras.items()}
    for found in (of_cameras(ahead), _of_motion(keyframes)):
        if found is not None:
            return found
    return _of_points(first.points.numpy())


def of_cameras(ahead: dict[str, Float[np.ndarray, " 3"]]) -> float | None:
    """The forward azimuth by the looking directions of cameras; None without cameras.

    Cameras all around have no mean direction: then it is that of the first one.
    """
    if not ahead:
        return None
    front = min((name for name in ahead if "front" in name.lower()), key=len, default=None)
    if front is not None:
        return azimuth_of(ahead[front])
    mean = np.mean(list(ahead.values()), axis=0)
    return azimuth_of(mean if np.hypot(*mean[:2]) > ONE_SIDE else next(iter(ahead.values())))


def _of_motion(keyframes: Sequence[Keyframe]) -> float | None:
    """The direction in which the lidar moves after the first keyframe."""
    poses = [keyframe.T_global_lidar for keyframe in keyframes]
    if poses[0] is None:
        return None
    origin = poses[0].numpy()
    for keyframe, pose in zip(keyframes, poses, strict=True):
        if pose is None or keyframe.scene != keyframes[0].scene:
            return None
        moved = origin[:3, :3].T @ (pose.numpy()[:3, 3] - origin[:3, 3])
        if np.hypot(*moved[:2]) > MOVED:
            return azimuth_of(moved if keyframe.timestamp >= keyframes[0].timestamp else -moved)
    return None


def _of_points(points: Float[np.ndarray, "N 3"]) -> float:
    """The forward azimuth by the places of points: a multiple of 90 degrees."""
    far = np.hypot(points[:, 0], points[:, 1])
    places = points[far > NEAR, :2]
    if not len(places):
        return 90.0
    mean = (places / far[far > NEAR, None]).mean(0)
    if np.hypot(*mean) > ONE_SIDE:
        return 90.0 * round(azimuth_of(np.array([*mean, 0.0])) / 90.0)
    across, along = np.percentile(np.abs(places), 90, axis=0)
    return 0.0 if along > LONGER * across else 90.0


def first_view(keyframes: Sequence[Keyframe]) -> dict[str, float | list[float]]:
    """The view of the first keyframe from behind and above, see the trait `view` of `Explorer`."""
    azimuth = forward_azimuth(keyframes)
    points = keyframes[0].points.numpy()
    middle = np.median(points[:, :2], axis=0)
    middle = middle if np.hypot(*middle) > 20 else np.zeros(2)  # a crop, seen from far away
    radius = float(np.percentile(np.hypot(*(points[:, :2] - middle).T), 85))
    distance = float(np.clip(1.4 * radius, 4.0, 46.0))
    turn = np.radians(azimuth)
    ahead = middle + 0.2 * distance * np.array([np.sin(turn), np.cos(turn)])
    target = [round(float(v), 2) for v in (*ahead, np.percentile(points[:, 2], 5))]
    return {
        "target": target,
        "distance": round(distance, 2),
        "azimuth": round(azimuth, 2),
        "elevation": 27.0,
        "fov": 50.0,
    }
