"""Messages of ROS as arrays: point clouds, images, calibrations of cameras.

Source: the definitions of sensor_msgs (PointCloud2, Image, CompressedImage, CameraInfo), and the
encodings of image_encodings.hpp in ROS 2.
"""

import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from kit import geometry
from kit.data.point_files.columns import INTENSITY
from kit.data.point_times import TIME, has_position, seconds_of, time_column
from kit.lens import PINHOLE, Lens, make_lens
from kit.store.image_reader import MAX_PIXELS

_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
_CHANNELS = {
    "rgb8": (3, [0, 1, 2]),
    "bgr8": (3, [2, 1, 0]),
    "8UC3": (3, [2, 1, 0]),
    "rgba8": (4, [0, 1, 2]),
    "bgra8": (4, [2, 1, 0]),
    "mono8": (1, [0, 0, 0]),
    "8UC1": (1, [0, 0, 0]),
}
# OpenCV names a Bayer pattern by its second row, ROS by its first.
_BAYER = {
    "bayer_rggb8": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr8": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg8": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg8": cv2.COLOR_BayerGB2RGB,
}
_YUV = {
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUYV,
    "yuyv": cv2.COLOR_YUV2RGB_YUYV,
}
ENCODINGS = (*_CHANNELS, *_BAYER, *_YUV)


def stamp_of(raw: bytes, is_ros2: bool) -> int:
    """The time stamp of a serialised message that begins with a header, nanoseconds; 0 if unset."""
    if not is_ros2:  # sequence number, seconds, nanoseconds
        seconds, nanoseconds = struct.unpack_from("<II", raw, 4)
    else:
        seconds, nanoseconds = struct.unpack_from("<iI" if raw[1] & 1 else ">iI", raw, 4)
    return seconds * 10**9 + nanoseconds


@dataclass(frozen=True, eq=False)
class Cloud:
    """A point cloud before its rows are checked.

    Attributes:
        points: (R, 3) float32, metres, in the frame of the message.
        intensity: (R,) float32; 0 if the message has none.
        time: (R,) float32 seconds relative to the time stamp of the message; None without them.
    """

    points: Float[Tensor, "R 3"]
    intensity: Float[Tensor, " R"]
    time: Float[Tensor, " R"] | None


def cloud_of(message: Any, stamp: int, source: str) -> Cloud:
    """Read a sensor_msgs/PointCloud2 of any field order, type, padding and byte order.

    Args:
        message: deserialised.
        stamp: its time stamp, nanoseconds.
        source: names the message in errors.

    Raises:
        ValueError: fields are missing, of an unknown type or outside of a point, or the data is cut
            short.
    """
    rows = _rows_of(message, source)
    columns = [np.asarray(rows[name], np.float64) for name in "xyz"]
    points = torch.from_numpy(np.stack(columns, 1).astype(np.float32))
    name = next((each for each in INTENSITY if each in rows.dtype.names), None)
    intensity = torch.zeros(len(points))
    if name is not None:
        intensity = torch.from_numpy(np.asarray(rows[name]).astype(np.float32))
    return Cloud(points, intensity, _time_of(rows, has_position(points), stamp))


def _rows_of(message: Any, source: str) -> np.ndarray:
    """The points as a structured array of (height * width,)."""
    order = ">" if message.is_bigendian else "<"
    fields = {field.name: field for field in message.fields}
    listed = ", ".join(fields) or "none"
    if missing := [name for name in "xyz" if name not in fields]:
        raise ValueError(f"{source}: a point cloud without {', '.join(missing)}; it has {listed}")
    wanted = [fields[name] for name in ("x", "y", "z", *INTENSITY, *TIME) if name in fields]
    step = int(message.point_step)
    for field in wanted:
        kind = _TYPES.get(field.datatype)
        if kind is None or field.offset + np.dtype(kind).itemsize > step:
            raise ValueError(
                f"{source}: field {field.name!r} of type {field.datatype} at byte {field.offset} "
                f"does not fit into points of {step} bytes; expected types 1 to 8"
            )
    kinds = np.dtype(
        {
            "names": [field.name for field in wanted],
            "formats": [order + _TYPES[field.datatype] for field in wanted],
            "offsets": [field.offset for field in wanted],
            "itemsize": step,
        }
    )
    height, width = int(message.height), int(message.width)
    row_step = int(message.row_step) if height > 1 else step * width
    data = np.asarray(message.data, np.uint8)
    if row_step < step * width or len(data) < row_step * (height - 1) + step * width:
        raise ValueError(
            f"{source}: {len(data)} bytes for {height} rows of {width} points of {step} bytes, "
            f"{row_step} bytes a row"
        )
    if row_step == step * width:
        return np.frombuffer(data.tobytes(), kinds, height * width)
    starts = range(0, row_step * height, row_step)
    return np.concatenate(
        [np.frombuffer(data[s : s + step * width].tobytes(), kinds) for s in starts]
    )


