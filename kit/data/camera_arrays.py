"""Cameras from images and calibrations as users have them: one camera, or several by name."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from kit.data.keyframe import Camera
from kit.data.limits import to_tensor
from kit.lens import as_lens
from kit.store.image_reader import read_image_size

ONE = "camera"  # the name of a camera whose image has none


@dataclass(frozen=True, eq=False)
class Pixels:
    """A source of a camera that is in memory; unlike a lambda, it can be sent to a worker."""

    pixels: UInt8[np.ndarray, "H W 3"] = field(repr=False)

    def __call__(self) -> UInt8[np.ndarray, "H W 3"]:
        return self.pixels


def make_cameras(images: Any, K: Any, T_cam_lidar: Any, distortion: Any) -> dict[str, Camera]:
    """Make cameras; see `kit.data.arrays.keyframe`.

    Raises:
        ValueError: a camera lacks its calibration, there is one without an image, or a value is no
            image or calibration; names the camera.
        FileNotFoundError: an image is missing.
    """
    given = {"K": K, "T_cam_lidar": T_cam_lidar, "distortion": distortion}
    if images is None or (isinstance(images, Mapping) and not images):
        extra = [name for name, value in given.items() if value is not None]
        if extra:
            raise ValueError(f"{', '.join(extra)}: given without `images`, which they belong to")
        return {}
    by_name = dict(images) if isinstance(images, Mapping) else {ONE: images}
    K = _by_camera(K, "K", by_name)
    T = _by_camera(T_cam_lidar, "T_cam_lidar", by_name)
    lenses = _by_camera(distortion, "distortion", by_name, optional=True)
    return {
        str(name): _camera(str(name), image, K[name], T[name], lenses.get(name))
        for name, image in by_name.items()
    }


def _by_camera(value: Any, what: str, images: Mapping, optional: bool = False) -> dict[Any, Any]:
    """Values by camera name; a bare value is that of the only camera."""
    is_named = isinstance(value, Mapping) and not (what == "distortion" and "model" in value)
    if value is None or (not is_named and len(images) == 1):
        named = {} if value is None else {next(iter(images)): value}
    elif is_named:
        named = dict(value)
    else:
        raise ValueError(
            f"{what}: {len(images)} images need values by camera name, such as "
            f"{{{next(iter(images))!r}: ...}}, got a {type(value).__name__}"
        )
    unknown = [name for name in named if name not in images]
    lacking = [] if optional else [name for name in images if name not in named]
    if unknown or lacking:
        listed = ", ".join(map(repr, unknown or lacking))
        problem = "there is no image of" if unknown else "expected a value for"
        raise ValueError(
            f"{what}: {problem} the camera {listed}; images are those of "
            f"{', '.join(map(repr, images))}"
        )
    return named


def _camera(name: str, image: Any, K: Any, T: Any, distortion: Any) -> Camera:
    source, size = image_source(image, f"images[{name!r}]")
    try:
        lens = as_lens(distortion.detach().cpu() if isinstance(distortion, Tensor) else distortion)
    except ValueError as error:
        raise ValueError(f"camera {name}: {error}") from error
    K = K.detach().cpu() if isinstance(K, Tensor) else K
    K = to_tensor(K, torch.float64, (3, 3), f"K of {name}")
    return Camera(name, square(T, f"T_cam_lidar of {name}"), K, size, source, lens)


def square(T: Any, name: str) -> Tensor:
    """A rigid transform as (4, 4) float64; (3, 4) gets the last row."""
    T = T.detach().cpu() if isinstance(T, Tensor) else T
    rows = 3 if np.shape(T) == (3, 4) else 4
    matrix = to_tensor(T, torch.float64, (rows, 4), name)
    if rows == 3:
        last = torch.tensor([[0, 0, 0, 1]], dtype=torch.float64)
        matrix = torch.cat([matrix, last])
    return matrix


def image_source(image: Any, name: str) -> tuple[Any, tuple[int, int]]:
    """The source of a camera, and its (height, width).

    Args:
        image: a file, a function that returns pixels, or an array.
        name: used in errors.
    """
    if isinstance(image, str | os.PathLike):
        file = Path(image).expanduser()
        return file, read_image_size(file)
    if callable(image) and not isinstance(image, np.ndarray | Tensor):
        return image, tuple(np.shape(image())[:2])
    pixels = _to_pixels(image, name)
    return Pixels(pixels), pixels.shape[:2]


def _to_pixels(image: Any, name: str) -> UInt8[np.ndarray, "H W 3"]:
    """Pixels as a camera writes them, from any usual array."""
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        if image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[2] not in (1, 3):
            image = image.permute(1, 2, 0)
        image = image.float() if image.dtype == torch.bfloat16 else image
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(
            f"{name}: expected a file, or pixels of the shape (H, W, 3) or (H, W), got a "
            f"{type(image).__name__} of the shape {array.shape}"
        )
    if array.dtype.kind == "f":
        low, high = (float(f(array)) if array.size else 0.0 for f in (np.min, np.max))
        if not (low >= 0 and high <= 1):  # also where a value is NaN
            raise ValueError(
                f"{name}: expected float pixels from 0 to 1, got {low:.6g} to {high:.6g}; give "
                "uint8 for 0 to 255"
            )
        array = np.rint(array * 255)
    elif array.dtype != np.uint8:
        raise ValueError(f"{name}: expected uint8 or float pixels, got {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.uint8).copy()
