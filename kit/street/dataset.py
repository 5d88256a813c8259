"""The embedded default data set: a simulated city block, a lidar and its cameras.

Nothing is downloaded. A scene is one seeded piece of street; the ego car drives along it, two
keyframes a second. A keyframe is rendered when it is first asked for, and kept in a cache.
"""

import hashlib
import importlib.metadata
import os
import warnings
from collections.abc import Sequence
from functools import cache, lru_cache, partial

import numpy as np
import psutil
import torch
from joblib import Parallel, delayed
from torch import Tensor
from tqdm.auto import tqdm

from kit.data.annotations import ExactAnnotations
from kit.data.classes import NUSCENES
from kit.data.keyframe import Camera, Keyframe
from kit.store import FeatureCache
from kit.store.machine import num_cores
from kit.street.render.moment import SECONDS, Moment, boxes, decode, observe, pixel_annotations
from kit.street.rigs import Rig, find_rig
from kit.street.world.sky import Weather

# Open3D only casts rays here; in a notebook it would greet with three lines about its viewer.
os.environ.setdefault("OPEN3D_DISABLE_WEB_VISUALIZER", "true")


class Street:
    """A data set that needs no data. Same seed, same bytes; the order of access does not matter.

    Args:
        num_scenes: pieces of street, each with its own layout, district and light.
        keyframes_per_scene: moments of each, half a second apart.
        image_size: (height, width) of the images in pixels; None for the sensors' own.
        seed: of everything that is drawn at random.
        sensor: "nuscenes", "pandaset", "kitti", or a `Rig` of your own.
        weather: one for all scenes; None: each scene draws its own.
        density: of everything that can move away, 0 (an empty street) to 1.

    Raises:
        ValueError: a count or a size below 1, a seed below 0, a density outside of 0 to 1, no such
            sensor.
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
        self.rig, self.seed, self.weather = find_rig(sensor), seed, weather
        self.image_size = tuple(image_size) if image_size else None
        self.sensor = self.rig.sensor
        self.name = "street" if self.rig.name == "nuscenes" else f"street-{self.rig.name}"
        prefix = "street" if seed == 0 else f"street-seed{seed}"
        numbers = [(s, k) for s in range(num_scenes) for k in range(keyframes_per_scene)]
        self.scenes = [f"{prefix}-s{s:03d}" for s, _ in numbers]
        self.tokens = [f"{prefix}-s{s:03d}-k{k:02d}" for s, k in numbers]
        rest = (self.rig, self.image_size, weather, density)
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
        """One keyframe; rendered first, with a bar, if the cache does not hold it."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"keyframe {index} of a street with {len(self)} keyframes")
        moment = self.moments[index]
        tensors = _observed(moment)
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
            timestamp=int(1e6 * SECONDS * moment.keyframe),
            T_global_lidar=torch.from_numpy(T_global_lidar),
            boxes=boxes(moment, tensors),
            annotations=ExactAnnotations(
                object_of_point=tensors["objects"].long(),
                hidden={name: tensors[f"hidden {name}"].clone() for name in self.rig.cameras},
                pixels=partial(_pixel_annotations, moment),
            ),
        )

    def content(self) -> str:
        """A hash of everything that the keyframes depend on."""
        keys = "\n".join(_key(moment) for moment in self.moments)
        return hashlib.sha256(keys.encode()).hexdigest()

    def prepare(self, keyframes: Sequence[int] | None = None) -> None:
        """Render all keyframes (or these) that the cache does not hold, on all cores."""
        chosen, cache = range(len(self)) if keyframes is None else keyframes, FeatureCache()
        missing = [m for m in (self.moments[i] for i in chosen) if not cache.has(_key(m))]
        if not missing or not cache.is_writable():
            return
        room = int(psutil.virtual_memory().available // 2e9)
        processes = max(min(num_cores(), len(missing), room, 8), 1)
        done = Parallel(processes, return_as="generator")(delayed(_fill)(m, cache) for m in missing)
        for _ in tqdm(done, "rendering the street", len(missing), unit="keyframe"):
            pass


def _camera(moment: Moment, name: str) -> Camera:
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
def _observed(moment: Moment) -> dict[str, Tensor]:
    """From the cache, else rendered and, where the cache can be written, kept."""
    cache = FeatureCache()
    stored = cache.get(_key(moment))
    if stored is None:
        words = f"rendering the street, scene {moment.scene}, keyframe {moment.keyframe}"
        with tqdm(total=1 + len(moment.rig.cameras), desc=words, unit="view") as bar:
            stored = observe(moment, bar.update)
        _keep(moment, stored, cache)
    return stored


def _fill(moment: Moment, cache: FeatureCache) -> None:
    """Render as a worker process does it: the result goes to the cache, not back."""
    _keep(moment, observe(moment), cache)


def _keep(moment: Moment, tensors: dict[str, Tensor], cache: FeatureCache) -> None:
    try:
        cache.put(_key(moment), tensors)
    except OSError as error:
        warnings.warn(f"the street is rendered anew each time: {error}", stacklevel=3)


@lru_cache(maxsize=64)
def _image(moment: Moment, name: str) -> np.ndarray:
    pixels = decode(_observed(moment)[f"image {name}"])
    pixels.flags.writeable = False
    return pixels


def _pixel_annotations(moment: Moment, name: str):
    return pixel_annotations(_observed(moment), name)


def _key(moment: Moment) -> str:
    return f"street {_version()} {moment!r}"


# Change it whenever the same seed gives other bytes; `tests/street/test_street.py` notices.
RENDERING = "1e9edffc1e08dbd7"


@cache
def _version() -> str:
    """Identifies the pictures: the state of the code that draws them, and of what it computes with."""
    used = tuple(importlib.metadata.version(name) for name in ("numpy", "open3d"))
    if used == ("1.26.4", "0.20.0"):
        return RENDERING
    return hashlib.sha256(repr((RENDERING, used)).encode()).hexdigest()[:16]