def _time_of(
    rows: np.ndarray, measured: Bool[np.ndarray, " R"], stamp: int
) -> Float[Tensor, " R"] | None:
    """Seconds relative to the time stamp; None if there are none, or their unit is not clear."""
    name = time_column(rows.dtype.names)
    if name is None or not len(rows):
        return None
    try:
        return seconds_of(np.asarray(rows[name]), measured, stamp, TIME[name])
    except ValueError:
        return None


def pixels_of(message: Any, source: str) -> UInt8[np.ndarray, "H W 3"]:
    """Decode a sensor_msgs/Image or CompressedImage to RGB.

    Raises:
        ValueError: the encoding is unknown, or the data is damaged or cut short.
    """
    if not hasattr(message, "encoding"):
        return _decompressed(bytes(message.data), source)
    encoding, height, width = message.encoding, int(message.height), int(message.width)
    if encoding not in ENCODINGS:
        raise ValueError(
            f"{source}: image encoding {encoding!r}; expected one of {', '.join(ENCODINGS)}"
        )
    channels = _CHANNELS[encoding][0] if encoding in _CHANNELS else 1 + (encoding in _YUV)
    step = int(message.step) or width * channels
    data = np.asarray(message.data, np.uint8)
    if height * width > MAX_PIXELS or step < width * channels or len(data) < step * height:
        raise ValueError(
            f"{source}: {len(data)} bytes for {height}x{width} pixels ({encoding}), {step} bytes a "
            "row. Is the bag complete?"
        )
    rows = data[: step * height].reshape(height, step)[:, : width * channels]
    if encoding in _CHANNELS:
        image = rows.reshape(height, width, channels)
        return np.ascontiguousarray(image[:, :, _CHANNELS[encoding][1]])
    rows = np.ascontiguousarray(rows)
    if encoding in _BAYER:
        return cv2.cvtColor(rows, _BAYER[encoding])
    return cv2.cvtColor(rows.reshape(height, width, 2), _YUV[encoding])


def _decompressed(data: bytes, source: str) -> UInt8[np.ndarray, "H W 3"]:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{source}: {image.height}x{image.width} pixels are too many")
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{source}: no readable JPEG, PNG or WebP ({error})") from error


@dataclass(frozen=True, eq=False)
class Intrinsics:
    """The calibration of a camera.

    Attributes:
        K: (3, 3) float64, pixels.
        lens: distortion of the images.
        image_size: (height, width) that K is for.
        frame: name of the camera's frame.
        T_image_camera: (4, 4) float64, from the camera's frame to that of its images; the identity
            unless these are rectified.
    """

    K: Float[Tensor, "3 3"]
    lens: Lens
    image_size: tuple[int, int]
    frame: str
    T_image_camera: Float[Tensor, "4 4"]


def intrinsics_of(
    message: Any, rectified: bool, source: str, lens: Lens | None = None
) -> Intrinsics | None:
    """Read a sensor_msgs/CameraInfo; None if the camera is not calibrated (K is 0).

    Args:
        message: deserialised.
        rectified: the images are rectified: they have the matrices P and R, and no distortion.
        source: names the message in errors.
        lens: replaces that of the message, which may then be any.

    Raises:
        ValueError: the model of the lens is unknown, or K is no calibration.
    """
    values = {name.lower(): getattr(message, name) for name in dir(message) if len(name) == 1}
    K = torch.tensor(np.asarray(values["k"], np.float64).reshape(3, 3))
    size = (int(message.height), int(message.width))
    frame, identity = message.header.frame_id, torch.eye(4, dtype=torch.float64)
    if not K.any():
        return None
    if rectified:
        P = torch.tensor(np.asarray(values["p"], np.float64).reshape(3, 4))
        R = torch.tensor(np.asarray(values["r"], np.float64).reshape(3, 3))
        if P[:, :3].any():
            K, identity = P[:, :3].clone(), identity.clone()
            if R.any():
                identity[:3, :3] = R
            identity[:3, 3] = torch.linalg.solve(K, P[:, 3])
    lens = lens or (PINHOLE if rectified else _lens_of(message, values["d"], source))
    binning = (max(int(message.binning_y), 1), max(int(message.binning_x), 1))
    if binning != (1, 1):
        K[0] /= binning[1]
        K[1] /= binning[0]
        size = (size[0] // binning[0], size[1] // binning[1])
    geometry.check_intrinsics(K, f"{source}: K")
    return Intrinsics(K, lens, size, frame, identity)


def _lens_of(message: Any, coefficients: Iterable[float], source: str) -> Lens:
    """The distortion of a camera; none if all coefficients are 0."""
    coefficients = [float(value) for value in coefficients]
    try:
        return make_lens(message.distortion_model, coefficients) if any(coefficients) else PINHOLE
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
