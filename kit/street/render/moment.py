"""One keyframe of the street: renders the scan, the images and their exact annotations.

`Moment` identifies the keyframe. `render_moment` renders it to a dictionary of tensors, which the
cache stores; `boxes_of`, `decode_png` and `pixel_annotations` read that dictionary.
"""

import json
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kit.data.annotations import Box, PixelAnnotations
from kit.store.images import decode, png_bytes
from kit.street.assets.shapes import pose_matrix, tilt_rotation
from kit.street.render import camera, lidar
from kit.street.render.rays import is_occluded
from kit.street.rigs import Mount, Rig
from kit.street.world.layout import build
from kit.street.world.mesh import UP, Mesh, PlacedObject
from kit.street.world.scene import Scene
from kit.street.world.weather import Weather

KEYFRAME_INTERVAL = 0.5  # seconds
MAP_ORIGIN = (1250.0, 870.0, 0.0)  # origin of the world frame in the global frame, metres
SKY = 255  # label of pixels without a surface


@dataclass(frozen=True)
class Moment:
    """Everything that a keyframe of the street depends on.

    Its `key` names the cached keyframe: renaming a field makes the cache invalid.

    Attributes:
        seed: of the data set.
        scene, keyframe: numbers from 0.
        rig: the sensors.
        image_size: (height, width) in pixels; None for the native sizes of the sensors.
        weather: of the scene; None: drawn from the seed.
        density: of all objects that can move, 0 to 1.
        hills: root mean square slope of the ground.
    """

    seed: int
    scene: int
    keyframe: int
    rig: Rig
    image_size: tuple[int, int] | None
    weather: Weather | None
    density: float
    hills: float = field(default=0.0, repr=False)

    @property
    def key(self) -> str:
        """Everything in one line; level streets have the keys of before there were hills."""
        return f"{self!r} hills {self.hills}" if self.hills else repr(self)

    def draw_scene(self) -> Scene:
        """Draw the random properties of the scene."""
        return Scene(self.seed, self.scene, self.weather, self.hills)

    def size_of(self, mount: Mount) -> tuple[int, int]:
        """(height, width) of the images of a camera, pixels."""
        return self.image_size or mount.size

    def T_world_ego(self, delays: Float[np.ndarray, " A"]) -> Float[np.ndarray, "A 4 4"]:
        """Poses of the car at times relative to the keyframe's time stamp, seconds."""
        scene = self.draw_scene()
        time = KEYFRAME_INTERVAL * self.keyframe + delays
        x, y, _, yaw = scene.pose(scene.speed * time, scene.lane)
        T = np.tile(np.eye(4), (len(delays), 1, 1))
        T[:, 0, 0], T[:, 0, 1] = np.cos(yaw), -np.sin(yaw)
        T[:, 1, 0], T[:, 1, 1] = np.sin(yaw), np.cos(yaw)
        T[:, :3, :3] = tilt_rotation(scene.terrain.normal(x, y)) @ T[:, :3, :3]
        T[:, 0, 3], T[:, 1, 3], T[:, 2, 3] = x, y, scene.terrain.elevation(x, y)
        return T

    def T_global_ego(self, delay: float) -> Float[np.ndarray, "4 4"]:
        """Pose of the car in the global frame, `delay` seconds after the keyframe's time stamp."""
        T = self.T_world_ego(np.array([delay]))[0]
        T[:3, 3] += MAP_ORIGIN
        return T

    def T_world_lidar(self, delays: Float[np.ndarray, " A"]) -> Float[np.ndarray, "A 4 4"]:
        """Poses of the lidar at times relative to the keyframe's time stamp, seconds."""
        return self.T_world_ego(delays) @ self.rig.T_ego_lidar

    def T_world_cam(self, name: str) -> Float[np.ndarray, "4 4"]:
        """Pose of a camera at the time stamp of its image."""
        mount = self.rig.cameras[name]
        return self.T_world_ego(np.array([mount.delay]))[0] @ mount.T_ego_cam

    def T_cam_lidar(self, name: str) -> Float[np.ndarray, "4 4"]:
        """Extrinsics, including the ego motion between the two time stamps."""
        return np.linalg.inv(self.T_world_cam(name)) @ self.T_world_lidar(np.zeros(1))[0]


def render_moment(moment: Moment, done: Callable[[], object] = lambda: None) -> dict[str, Tensor]:
    """Render the scan and all images of a keyframe with their annotations.

    Args:
        moment: what to render.
        done: called after the scan and after each image, for a progress bar.

    Returns:
        "points", "intensity", "labels", "objects" (index into the boxes, -1 for scenery) and
        "boxes" (JSON in a uint8 tensor); and for each camera "image NAME", "labels NAME",
        "objects NAME" (PNG files in uint8 tensors) and "hidden NAME" (mask over the points).
    """
    mesh = build(moment.draw_scene(), KEYFRAME_INTERVAL * moment.keyframe, moment.density)
    numbers = (moment.seed, moment.scene, 3, moment.keyframe)
    scan = lidar.scan(mesh, moment.rig.lidar, moment.T_world_lidar, np.random.default_rng(numbers))
    tensors = {
        "points": scan.points,
        "intensity": scan.intensity,
        "labels": mesh.label_of_part[scan.part].astype(np.uint8),
        "objects": mesh.object_of_part[scan.part].astype(np.int32),
        "boxes": np.frombuffer(json.dumps(list(map(_fields, mesh.objects))).encode(), np.uint8),
    }
    done()
    with ThreadPoolExecutor(3) as pool:  # NumPy and Open3D release the GIL
        rendered = pool.map(
            lambda name: _render_camera(moment, mesh, scan, name), moment.rig.cameras
        )
        for name, arrays in zip(moment.rig.cameras, rendered, strict=True):
            tensors |= {f"{key} {name}": value for key, value in arrays.items()}
            done()
    return {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}


