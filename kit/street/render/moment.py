"""One moment of a street, looked at by a car's sensors: points, pictures, and the truth.

`Moment` says which; `observe` renders it to plain tensors, which a cache can keep.
"""

import io
import json
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from kit.data.annotations import Box, PixelAnnotations
from kit.street.assets.shapes import Mesh, Thing, pose_matrix
from kit.street.render import camera, lidar
from kit.street.rigs import Mount, Rig
from kit.street.world.layout import Scene, build
from kit.street.world.sky import Weather

SECONDS = 0.5  # between keyframes
MAP_ORIGIN = (1250.0, 870.0, 0.0)  # of the world frame in the global frame, metres
SKY = 255


@dataclass(frozen=True)
class Moment:
    """Which street, when, and what looks at it.

    Attributes:
        seed, scene, keyframe: numbers from 0.
        rig: the sensors. image_size: (height, width) in pixels, None for the sensors' own.
        weather: of the scene, or None for the one its random numbers draw.
        density: of everything that can move away, 0 to 1.
    """

    seed: int
    scene: int
    keyframe: int
    rig: Rig
    image_size: tuple[int, int] | None
    weather: Weather | None
    density: float

    def layout(self) -> Scene:
        return Scene(self.seed, self.scene, self.weather)

    def size_of(self, mount: Mount) -> tuple[int, int]:
        return self.image_size or mount.size

    def T_world_ego(self, delays: Float[np.ndarray, " A"]) -> Float[np.ndarray, "A 4 4"]:
        """Poses of the car at times relative to the keyframe's time stamp, seconds."""
        road = self.layout()
        x, y, _, yaw = road.pose(road.speed * (SECONDS * self.keyframe + delays), road.lane)
        T = np.tile(np.eye(4), (len(delays), 1, 1))
        T[:, 0, 0], T[:, 0, 1] = np.cos(yaw), -np.sin(yaw)
        T[:, 1, 0], T[:, 1, 1] = np.sin(yaw), np.cos(yaw)
        T[:, 0, 3], T[:, 1, 3] = x, y
        return T

    def T_global_ego(self, delay: float) -> Float[np.ndarray, "4 4"]:
        """Pose of the car on the map, `delay` seconds after the keyframe's time stamp."""
        T = self.T_world_ego(np.array([delay]))[0]
        T[:3, 3] += MAP_ORIGIN
        return T

    def T_world_lidar(self, delays: Float[np.ndarray, " A"]) -> Float[np.ndarray, "A 4 4"]:
        """Poses of the lidar at times relative to the keyframe's time stamp, seconds."""
        return self.T_world_ego(delays) @ self.rig.T_ego_lidar

    def T_world_cam(self, name: str) -> Float[np.ndarray, "4 4"]:
        mount = self.rig.cameras[name]
        return self.T_world_ego(np.array([mount.delay]))[0] @ mount.T_ego_cam

    def T_cam_lidar(self, name: str) -> Float[np.ndarray, "4 4"]:
        """Extrinsics with the car's motion between the two time stamps in them."""
        return np.linalg.inv(self.T_world_cam(name)) @ self.T_world_lidar(np.zeros(1))[0]


def observe(moment: Moment, done: Callable[[], object] = lambda: None) -> dict[str, Tensor]:
    """Render everything: the scan with its labels and objects, all pictures, boxes.

    Pictures and pixel labels are lossless PNG files in uint8 tensors. `done` is called after the
    scan and after each picture.
    """
    mesh = build(moment.layout(), SECONDS * moment.keyframe, moment.density)
    numbers = (moment.seed, moment.scene, 3, moment.keyframe)
    scan = lidar.scan(mesh, moment.rig.lidar, moment.T_world_lidar, np.random.default_rng(numbers))
    tensors = {
        "points": scan.points,
        "intensity": scan.intensity,
        "labels": mesh.label[scan.part].astype(np.uint8),
        "objects": mesh.thing[scan.part].astype(np.int32),
        "boxes": np.frombuffer(json.dumps([_plain(t) for t in mesh.things]).encode(), np.uint8),
    }
    done()
    with ThreadPoolExecutor(3) as pool:  # numpy and Open3D leave Python's lock while they work
        looks = pool.map(lambda name: _look(moment, mesh, scan, name), moment.rig.cameras)
        for name, look in zip(moment.rig.cameras, looks, strict=True):
            tensors |= {f"{key} {name}": value for key, value in look.items()}
            done()
    return {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}


