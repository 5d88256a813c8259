"""Keyframes from arrays: NumPy or torch, with any number of cameras.

keyframe = kit.keyframe(points, intensity, images={"front": pixels}, K=K, T_cam_lidar=T)
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, SupportsIndex

import numpy as np
import torch
from torch import Tensor

from kit.data.camera_arrays import make_cameras, square
from kit.data.class_maps import numbered_classes
from kit.data.classes import IGNORE, NUSCENES, ClassMap
from kit.data.intensity import measured_sensor
from kit.data.keyframe import Keyframe, Sensor, position_of
from kit.data.limits import to_tensor
from kit.data.numbered import numbered
from kit.data.scans import valid_scan

Classes = ClassMap | Sequence[str] | Mapping[int, str | None] | None
_HEAD = 4096  # points of a keyframe that identify it


def keyframe(
    points: Any,
    intensity: Any = None,
    images: Any = None,
    K: Any = None,
    T_cam_lidar: Any = None,
    distortion: Any = None,
    labels: Any = None,
    *,
    classes: Classes = None,
    sensor: str | Sensor = "lidar",
    token: str = "keyframe",
    scene: str = "recording",
    timestamp: int = 0,
    T_global_lidar: Any = None,
    time: Any = None,
) -> Keyframe:
    """Make a keyframe from arrays.

    All of them may be NumPy arrays, tensors or lists, of any number type. Rows that are not finite
    or out of range are dropped and counted (`keyframe.num_dropped`), with their labels.

    Args:
        points: (N, 3) lidar frame, metres; or (N, 4) with the intensity as the last column.
        intensity: (N,) in the sensor's own unit; None: the fourth column, or 0.
        images: one image, or images by camera name; None: no camera. An image is a file, an array
            (H, W, 3) or (H, W) of uint8 or of floats from 0 to 1, or such a tensor, which may be
            (3, H, W). Colours are red, green, blue.
        K: (3, 3) intrinsics in pixels of these images; by camera name if the images are.
        T_cam_lidar: (4, 4) or (3, 4) extrinsics, lidar frame to camera frame (x right, y down, z
            forward); by camera name if the images are.
        distortion: see `kit.lens.as_lens`: 5 or 8 numbers of OpenCV, or {"model": "fisheye",
            "coefficients": [...]}; by camera name if the images are. None: images without
            distortion.
        labels: (N,) class indices, `IGNORE` (255) for points without a class; or raw ids of
            `classes`.
        classes: names of the classes; or names by raw id, None for ids that are not scored; or a
            `ClassMap` of class indices. None: "class 0", "class 1", ...
        sensor: name of the lidar, whose intensities are measured on this scan; or a `Sensor`.
        token: unique name of the keyframe.
        scene: name of the recording it belongs to.
        timestamp: microseconds.
        T_global_lidar: (4, 4) pose, or None.
        time: (N,) seconds of each point relative to `timestamp`, or None.

    Raises:
        ValueError: something has another shape or type, or is out of range; the message names it.
        FileNotFoundError: an image is missing.
    """
    values, intensity = _points_and_intensity(points, intensity)
    scan = valid_scan(values, intensity, "points")
    labels, class_map = _labels(labels, len(values), classes)
    if time is not None:
        time = _column(time, torch.float32, len(values), "time")
    if isinstance(sensor, str):
        sensor = measured_sensor({token: scan.intensity}, sensor)
    return Keyframe(
        token,
        scene,
        scan.points,
        scan.intensity,
        make_cameras(images, K, T_cam_lidar, distortion),
        sensor,
        class_map,
        labels=None if labels is None else labels[scan.row_in_file],
        timestamp=timestamp,
        T_global_lidar=None if T_global_lidar is None else square(T_global_lidar, "T_global_lidar"),
        row_in_file=scan.row_in_file,
        num_rows_in_file=scan.num_rows,
        time=None if time is None else time[scan.row_in_file],
    )


def _cpu(values: Any) -> Any:
    """A tensor without gradient in main memory; other values as they are."""
    return values.detach().cpu() if isinstance(values, Tensor) else values


def _points_and_intensity(points: Any, intensity: Any) -> tuple[Tensor, Tensor]:
    """(N, 3) and (N,) float32; rows that are not valid are still there."""
    points = _cpu(points)
    shape = tuple(np.shape(points)) if not isinstance(points, Tensor) else tuple(points.shape)
    if len(shape) != 2 or shape[1] not in (3, 4):
        turned = len(shape) == 2 and shape[0] in (3, 4)
        hint = ". Is it transposed?" if turned else ""
        if len(shape) == 2 and shape[1] > 4 and not turned:
            hint = ". Give points[:, :3], and the column with the intensity as `intensity`"
        raise ValueError(f"points: expected (N, 3) or (N, 4), got the shape {shape}{hint}")
    values = to_tensor(points, torch.float32, (None, shape[1]), "points")
    if len(values) == 0:
        raise ValueError("points: expected at least one row, got none")
    if intensity is None:
        found = values[:, 3] if shape[1] == 4 else torch.zeros(len(values))
    elif shape[1] == 4:
        raise ValueError(
            "points: (N, 4) holds the intensity as its last column, and `intensity` is given, too. "
            "Give points[:, :3]"
        )
    else:
        found = _column(intensity, torch.float32, len(values), "intensity")
    return values[:, :3], found


def _column(values: Any, dtype: torch.dtype, count: int, name: str) -> Tensor:
    """(N,) values; (N, 1) is accepted."""
    values = _cpu(values)
    array = values if isinstance(values, Tensor) else np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if tuple(array.shape) != (count,):
        raise ValueError(
            f"{name}: expected one value for each of the {count} points, got the shape "
            f"{tuple(array.shape)}"
        )
    return to_tensor(array, dtype, (None,), name)


def _labels(labels: Any, count: int, classes: Classes) -> tuple[Tensor | None, ClassMap]:
    """Class indices of all rows, None without labels; and the class map."""
    if labels is None:
        return None, NUSCENES if classes is None else _class_map(classes, -1)
    raw = _column(labels, torch.int64, count, "labels")
    highest = int(raw[raw != IGNORE].max()) if bool((raw != IGNORE).any()) else -1
    class_map = _class_map(classes, highest)
    if isinstance(classes, Mapping):
        return class_map.from_raw(raw, "labels"), class_map
    bad = raw[(raw != IGNORE) & ((raw < 0) | (raw >= len(class_map)))].unique().tolist()
    if bad:
        raise ValueError(
            f"labels: expected indices of the {len(class_map)} classes, 0 to {len(class_map) - 1}, "
            f"or {IGNORE} for points without a class, got {bad[:10]}. Raw ids need classes by id, "
            'such as {0: None, 10: "car"}'
        )
    return raw, class_map


def _class_map(classes: Classes, highest: int) -> ClassMap:
    """The class map of the argument `classes`; `highest` is the largest label."""
    if isinstance(classes, ClassMap):
        return classes
    if classes is None:
        if not -1 <= highest < IGNORE:
            raise ValueError(
                f"labels: expected class indices, 0 to {IGNORE - 1}, got {highest}. Raw ids need "
                'classes by id, such as {0: None, 10: "car"}'
            )
        classes = [f"class {index}" for index in range(max(highest, 0) + 1)]
    return numbered_classes(classes, "classes")


@dataclass(frozen=True, eq=False, repr=False)
class Keyframes:
    """Keyframes in memory as one data set; a `Dataset`.

    Attributes:
        keyframes: with unique tokens and one sensor.
        name: used in messages and names of run folders.
    """

    keyframes: tuple[Keyframe, ...]
    name: str

    @property
    def classes(self) -> ClassMap:
        """The classes that labels index."""
        return self.keyframes[0].classes

    @property
    def sensor(self) -> Sensor:
        """The lidar, with the intensity statistics of all keyframes."""
        return self.keyframes[0].sensor

    @property
    def tokens(self) -> list[str]:
        """The token of every keyframe."""
        return [each.token for each in self.keyframes]

    @property
    def scenes(self) -> list[str]:
        """The scene name of every keyframe."""
        return [each.scene for each in self.keyframes]

    @property
    def has_labels(self) -> bool:
        """Whether any keyframe has labels."""
        return any(each.labels is not None for each in self.keyframes)

    def prepare(self, keyframes: Sequence[int] | None = None) -> None:
        """Do nothing: everything is in memory."""

    def content(self) -> str:
        """Identify the keyframes by their first points."""
        digest = hashlib.sha256()
        for each in self.keyframes:
            digest.update(f"{each.token} {len(each.points)} ".encode())
            digest.update(each.points[:_HEAD].contiguous().numpy().tobytes())
        return digest.hexdigest()[:32]

    def __len__(self) -> int:
        return len(self.keyframes)

    def __getitem__(self, index: SupportsIndex) -> Keyframe:
        return self.keyframes[position_of(index, len(self), self.name)]

    def __repr__(self) -> str:
        labelled = sum(each.labels is not None for each in self.keyframes)
        return (
            f"Keyframes {self.name}\n"
            f"  keyframes  {len(self):,} in memory\n"
            f"  labelled   {labelled:,}, {self.classes.name}"
        )


def keyframes(made: Sequence[Keyframe], name: str = "arrays") -> Keyframes:
    """Join keyframes to a data set, in order of time within a scene.

    Intensity statistics are measured on all of them together, unless all have the same sensor. Of
    equal tokens, the second one becomes "TOKEN (2)".

    Args:
        made: at least one, e.g. made by `keyframe`, all with the same classes.
        name: of the data set.

    Raises:
        ValueError: there is none, or the classes differ.
    """
    made = list(made)
    if not made:
        raise ValueError("keyframes: expected at least one keyframe, got none")
    labelled = [each for each in made if each.labels is not None] or made[:1]
    classes = max((each.classes for each in labelled), key=len)
    for each in labelled:
        if each.classes.names != classes.names[: len(each.classes)]:
            raise ValueError(
                f"keyframes: {each.token} has other classes ({each.classes.name}) than "
                f"{labelled[0].token} ({labelled[0].classes.name}). Give all of them the same "
                "`classes`, or mix data sets with kit.open_dataset([a, b])"
            )
    sensor = made[0].sensor
    if any(each.sensor != sensor for each in made):
        names = " and ".join(dict.fromkeys(_lidar_name(each.sensor) for each in made))
        intensities = {f"{n} {each.token}": each.intensity for n, each in enumerate(made)}
        sensor = measured_sensor(intensities, names)
    tokens = numbered(each.token for each in made)
    joined = [
        replace(each, token=token, sensor=sensor, classes=classes)
        for each, token in zip(made, tokens, strict=True)
    ]
    return Keyframes(tuple(joined), name)


def _lidar_name(sensor: Sensor) -> str:
    return sensor.name.split(", intensity measured")[0]