def render_sweep(moment: Moment, number: int) -> dict[str, Tensor]:
    """Render a turn of the lidar before a keyframe; moving objects are where they were then.

    Args:
        moment: the keyframe.
        number: 1 for the turn before the keyframe's own, 2 for the one before that.

    Returns:
        "points", in the lidar frame at the end of the turn, and "intensity".
    """
    delay = -number / moment.rig.lidar.hz
    mesh = build(moment.draw_scene(), KEYFRAME_INTERVAL * moment.keyframe + delay, moment.density)
    rng = np.random.default_rng((moment.seed, moment.scene, 5, moment.keyframe, number))
    scan = lidar.scan(
        mesh, moment.rig.lidar, lambda delays: moment.T_world_lidar(delays + delay), rng
    )
    arrays = {"points": scan.points, "intensity": scan.intensity}
    return {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}


def _render_camera(
    moment: Moment, mesh: Mesh, scan: lidar.Scan, name: str
) -> dict[str, np.ndarray]:
    """One camera's image, the annotations of its pixels, and the occluded points."""
    mount, T = moment.rig.cameras[name], moment.T_world_cam(name)
    size = moment.size_of(mount)
    K, number = mount.intrinsics(size), list(moment.rig.cameras).index(name)
    rng = np.random.default_rng((moment.seed, moment.scene, 4, moment.keyframe, number))
    image = camera.render_image(mesh, moment.draw_scene().weather, T, K, size, rng)
    part = image.part
    labels = np.where(part < 0, SKY, mesh.label_of_part[part]).astype(np.uint8)
    objects = np.where(part < 0, -1, mesh.object_of_part[part]) + 1
    return {
        "image": _encode_png(image.pixels),
        "labels": _encode_png(labels),
        "objects": _encode_png(objects.astype(np.uint16)),
        "hidden": _hidden(mesh, scan, T, K, size),
    }


def _hidden(mesh: Mesh, scan: lidar.Scan, T_world_cam, K, size) -> np.ndarray:
    """Mask of the points inside the image that are occluded by another surface."""
    position = T_world_cam[:3, 3]
    away = scan.surface - position
    x, y, z = (away @ T_world_cam[:3, :3]).T
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]
        inside = (z > 0) & (u >= 0) & (u < size[1]) & (v >= 0) & (v < size[0])
    # Each ray ends 5 cm before the surface itself.
    distance = np.linalg.norm(away, axis=1, keepdims=True)
    short = away * (1 - 0.05 / np.maximum(distance, 0.1))
    hidden = np.zeros(len(away), bool)
    hidden[inside] = is_occluded(mesh, position, short[inside], 1.0)
    return hidden


def _encode_png(pixels: np.ndarray) -> np.ndarray:
    """A lossless PNG file as a uint8 array."""
    data = png_bytes(pixels, compress_level=1, compress_type=zlib.Z_RLE)
    return np.frombuffer(data, np.uint8)


def decode_png(png: Tensor) -> np.ndarray:
    """Decode the pixels of a PNG file in a uint8 tensor."""
    return decode(png.numpy().tobytes())


def pixel_annotations(tensors: dict[str, Tensor], name: str) -> PixelAnnotations:
    """Read the annotations of one camera's pixels from the result of `render_moment`."""
    objects = decode_png(tensors[f"objects {name}"]).astype(np.int32) - 1
    return PixelAnnotations(decode_png(tensors[f"labels {name}"]), objects)


def _fields(placed: PlacedObject) -> dict:
    """The fields of an object, ready for JSON; upright ones as before there were hills."""
    fields = {**placed._asdict(), "low": placed.low.tolist(), "high": placed.high.tolist()}
    if placed.up == UP:
        del fields["up"]
    return fields


def boxes_of(moment: Moment, tensors: dict[str, Tensor]) -> tuple[Box, ...]:
    """Read the boxes from the result of `render_moment`, in the lidar frame."""
    T_lidar_world = np.linalg.inv(moment.T_world_lidar(np.zeros(1))[0])
    stored = json.loads(tensors["boxes"].numpy().tobytes())
    return tuple(_box(T_lidar_world, fields) for fields in stored)


def _box(T_lidar_world, fields: dict) -> Box:
    """The bounding box of an object, given what `_fields` returned."""
    low, high = np.array(fields["low"]), np.array(fields["high"])
    T = pose_matrix(*fields["pose"], fields.get("up", UP))
    T[:3, 3] += T[:3, :3] @ ((low + high) / 2)
    return Box(
        name=fields["name"],
        category=fields["category"],
        label=fields["label"],
        T_lidar_box=torch.from_numpy(T_lidar_world @ T),
        size=tuple((high - low).tolist()),
        track=fields["track"],
        speed=fields["speed"],
    )
