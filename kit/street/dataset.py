"""The simulated street as a data set; it needs no download.

A scene is one random street, determined by a seed. The ego car drives along it and records two
keyframes per second. A keyframe is rendered when it is first requested, then read from the cache.
"""

import hashlib
import importlib.metadata
import os
import warnings
from collections.abc import Sequence
from functools import cache, lru_cache, partial
from typing import SupportsIndex

import numpy as np
import psutil
import torch
from joblib import Parallel, delayed
from torch import Tensor

from kit.data.annotations import ExactAnnotations, PixelAnnotations
from kit.data.classes import NUSCENES
from kit.data.clocks import Poses
from kit.data.keyframe import Camera, Keyframe
from kit.data.sweeps import Sweep
from kit.store import FeatureCache
from kit.store.machine import num_cores
from kit.store.progress import progress_bar
from kit.store.workers import exit_with_parent
from kit.street.render.moment import (
    KEYFRAME_INTERVAL,
    Moment,
    boxes_of,
    decode_png,
    pixel_annotations,
    render_moment,
    render_sweep,
)
from kit.street.rigs import Rig, find_rig
from kit.street.world.terrain import STEEPEST
from kit.street.world.weather import Weather

# Only Open3D's ray caster is used; its web viewer would print three lines in notebooks.
os.environ.setdefault("OPEN3D_DISABLE_WEB_VISUALIZER", "true")


