"""The embedded default data set: a simulated street, an HDL-32E-like lidar and six cameras.

Nothing is downloaded or stored: points are cast when a keyframe is asked for, images when one looks
at them. A scene is one seeded piece of street; the ego car drives along it, two keyframes a second.
"""

from functools import lru_cache, partial

import numpy as np
import torch

from kit.data.classes import NUSCENES
from kit.data.keyframe import Camera, Keyframe, Sensor
from kit.data.street import sensors
from kit.data.street.world import Road, build

SECONDS = 0.5  # between keyframes
MAP_ORIGIN = (1250.0, 870.0, 0.0)  # of the world frame in the global frame, metres


class Street:
    """A data set that needs no data. Same seed, same bytes; the order of access does not matter.

    Args:
        num_scenes: pieces of street, each with its own layout and light.
        keyframes_per_scene: moments of each, half a second apart.
        image_size: (height, width) of the images in pixels.
        seed: of everything that is drawn at random.

    Raises:
        ValueError: a count or a size below 1, a seed below 0.
    """

    name = "street"
    classes = NUSCENES
    sensor = Sensor("simulated HDL-32E", intensity_mean=17.0, intensity_std=14.3)
    has_labels = True

    def __init__(
        self,
        num_scenes: int = 5,
        keyframes_per_scene: int = 4,
        image_size: tuple[int, int] = (448, 896),
        seed: int = 0,
    ):
        least = {"num_scenes": num_scenes, "keyframes_per_scene": keyframes_per_scene}
        least |= {"height of image_size": image_size[0], "width of image_size": image_size[1]}
        for name, value in least.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}")
        self.seed, self.image_size = seed, tuple(image_size)
        prefix = "street" if seed == 0 else f"street-seed{seed}"
        self._moments = [(s, k) for s in range(num_scenes) for k in range(keyframes_per_scene)]
        self.scenes = [f"{prefix}-s{s:03d}" for s, _ in self._moments]
        self.tokens = [f"{prefix}-s{s:03d}-k{k:02d}" for s, k in self._moments]

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        num_scenes, (height, width) = len(set(self.scenes)), self.image_size
        return (
            f"Street, simulated, seed {self.seed}\n"
            f"  keyframes  {len(self)} in {num_scenes} scenes, six images {height}x{width}\n"
            f"  labelled   {len(self)}, {self.classes.name}"
        )

    def __getitem__(self, index: int) -> Keyframe:
        """Cast the lidar's rays for one keyframe; its images follow when asked for."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"keyframe {index} of a street with {len(self)} keyframes")
        moment = (self.seed, *self._moments[index])
        points, intensity, labels = (torch.tensor(a) for a in _scan(*moment))
        return Keyframe(
            token=self.tokens[index],
            scene=self.scenes[index],
            points=points,
            intensity=intensity,
            cameras={name: self._camera(name, *moment) for name in sensors.CAMERAS},
            sensor=self.sensor,
            classes=self.classes,
            labels=labels,
            timestamp=int(1e6 * SECONDS * moment[2]),
            T_global_lidar=torch.from_numpy(_T_global_lidar(*moment)),
        )

    def _camera(self, name: str, *moment: int) -> Camera:
        T_world_cam = _T_world_ego(*moment, sensors.CAMERAS[name].delay) @ sensors.T_ego_cam(name)
        T_world_lidar = _T_world_ego(*moment) @ sensors.T_EGO_LIDAR
        return Camera(
            name=name,
            T_cam_lidar=torch.from_numpy(np.linalg.inv(T_world_cam) @ T_world_lidar),
            K=torch.from_numpy(sensors.intrinsics(name, self.image_size)),
            image_size=self.image_size,
            source=partial(_image, *moment, name, self.image_size),
        )


def _T_world_ego(seed: int, scene: int, keyframe: int, delay: float = 0.0) -> np.ndarray:
    """Pose of the car `delay` seconds after the lidar's time stamp."""
    road = Road(seed, scene)
    x, y, z, yaw = road.pose(road.speed * (SECONDS * keyframe + delay), road.lane)
    T = np.eye(4)
    T[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    T[:3, 3] = x, y, z
    return T


def _T_global_lidar(seed: int, scene: int, keyframe: int) -> np.ndarray:
    T = _T_world_ego(seed, scene, keyframe) @ sensors.T_EGO_LIDAR
    T[:3, 3] += MAP_ORIGIN
    return T


@lru_cache(maxsize=2)
def _world(seed: int, scene: int, keyframe: int):
    return build(Road(seed, scene), SECONDS * keyframe)


@lru_cache(maxsize=64)
def _scan(seed: int, scene: int, keyframe: int):
    rng = np.random.default_rng((seed, scene, 3, keyframe))
    T_world_lidar = _T_world_ego(seed, scene, keyframe) @ sensors.T_EGO_LIDAR
    return sensors.scan(_world(seed, scene, keyframe), T_world_lidar, rng)


@lru_cache(maxsize=128)
def _image(seed: int, scene: int, keyframe: int, name: str, image_size: tuple[int, int]):
    T = _T_world_ego(seed, scene, keyframe, sensors.CAMERAS[name].delay) @ sensors.T_ego_cam(name)
    K, sun = sensors.intrinsics(name, image_size), Road(seed, scene).sun
    pixels = sensors.render(_world(seed, scene, keyframe), sun, T, K, image_size)
    pixels.flags.writeable = False
    return pixels
