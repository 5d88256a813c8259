"""Sensor rigs: the lidar and the cameras of a car, and their mounting positions.

Sources: the data sheets of the Velodyne HDL-32E and HDL-64E and the Hesai Pandar64; sensor
positions and focal lengths of nuScenes (arXiv:1903.11027), PandaSet (arXiv:2112.12610) and KITTI
(Geiger et al., CVPR 2012), rounded to centimetres and degrees. The reprs of `Mount` and `Rig` are
part of the keys of cached keyframes: renaming a field makes them invalid.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from kit.data.keyframe import Sensor
from kit.street.render.lidar import Lidar


@dataclass(frozen=True)
class Mount:
    """The mounting and the optics of a camera on the car.

    Attributes:
        place: position in the ego frame: x forward, y left, z up from the ground below the middle
            of the rear axle, metres.
        yaw: degrees to the left.
        focal: focal length in pixels, in an image of `size`.
        centre: principal point (column, row), in an image of `size`.
        size: native (height, width) of the sensor, pixels.
        delay: seconds after the lidar's time stamp. The car moves in this time, other objects do
            not.
        pitch: degrees up.

    Raises:
        ValueError: a value is out of range.
    """

    place: tuple[float, float, float]
    yaw: float
    focal: float
    centre: tuple[float, float]
    size: tuple[int, int]
    delay: float = 0.0
    pitch: float = 0.0

    def __post_init__(self):
        for name in ("place", "centre", "size"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not np.isfinite([*self.place, self.yaw, self.focal, *self.centre]).all():
            raise ValueError(f"camera: expected finite numbers, got {self}")
        if not (self.focal > 0 and min(self.size) >= 1):
            raise ValueError(
                f"camera: focal length and size must be positive, got {self.focal} and {self.size}"
            )
        inside = 0 <= self.centre[0] < self.size[1] and 0 <= self.centre[1] < self.size[0]
        if not inside or not -90 < self.pitch < 90 or not abs(self.delay) <= 1:
            raise ValueError(
                "camera: expected a centre inside the image, a pitch within 90 degrees and a "
                f"delay within 1 s, got {self.centre}, {self.pitch} and {self.delay}"
            )
        if self.place[2] <= 0:
            raise ValueError(f"camera: it must be above the ground, got z = {self.place[2]} m")

    def intrinsics(self, image_size: tuple[int, int]) -> Float[np.ndarray, "3 3"]:
        """K for an image resized to (height, width); the aspect ratio may change."""
        scale = np.array([image_size[1] / self.size[1], image_size[0] / self.size[0], 1])
        u, v = self.centre
        return scale[:, None] * np.array([[self.focal, 0, u], [0, self.focal, v], [0, 0, 1.0]])

    @property
    def T_ego_cam(self) -> Float[np.ndarray, "4 4"]:
        """Pose of the camera (x right, y down, z forward) in the ego frame."""
        yaw, pitch = np.radians(self.yaw), np.radians(self.pitch)
        forward = np.array(
            [np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)]
        )
        return camera_pose(self.place, forward)


def camera_pose(position, forward) -> Float[np.ndarray, "4 4"]:
    """Pose of a camera without roll (x right, y down, z forward), from position and direction."""
    forward = np.asarray(forward, float) / np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1.0))
    right /= np.linalg.norm(right)
    T = np.eye(4)
    T[:3] = np.column_stack([right, np.cross(forward, right), forward, position])
    return T


@dataclass(frozen=True)
class Rig:
    """The sensors of a car.

    Attributes:
        name: short name, used in names of data sets.
        lidar: the simulated lidar.
        sensor: its name and intensity statistics.
        lidar_place: position in the ego frame (x forward, y left, z up), metres.
        cameras: by channel.

    Raises:
        ValueError: the lidar is not above the ground.
    """

    name: str
    lidar: Lidar
    sensor: Sensor
    lidar_place: tuple[float, float, float]
    cameras: Mapping[str, Mount] = field(default_factory=dict)

    def __post_init__(self):
        if not self.lidar_place[2] > 0:
            raise ValueError(f"{self.name}: the lidar must be above the ground: {self.lidar_place}")

    def __hash__(self) -> int:
        return hash((self.name, self.lidar, tuple(self.cameras.items())))

    @property
    def T_ego_lidar(self) -> Float[np.ndarray, "4 4"]:
        """Pose of the lidar (x right, y forward, z up) in the ego frame (x forward, y left)."""
        T = np.array([[0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        T[:3, 3] = self.lidar_place
        return T


def _nuscenes(place, yaw, focal, delay) -> Mount:
    """A camera of the nuScenes car."""
    return Mount(place, yaw, focal, (815.0, 491.0), (900, 1600), delay)


def _pandaset(place, yaw, focal) -> Mount:
    """A camera of the PandaSet car."""
    return Mount(place, yaw, focal, (960.0, 500.0), (1080, 1920), -0.05)


RIGS = {
    "nuscenes": Rig(
        "nuscenes",
        Lidar(tuple(np.linspace(-30.67, 10.67, 32).round(2).tolist())),
        Sensor("simulated HDL-32E", intensity_mean=16.9, intensity_std=14.4),
        (0.94, 0.0, 1.84),
        {
            "CAM_FRONT": _nuscenes((1.70, 0.02, 1.51), 0.0, 1266.0, -0.035),
            "CAM_FRONT_RIGHT": _nuscenes((1.55, -0.49, 1.50), -55.0, 1261.0, -0.027),
            "CAM_FRONT_LEFT": _nuscenes((1.52, 0.49, 1.51), 55.0, 1273.0, -0.043),
            "CAM_BACK": _nuscenes((0.03, 0.00, 1.58), 180.0, 809.0, -0.010),
            "CAM_BACK_LEFT": _nuscenes((1.04, 0.48, 1.59), 110.0, 1257.0, -0.002),
            "CAM_BACK_RIGHT": _nuscenes((1.01, -0.48, 1.56), -110.0, 1260.0, -0.020),
        },
    ),
    "pandaset": Rig(
        "pandaset",
        Lidar(
            (15.0, 11.0, 8.0, 5.0, 3.0, *np.linspace(2, -6, 49).round(3).tolist(),
             *np.arange(-7.0, -15.0, -1.0).tolist(), -19.0, -25.0),
            azimuths=1800, hz=10.0, start=180.0, max_range=200.0,
        ),
        Sensor("simulated Pandar64", intensity_mean=17.8, intensity_std=18.0),
        (1.2, 0.0, 1.85),
        {
            "CAM_FRONT": _pandaset((1.25, 0.0, 1.81), 0.0, 1970.0),
            "CAM_FRONT_RIGHT": _pandaset((1.9, -0.62, 1.58), -60.0, 930.0),
            "CAM_FRONT_LEFT": _pandaset((1.9, 0.62, 1.52), 56.0, 930.0),
            "CAM_BACK": _pandaset((0.15, 0.0, 1.67), 180.0, 933.0),
            "CAM_BACK_LEFT": _pandaset((0.95, 0.55, 1.58), 90.0, 930.0),
            "CAM_BACK_RIGHT": _pandaset((0.95, -0.68, 1.55), -90.0, 923.0),
        },
    ),
    "kitti": Rig(
        "kitti",
        Lidar(
            (*np.linspace(2, -8.33, 32).round(2).tolist(),
             *np.linspace(-8.83, -24.33, 32).round(2).tolist()),
            azimuths=2083, hz=10.0, start=180.0, max_range=120.0,
        ),
        Sensor("simulated HDL-64E", intensity_mean=16.8, intensity_std=15.4),
        (0.8, 0.0, 1.73),
        {"CAM_FRONT": Mount((1.07, 0.06, 1.65), 0.0, 721.5, (609.6, 172.9), (375, 1242), -0.05)},
    ),
}  # fmt: skip


def find_rig(rig: "str | Rig") -> Rig:
    """Return the preset of that name, or the rig itself.

    Raises:
        ValueError: there is no preset of that name.
    """
    if isinstance(rig, Rig):
        return rig
    if rig not in RIGS:
        raise ValueError(f"there is no sensor {rig!r}; there are {', '.join(RIGS)}, or give a Rig")
    return RIGS[rig]