def _look(moment: Moment, mesh: Mesh, scan: lidar.Scan, name: str) -> dict[str, np.ndarray]:
    """One camera's picture, the truth of its pixels, and which points are hidden from it."""
    mount, T = moment.rig.cameras[name], moment.T_world_cam(name)
    size = moment.size_of(mount)
    K, number = mount.intrinsics(size), list(moment.rig.cameras).index(name)
    rng = np.random.default_rng((moment.seed, moment.scene, 4, moment.keyframe, number))
    picture = camera.render(mesh, moment.layout().weather, T, K, size, rng)
    part = picture.part
    labels = np.where(part < 0, SKY, mesh.label[part]).astype(np.uint8)
    objects = np.where(part < 0, -1, mesh.thing[part]) + 1
    return {
        "image": _png(picture.pixels),
        "labels": _png(labels),
        "objects": _png(objects.astype(np.uint16)),
        "hidden": _hidden(mesh, scan, T, K, size),
    }


def _hidden(mesh: Mesh, scan: lidar.Scan, T_world_cam, K, size) -> np.ndarray:
    """Points in the picture that something else stands before."""
    eye = T_world_cam[:3, 3]
    away = scan.surface - eye
    x, y, z = (away @ T_world_cam[:3, :3]).T
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]
        inside = (z > 0) & (u >= 0) & (u < size[1]) & (v >= 0) & (v < size[0])
    # Short of the surface itself, by 5 cm.
    distance = np.linalg.norm(away, axis=1, keepdims=True)
    short = away * (1 - 0.05 / np.maximum(distance, 0.1))
    hidden = np.zeros(len(away), bool)
    hidden[inside] = camera.blocked(mesh, eye, short[inside], 1.0)
    return hidden


def _png(pixels: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", compress_level=1, compress_type=zlib.Z_RLE)
    return np.frombuffer(file.getvalue(), np.uint8)


def decode(png: Tensor) -> np.ndarray:
    """The pixels of a PNG file in a uint8 tensor."""
    with Image.open(io.BytesIO(png.numpy().tobytes())) as image:
        return np.array(image)


def pixel_annotations(tensors: dict[str, Tensor], name: str) -> PixelAnnotations:
    """The truth of one camera's pixels, from what `observe` returned."""
    objects = decode(tensors[f"objects {name}"]).astype(np.int32) - 1
    return PixelAnnotations(decode(tensors[f"labels {name}"]), objects)


def _plain(thing: Thing) -> dict:
    return {**thing._asdict(), "low": thing.low.tolist(), "high": thing.high.tolist()}


def boxes(moment: Moment, tensors: dict[str, Tensor]) -> tuple[Box, ...]:
    """Boxes in the lidar frame, from what `observe` returned."""
    T_lidar_world = np.linalg.inv(moment.T_world_lidar(np.zeros(1))[0])
    return tuple(_box(T_lidar_world, t) for t in json.loads(tensors["boxes"].numpy().tobytes()))


def _box(T_lidar_world, thing: dict) -> Box:
    low, high = np.array(thing["low"]), np.array(thing["high"])
    T = pose_matrix(*thing["pose"])
    T[:3, 3] += T[:3, :3] @ ((low + high) / 2)
    return Box(
        name=thing["name"],
        category=thing["category"],
        label=thing["label"],
        T_lidar_box=torch.from_numpy(T_lidar_world @ T),
        size=tuple((high - low).tolist()),
        track=thing["track"],
        speed=thing["speed"],
    )
