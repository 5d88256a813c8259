"""Keyframes: one lidar scan with its camera images, calibration and labels, validated on entry.

All other parts of the kit work on a `Keyframe` and on no data set format. Its points are finite,
each camera has a rigid `T_cam_lidar` that includes the ego motion between the two time stamps, and
its labels are class indices.
"""

import hashlib
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol, SupportsIndex, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from PIL import Image
from torch import Tensor

from kit import geometry
from kit.data.annotations import Box, ExactAnnotations
from kit.data.classes import IGNORE, ClassMap
from kit.data.limits import MAX_INTENSITY, MAX_TIMESTAMP, invalid_counts, to_tensor
from kit.lens import PINHOLE, Lens
from kit.store.image_reader import read_image
from kit.store.reading import open_regular


@dataclass(frozen=True)
class Sensor:
    """A lidar: its name, and the mean and standard deviation of its intensities."""

    name: str
    intensity_mean: float
    intensity_std: float

    def __post_init__(self):
        mean, std = self.intensity_mean, self.intensity_std
        if not (abs(mean) <= MAX_INTENSITY and 1e-9 <= std <= MAX_INTENSITY):  # False for NaN
            raise ValueError(
                f"{self.name}: intensity needs a finite mean and a positive standard deviation, "
                f"1e-9 to {MAX_INTENSITY:,.0f}, got {mean} and {std}"
            )


@dataclass(frozen=True, eq=False)
class Camera:
    """One image with its calibration; the image is decoded when it is requested.

    Arrays and other float types are converted; sizes and ranges are checked.

    Attributes:
        name: channel, e.g. "CAM_FRONT".
        T_cam_lidar: float64 extrinsics, lidar frame to camera frame (x right, y down, z forward),
            including the ego motion between the two time stamps.
        K: float64 intrinsics in pixels, for `image_size`.
        image_size: (height, width) in pixels.
        source: an image file, or a function that returns (H, W, 3) uint8 pixels, the same ones at
            every call.
        lens: distortion, see `kit.lens`; none by default. It does not depend on the image size.

    Raises:
        ValueError: a matrix has another shape or is no calibration of a camera, `K` does not fit
            the image size, or the source is neither a path nor a function.
    """

    name: str
    T_cam_lidar: Float[Tensor, "4 4"]
    K: Float[Tensor, "3 3"]
    image_size: tuple[int, int]
    source: Path | Callable[[], np.ndarray] = field(repr=False)
    lens: Lens = PINHOLE

    def __post_init__(self):
        T, K = f"T_cam_lidar of {self.name}", f"K of {self.name}"
        _set(self, "T_cam_lidar", to_tensor(self.T_cam_lidar, torch.float64, (4, 4), T))
        _set(self, "K", to_tensor(self.K, torch.float64, (3, 3), K))
        _set(self, "image_size", _to_size(self.image_size, f"image_size of {self.name}"))
        geometry.check_rigid(self.T_cam_lidar, T)
        geometry.check_image_size(self.image_size, f"image_size of {self.name}")
        geometry.check_intrinsics(self.K, K, self.image_size)
        if self.is_tilted:
            warnings.warn(
                f"T_cam_lidar of {self.name}: the image is tilted by more than 60 degrees against "
                "the lidar's z axis. If that axis points up, the extrinsics or their rotation are "
                "probably inverted, or the camera's axes are not x right, y down, z forward",
                stacklevel=4,
            )
        if isinstance(self.source, str):
            _set(self, "source", Path(self.source))
        if not (isinstance(self.source, Path) or callable(self.source)):
            raise ValueError(
                f"source of {self.name}: expected a path, or a function that returns pixels, got a "
                f"{type(self.source).__name__}"
            )

    @property
    def is_tilted(self) -> bool:
        """Whether "down" in the image is more than 60 degrees from "down" in the lidar frame.

        If the lidar's z axis points up, the extrinsics are probably inverted.
        """
        return bool(self.T_cam_lidar[1, 2] > -0.5)

    def pixels(self) -> UInt8[np.ndarray, "H W 3"]:
        """Decode the image.

        Raises:
            FileNotFoundError: the file is missing.
            ValueError: the file cannot be read (see `kit.store.image_reader`), or its size differs
                from the calibration's.
        """
        source = f"the source of {self.name}" if callable(self.source) else self.source
        pixels = self.source() if callable(self.source) else read_image(self.source)
        if not isinstance(pixels, np.ndarray):
            raise ValueError(f"{source}: expected an array, got a {type(pixels).__name__}")
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(
                f"{source}: expected (H, W, 3) uint8 pixels, got {pixels.shape} {pixels.dtype}"
            )
        if pixels.shape[:2] != tuple(self.image_size):
            raise ValueError(
                f"{source}: image is {pixels.shape[0]}x{pixels.shape[1]} (height x width), its "
                f"calibration is for {self.image_size[0]}x{self.image_size[1]}. Rescale K with it."
            )
        return pixels

    @property
    def image(self) -> Float[Tensor, "3 H W"]:
        """The image in [0, 1]; every access decodes it again."""
        return _to_tensor(self.pixels())

    def resized(self, image_size: tuple[int, int]) -> Float[Tensor, "3 h w"]:
        """Decode the image and resize it, bilinear with antialiasing.

        Args:
            image_size: (height, width) in pixels. The aspect ratio may change, as in ScaLR
                (arXiv:2310.17504).

        Returns:
            values in [0, 1].
        """
        pixels = self.pixels()
        if pixels.shape[:2] == tuple(image_size):
            return _to_tensor(pixels)
        height, width = image_size
        small = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
        return _to_tensor(np.asarray(small))

    def fingerprint(self) -> str:
        """Hash the image's content: the bytes of the file, or the pixels of a function."""
        if callable(self.source):
            return self._pixel_hash
        with open_regular(self.source) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]

    @cached_property
    def _pixel_hash(self) -> str:
        return hashlib.sha256(self.source().tobytes()).hexdigest()[:32]