class Street:
    """A simulated data set. The same seed gives the same bytes, in any order of access.

    This holds on one machine: processors of another maker round the last bits differently.

    Args:
        num_scenes: number of scenes, each with its own layout, district and weather.
        keyframes_per_scene: number of keyframes in each scene, 0.5 s apart.
        image_size: (height, width) of the images in pixels; None for the native sizes.
        seed: of all random numbers.
        sensor: "nuscenes", "pandaset", "kitti", or a `Rig`.
        weather: of all scenes; None: each scene has its own random weather.
        density: of all objects that can move, 0 (none) to 1.
        hills: root mean square slope of the ground, from 0 (level) to 0.15, which is very steep.

    Raises:
        ValueError: a count or a size is below 1, the seed is negative, the density is not within 0
            to 1, the hills are not within 0 to 0.15, or the sensor is unknown.
    """

    classes = NUSCENES
    has_labels = True

    def __init__(
        self,
        num_scenes: int = 12,
        keyframes_per_scene: int = 2,
        image_size: tuple[int, int] | None = (448, 896),
        seed: int = 0,
        sensor: str | Rig = "nuscenes",
        weather: Weather | None = None,
        density: float = 1.0,
        hills: float = 0.0,
    ):
        least = {"num_scenes": num_scenes, "keyframes_per_scene": keyframes_per_scene}
        height, width = image_size or (1, 1)
        least |= {"height of image_size": height, "width of image_size": width}
        for name, value in least.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}")
        if not 0 <= density <= 1:
            raise ValueError(f"density must be 0 to 1, got {density}")
        if not 0 <= hills <= STEEPEST:
            raise ValueError(
                f"hills, the root mean square slope, must be 0 to {STEEPEST}, got {hills}"
            )
        self.rig, self.seed, self.weather = find_rig(sensor), seed, weather
        self.image_size = tuple(image_size) if image_size else None
        self.sensor = self.rig.sensor
        self.name = "street" if self.rig.name == "nuscenes" else f"street-{self.rig.name}"
        prefix = "street" if seed == 0 else f"street-seed{seed}"
        numbers = [(s, k) for s in range(num_scenes) for k in range(keyframes_per_scene)]
        self.scenes = [f"{prefix}-s{s:03d}" for s, _ in numbers]
        self.tokens = [f"{prefix}-s{s:03d}-k{k:02d}" for s, k in numbers]
        rest = (self.rig, self.image_size, weather, density, float(hills))
        self.moments = [Moment(seed, s, k, *rest) for s, k in numbers]

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        num_scenes, num_images, size = len(set(self.scenes)), len(self.rig.cameras), self.image_size
        size = f"{size[0]}x{size[1]}" if size else "of the sensors' own size"
        return (
            f"Street, simulated, seed {self.seed}, {self.rig.name}\n"
            f"  keyframes  {len(self)} in {num_scenes} scenes, {num_images} images {size} each\n"
            f"  labelled   {len(self)}, {self.classes.name}"
        )

    def __getitem__(self, index: int) -> Keyframe:
        """Return a keyframe; renders it, with a progress bar, if it is not in the cache."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"keyframe {index} of a street with {len(self)} keyframes")
        moment = self.moments[index]
        tensors = _rendered(moment)
        T_global_lidar = moment.T_global_ego(0.0) @ self.rig.T_ego_lidar
        return Keyframe(
            token=self.tokens[index],
            scene=self.scenes[index],
            points=tensors["points"].clone(),
            intensity=tensors["intensity"].clone(),
            cameras={name: _camera(moment, name) for name in self.rig.cameras},
            sensor=self.sensor,
            classes=self.classes,
            labels=tensors["labels"].long(),
            timestamp=_timestamp(moment),
            T_global_lidar=torch.from_numpy(T_global_lidar),
            boxes=boxes_of(moment, tensors),
            annotations=ExactAnnotations(
                object_of_point=tensors["objects"].long(),
                hidden={name: tensors[f"hidden {name}"].clone() for name in self.rig.cameras},
                pixels=partial(_pixel_annotations, moment),
            ),
        )

    def sweeps(self, index: SupportsIndex, count: int) -> list[Sweep]:
        """Up to `count` turns of the lidar before keyframe `index`, the latest first.

        They end 1/hz, 2/hz, ... seconds before the keyframe, down to the start of the scene.
        """
        moment = self.moments[index]
        hz, found = self.rig.lidar.hz, []
        for number in range(1, count + 1):
            if number / hz > KEYFRAME_INTERVAL * moment.keyframe + 1e-9:
                break
            tensors = _rendered_sweep(moment, number)
            timestamp = _timestamp(moment, -number / hz)
            T = torch.from_numpy(moment.T_global_ego(-number / hz) @ self.rig.T_ego_lidar)
            found.append(Sweep(tensors["points"], tensors["intensity"], T, timestamp))
        return found

    def poses(self, index: SupportsIndex) -> Poses:
        """Poses of the lidar from 1 s before to 1 s after keyframe `index`, every 50 ms."""
        moment, delays = self.moments[index], np.linspace(-1, 1, 41)
        T = np.stack([moment.T_global_ego(d) @ self.rig.T_ego_lidar for d in delays])
        times = [_timestamp(moment, delay) for delay in delays]
        return Poses(torch.tensor(times), torch.from_numpy(T))

    def content(self) -> str:
        """Hash everything that the keyframes depend on."""
        keys = "\n".join(_key(moment) for moment in self.moments)
        return hashlib.sha256(keys.encode()).hexdigest()

    def prepare(self, keyframes: Sequence[int] | None = None) -> None:
        """Render these keyframes (None: all) into the cache, on all cores."""
        chosen, cache = range(len(self)) if keyframes is None else keyframes, FeatureCache()
        missing = [m for m in (self.moments[i] for i in chosen) if not cache.has(_key(m))]
        if not missing or not cache.is_writable():
            return
        fit_in_memory = int(psutil.virtual_memory().available // 2e9)  # 2 GB for each process
        processes = max(min(num_cores(), len(missing), fit_in_memory, 8), 1)
        jobs = (delayed(_render_to_cache)(moment, cache) for moment in missing)
        workers = Parallel(
            processes,
            return_as="generator",
            initializer=exit_with_parent,
            initargs=(os.getpid(),),
        )
        done = workers(jobs)
        for _ in progress_bar(done, "rendering the street", len(missing), unit="keyframe"):
            pass


def _timestamp(moment: Moment, delay: float = 0.0) -> int:
    """Microseconds since the start of the scene."""
    return round(1e6 * (KEYFRAME_INTERVAL * moment.keyframe + delay))


def _rendered_sweep(moment: Moment, number: int) -> dict[str, Tensor]:
    """Read a rendered sweep from the cache, or render and store it."""
    cache, key = FeatureCache(), f"{_key(moment)} sweep {number}"
    stored = cache.get(key)
    if stored is None:
        stored = render_sweep(moment, number)
        _store(key, stored, cache)
    return stored


def _camera(moment: Moment, name: str) -> Camera:
    """A camera whose image is rendered or read from the cache when it is requested."""
    mount = moment.rig.cameras[name]
    size = moment.size_of(mount)
    return Camera(
        name=name,
        T_cam_lidar=torch.from_numpy(moment.T_cam_lidar(name)),
        K=torch.from_numpy(mount.intrinsics(size)),
        image_size=size,
        source=partial(_image, moment, name),
    )


@lru_cache(maxsize=8)
def _rendered(moment: Moment) -> dict[str, Tensor]:
    """Read a rendered keyframe from the cache, or render and store it."""
    cache = FeatureCache()
    stored = cache.get(_key(moment))
    if stored is None:
        text = f"rendering the street, scene {moment.scene}, keyframe {moment.keyframe}"
        with progress_bar(total=1 + len(moment.rig.cameras), desc=text, unit="view") as bar:
            stored = render_moment(moment, bar.update)
        _store(_key(moment), stored, cache)
    return stored


def _render_to_cache(moment: Moment, cache: FeatureCache) -> None:
    """Render in a worker process; the result is not returned."""
    _store(_key(moment), render_moment(moment), cache)


def _store(key: str, tensors: dict[str, Tensor], cache: FeatureCache) -> None:
    """Write a rendered keyframe to the cache, if the cache is writable."""
    try:
        cache.put(key, tensors)
    except OSError as error:
        warnings.warn(
            f"the cache failed, so the street is rendered at every access: {error}",
            stacklevel=3,
        )


@lru_cache(maxsize=64)
def _image(moment: Moment, name: str) -> np.ndarray:
    """The pixels of a camera, read-only."""
    pixels = decode_png(_rendered(moment)[f"image {name}"])
    pixels.flags.writeable = False
    return pixels


def _pixel_annotations(moment: Moment, name: str) -> PixelAnnotations:
    """The annotations of a camera's pixels."""
    return pixel_annotations(_rendered(moment), name)


def _key(moment: Moment) -> str:
    """Key of a rendered keyframe in the cache."""
    return f"street {_version()} {moment.key}"


# Version of the rendering. Change it whenever the same seed gives other bytes, or caches would
# return the old ones; a test in `tests/street/test_street.py` compares the bytes.
RENDERING = "1e9edffc1e08dbd7"


@cache
def _version() -> str:
    """Version of the rendering: of its code, and of NumPy and Open3D."""
    used = tuple(importlib.metadata.version(name) for name in ("numpy", "open3d"))
    if used == ("1.26.4", "0.20.0"):
        return RENDERING
    return hashlib.sha256(repr((RENDERING, used)).encode()).hexdigest()[:16]
