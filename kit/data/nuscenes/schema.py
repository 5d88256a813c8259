"""Records of the nuScenes schema: the tables and the fields that the kit reads, with their types.

Source: the nuScenes schema, https://www.nuscenes.org/nuscenes#data-format.
"""

from dataclasses import dataclass
from typing import Any

from kit.data.limits import MAX_BOX, MAX_TIMESTAMP
from kit.data.untrusted import (
    column,
    flag,
    integer,
    name_part,
    numbers,
    one_of,
    quaternion,
    shown,
    text,
    text_or_empty,
)
from kit.geometry import MAX_TRANSLATION
from kit.lens import PINHOLE, Lens, as_lens, make_lens

MAX_MOUNT = 100.0  # metres between a sensor and the origin of its car

_DISTORTION = {"D", "k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2"}  # names of coefficients

_microseconds = integer(0, MAX_TIMESTAMP)
_pixels = integer(0, 65_535)
_position = numbers(3, MAX_TRANSLATION, " m")


def _mount(value: Any) -> tuple[float, ...]:
    try:
        return numbers(3, MAX_MOUNT, " m")(value)
    except ValueError as error:
        raise ValueError(f"{error} (metres; is it in millimetres?)") from error


def _intrinsics(value: Any) -> tuple[tuple[float, ...], ...]:
    """A 3x3 matrix, or () for sensors that are no cameras."""
    if value == []:
        return ()
    if not (isinstance(value, list) and len(value) == 3):
        raise ValueError("expected a 3x3 matrix")
    try:
        return tuple(numbers(3, 1e9, " px")(row) for row in value)
    except ValueError as error:
        raise ValueError("expected a 3x3 matrix of finite numbers") from error


def _size(value: Any) -> tuple[float, ...]:
    """Width, length and height of a box, metres."""
    size = numbers(3, MAX_BOX, " m")(value)
    if min(size) <= 0:
        raise ValueError("expected a width, a length and a height above 0 m")
    return size


def _lens(row: dict) -> Lens:
    """The lens of a camera. nuScenes has no distortion; T4 has a list `camera_distortion`.

    Other fields that seem to hold coefficients are refused if one of them is not 0, and so is a
    list whose model is neither named nor clear from the number of coefficients.
    """
    if not row.get("camera_intrinsic"):
        return PINHOLE
    given = {name: value for name, value in row.items() if _is_distortion(name, value)}
    for name, value in given.items():
        try:
            if len(given) > 1 or not isinstance(value, list):
                raise ValueError("expected one list of distortion coefficients")
            model = row.get("distortion_model")
            return as_lens(value) if model is None else make_lens(model, value)
        except ValueError as error:
            raise ValueError(
                f"field {name!r}: {error}, got {shown(value)}. Or add a field distortion_model. "
                "Undistort the images otherwise, e.g. with cv2.undistort, and store the K of the "
                "new images"
            ) from error
    return PINHOLE


def _is_distortion(name: str, value: Any) -> bool:
    """Whether a field holds distortion coefficients that are not all 0."""
    return (name in _DISTORTION or "distort" in name.lower()) and _has_number(value)


def _has_number(value: Any) -> bool:
    """Whether a number other than 0 is in a JSON value."""
    if isinstance(value, list | dict):
        return any(map(_has_number, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int | float) and value != 0


@dataclass(frozen=True, slots=True)
class Log:
    """A drive. `vehicle` is the name of the car."""

    token: str = column(text)
    vehicle: str = column(text_or_empty)


@dataclass(frozen=True, slots=True)
class SensorRow:
    """A sensor of the cars. `channel` is its name, e.g. "CAM_FRONT"."""

    token: str = column(text)
    channel: str = column(name_part)
    modality: str = column(one_of("camera", "lidar", "radar"))


@dataclass(frozen=True, slots=True)
class CalibratedSensor:
    """A sensor on one car: translation (metres) and rotation (w, x, y, z) of T_ego_sensor.

    `camera_intrinsic` is K as three rows, () for sensors that are no cameras.
    """

    token: str = column(text)
    sensor_token: str = column(text)
    translation: tuple[float, ...] = column(_mount)
    rotation: tuple[float, ...] = column(quaternion)
    camera_intrinsic: tuple[tuple[float, ...], ...] = column(_intrinsics, default=())
    lens: Lens = column(_lens, whole=True)


@dataclass(frozen=True, slots=True)
class Scene:
    """A recording of about 20 s."""

    token: str = column(text)
    name: str = column(text)
    log_token: str = column(text)
    first_sample_token: str = column(text_or_empty)


@dataclass(frozen=True, slots=True)
class Sample:
    """A keyframe. `next` is the token of the following one, "" for the last."""

    token: str = column(text)
    scene_token: str = column(text)
    timestamp: int = column(_microseconds)
    next: str = column(text_or_empty)


@dataclass(frozen=True, slots=True)
class SampleData:
    """A scan or an image. Scans, and some tables, have no size: 0."""

    token: str = column(text)
    sample_token: str = column(text)
    ego_pose_token: str = column(text)
    calibrated_sensor_token: str = column(text)
    timestamp: int = column(_microseconds)
    is_key_frame: bool = column(flag)
    filename: str = column(text)
    height: int = column(_pixels, default=0)
    width: int = column(_pixels, default=0)


@dataclass(frozen=True, slots=True)
class EgoPose:
    """The pose T_global_ego of the car: translation (metres) and rotation (w, x, y, z)."""

    token: str = column(text)
    translation: tuple[float, ...] = column(_position)
    rotation: tuple[float, ...] = column(quaternion)


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A row of lidarseg: the file with the labels of a scan."""

    sample_data_token: str = column(text)
    filename: str = column(text)


@dataclass(frozen=True, slots=True)
class Category:
    """A category of objects; `index` is its raw label id, None in tables without lidarseg."""

    token: str = column(text)
    name: str = column(text)
    index: int | None = column(integer(0, 255), default=None)


@dataclass(frozen=True, slots=True)
class Instance:
    """An object, the same in all keyframes of a scene."""

    token: str = column(text)
    category_token: str = column(text)


@dataclass(frozen=True, slots=True)
class SampleAnnotation:
    """The box of an object in one keyframe, in the global frame; size is (width, length, height).

    Translation and size are metres, rotation is (w, x, y, z).
    """

    token: str = column(text)
    sample_token: str = column(text)
    instance_token: str = column(text)
    translation: tuple[float, ...] = column(_position)
    size: tuple[float, ...] = column(_size)
    rotation: tuple[float, ...] = column(quaternion)