def _set(instance: object, name: str, value: object) -> None:
    """Set a field of a frozen dataclass that is being made."""
    object.__setattr__(instance, name, value)


def _to_size(size: tuple[int, int], name: str) -> tuple[int, int]:
    """Return (height, width) as Python integers."""
    try:
        height, width = map(operator.index, size)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected (height, width) in pixels, got {size!r}") from error
    return height, width


def _to_tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 255


@dataclass(frozen=True, eq=False)
class Keyframe:
    """One annotated lidar scan with the camera images taken around it.

    Arrays and other number types are converted; sizes and ranges are checked.

    Attributes:
        token: unique name; nuScenes: the LIDAR_TOP sample_data token.
        scene: name of the recording it belongs to.
        points: (N, 3) float32, lidar frame, metres, finite, at most 10 km on each axis.
        intensity: (N,) float32, in the sensor's own unit, at most 65,535.
        cameras: by channel name.
        sensor: the lidar.
        classes: the classes that the labels index.
        labels: (N,) int64 class indices, IGNORE for points that are not scored; None if unknown.
        time: (N,) float32 seconds of each point relative to `timestamp`; None if unknown.
        timestamp: microseconds.
        T_global_lidar: float64 pose of the lidar at `timestamp`, or None.
        row_in_file: (N,) int64, the row of each point in its file (invalid rows were dropped).
        num_rows_in_file: number of rows in that file.
        boxes: annotated objects; empty where the data set has none.
        annotations: exact annotations of a simulation: the object of every point, hidden points,
            labels of pixels; None for recordings.

    Raises:
        ValueError: the scan is empty, not finite or outside the ranges of `kit.data.limits`; shapes
            or lengths differ, a label is no class index, or the pose is not rigid.
    """

    token: str
    scene: str
    points: Float[Tensor, "N 3"]
    intensity: Float[Tensor, " N"]
    cameras: Mapping[str, Camera]
    sensor: Sensor
    classes: ClassMap
    labels: Int[Tensor, " N"] | None = None
    timestamp: int = 0
    T_global_lidar: Float[Tensor, "4 4"] | None = None
    row_in_file: Int[Tensor, " N"] | None = None
    num_rows_in_file: int | None = None
    boxes: tuple[Box, ...] = ()
    annotations: ExactAnnotations | None = None
    time: Float[Tensor, " N"] | None = None

    def __post_init__(self):
        of = f"of keyframe {self.token}"
        points = to_tensor(self.points, torch.float32, (None, 3), f"points {of}")
        count = len(points)
        if count == 0:
            raise ValueError(f"keyframe {self.token}: the scan has no valid point")
        _set(self, "points", points)
        for name, dtype in (
            ("intensity", torch.float32),
            ("time", torch.float32),
            ("labels", torch.int64),
            ("row_in_file", torch.int64),
        ):
            values = getattr(self, name)
            if values is not None:
                values = to_tensor(values, dtype, (None,), f"{name} {of}")
                _set(self, name, values)
                if len(values) != count:
                    raise ValueError(
                        f"keyframe {self.token}: {len(values)} rows of {name} for {count} points"
                    )
        if invalid := invalid_counts(self.points, self.intensity):
            raise ValueError(
                f"keyframe {self.token}: of {count:,} points {invalid}. Points and intensity must "
                "be finite and in range: keep those of kit.data.limits.is_valid(points, intensity)"
            )
        self._check_labels()
        self._check_rows()
        self._check_pose()

    def _check_labels(self) -> None:
        if self.labels is None:
            return
        outside = (self.labels < 0) | (self.labels >= len(self.classes))
        bad = self.labels[(self.labels != IGNORE) & outside]
        if len(bad):
            raise ValueError(
                f"keyframe {self.token}: labels {bad.unique().tolist()[:10]} are not among the "
                f"{len(self.classes)} classes"
            )

    def _check_rows(self) -> None:
        """Check the rows in the file; without them, number the points."""
        count = len(self.points)
        if (self.row_in_file is None) != (self.num_rows_in_file is None):
            raise ValueError(
                f"keyframe {self.token}: give row_in_file and num_rows_in_file together or neither"
            )
        if self.row_in_file is None:
            _set(self, "row_in_file", torch.arange(count))
            _set(self, "num_rows_in_file", count)
        elif not 0 <= self.row_in_file.min() <= self.row_in_file.max() < self.num_rows_in_file:
            raise ValueError(
                f"keyframe {self.token}: row_in_file must be 0 to {self.num_rows_in_file - 1}, got "
                f"{self.row_in_file.min()} to {self.row_in_file.max()}"
            )

    def _check_pose(self) -> None:
        """Check the time stamp and the pose of the lidar."""
        if not 0 <= self.timestamp <= MAX_TIMESTAMP:  # False for NaN
            raise ValueError(
                f"keyframe {self.token}: expected a time stamp in microseconds, 0 to 2^63 - 1, got "
                f"{self.timestamp}"
            )
        if self.T_global_lidar is not None:
            name = f"T_global_lidar of keyframe {self.token}"
            _set(
                self, "T_global_lidar", to_tensor(self.T_global_lidar, torch.float64, (4, 4), name)
            )
            geometry.check_rigid(self.T_global_lidar, name)

    @property
    def num_dropped(self) -> int:
        """Number of rows of the file without a valid point (not finite, or out of range)."""
        return self.num_rows_in_file - len(self.points)

    def in_file_order(
        self, values: Shaped[Tensor, "N ..."], missing: float | int = 0
    ) -> Shaped[Tensor, "rows ..."]:
        """Put one value per point in the order of the scan's file; dropped rows get `missing`."""
        in_file = values.new_full((self.num_rows_in_file, *values.shape[1:]), missing)
        in_file[self.row_in_file] = values
        return in_file

    def select(self, index: Int[Tensor, " M"] | Bool[Tensor, " N"]) -> "Keyframe":
        """The keyframe with some of its points, by index or by a mask; boxes and images stay.

        The exact annotations of a simulation are for all points, and are left out.
        """
        values = {
            name: None if getattr(self, name) is None else getattr(self, name)[index]
            for name in ("points", "intensity", "labels", "row_in_file", "time")
        }
        return replace(self, **values, annotations=None)

    def __repr__(self) -> str:
        low, high = self.points.min(0).values, self.points.max(0).values
        extent = " x ".join(f"{a:.0f}..{b:.0f}" for a, b in zip(low, high, strict=True))
        labelled = (
            "none"
            if self.labels is None
            else f"{(self.labels != IGNORE).float().mean():.0%} of the points"
        )
        cameras = ", ".join(
            f"{c.name} {c.image_size[0]}x{c.image_size[1]}" for c in self.cameras.values()
        )
        dropped = f" ({self.num_dropped} invalid rows dropped)" if self.num_dropped else ""
        return (
            f"Keyframe {self.token} of {self.scene}\n"
            f"  points   {len(self.points):,}{dropped}, lidar frame, metres, x y z: {extent}\n"
            f"  sensor   {self.sensor.name}\n"
            f"  cameras  {cameras or 'none'}\n"
            f"  labels   {labelled}, {self.classes.name}"
        )


@runtime_checkable
class Dataset(Protocol):
    """The interface of a data set: `len(dataset)`, `dataset[i]`, and facts known without loading.

    Attributes:
        name: used in messages and names of run folders.
        classes: the classes that labels index.
        sensor: the lidar.
        tokens: the token of every keyframe, in order of time within a scene.
        scenes: the scene name of every keyframe.
        has_labels: whether any keyframe has labels.
    """

    name: str
    classes: ClassMap
    sensor: Sensor
    tokens: list[str]
    scenes: list[str]
    has_labels: bool

    def prepare(self, keyframes: Sequence[int] | None = None) -> None:
        """Compute these keyframes (None: all) in advance; does nothing for files on disk."""

    def content(self) -> str:
        """Identify the content where two data sets may have the same tokens; "" otherwise."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Keyframe: ...


def position_of(index: SupportsIndex, count: int, name: str) -> int:
    """The position of keyframe `index` of the `count` of data set `name`, 0 to count - 1.

    Negative indices count from the end.

    Raises:
        IndexError: there is no such keyframe.
    """
    position = operator.index(index)
    if not -count <= position < count:
        raise IndexError(f"keyframe {position} of {name}, which has {count}")
    return position % count
