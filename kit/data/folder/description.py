"""Reader of recording.json: checked by the JSON schema beside this file, then by meaning."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kit import geometry
from kit.data.class_maps import numbered_classes
from kit.data.classes import ClassMap
from kit.data.point_files import Layout
from kit.data.untrusted import name_part, path_below, shown, text
from kit.lens import PINHOLE, Lens, as_lens
from kit.store.reading import read_regular

NAME = "recording.json"
SCHEMA = Path(__file__).with_name("recording.schema.json")
UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}  # microseconds
FROM_NAMES = "file names"
MAX_GAP = 0.05  # seconds, by default; half a turn of a lidar at 10 Hz


@dataclass(frozen=True)
class CameraEntry:
    """A camera; `K` and `T_cam_lidar` are None if they are not known yet."""

    name: str
    images: str
    K: Float[Tensor, "3 3"] | None
    T_cam_lidar: Float[Tensor, "4 4"] | None
    lens: Lens = PINHOLE
    timestamps: str | None = None


@dataclass(frozen=True)
class LabelsEntry:
    """Labels in files, or in a column of the point files; `classes` maps their ids."""

    classes: ClassMap
    files: str | None
    column: str | None
    dtype: str
    mask: int


@dataclass(frozen=True)
class Description:
    """The content of recording.json; paths are relative to its folder.

    Attributes:
        name: of the recording.
        lidar: name of the lidar.
        scans: folder of the point files, or one file.
        layout: names and types of their columns.
        cameras: by name.
        match: "name", "index" or "time".
        unit: microseconds of a unit of time stamps; None if there are none.
        max_gap: seconds between a scan and its image.
        timestamps: of the scans, see the schema; None: there are none.
        poses: text file; None: there are none.
        labels: None: there are none.
    """

    name: str
    lidar: str
    scans: str
    layout: Layout = Layout()
    cameras: tuple[CameraEntry, ...] = ()
    match: str = "name"
    unit: float | None = None
    max_gap: float = MAX_GAP
    timestamps: str | None = None
    poses: str | None = None
    labels: LabelsEntry | None = None


def read_description(file: Path) -> Description:
    """Read recording.json.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no JSON, or a field is missing, unknown or invalid; names the file and the
            field.
    """
    data = read_regular(file)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not valid JSON ({error})") from error
    _check_schema(content, file)
    try:
        return _description(content, file.parent)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


@cache
def _validator() -> Any:
    import jsonschema

    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))


def _check_schema(content: Any, file: Path) -> None:
    """Raise a ValueError about the first field that the schema refuses."""
    errors = sorted(_validator().iter_errors(content), key=lambda error: str(error.json_path))
    if not errors:
        return
    error = errors[0]
    where = error.json_path.removeprefix("$").lstrip(".") or "the file"
    expected = error.schema.get("description") if isinstance(error.schema, dict) else None
    if error.validator in ("required", "additionalProperties") or expected is None:
        reason = error.message if len(error.message) < 300 else f"{error.message[:297]}..."
    else:
        reason = f"expected {expected}, got {shown(error.instance)}"
    raise ValueError(f"{file}: {where}: {reason}")


def _description(content: dict, root: Path) -> Description:
    lidar = content["lidar"]
    unit = content.get("time_unit")
    cameras = tuple(
        _camera(name, entry, root) for name, entry in content.get("cameras", {}).items()
    )
    match = content.get("match", "name")
    timestamps = _stamps(lidar, root, "lidar")
    named = [entry.timestamps for entry in cameras] + [timestamps]
    if any(named) and unit is None:
        raise ValueError('time_unit: expected "s", "ms", "us" or "ns" beside timestamps')
    if match == "time" and not all(named):
        raise ValueError('match: "time" needs timestamps of the lidar and of every camera')
    return Description(
        name=_checked(text, content.get("name", root.resolve().name or "recording"), "name"),
        lidar=lidar.get("name", "lidar"),
        scans=_path(root, lidar["files"], "lidar.files"),
        layout=_layout(lidar),
        cameras=cameras,
        match=match,
        unit=None if unit is None else UNITS[unit],
        max_gap=float(content.get("max_gap", MAX_GAP)),
        timestamps=timestamps,
        poses=None if "poses" not in content else _path(root, content["poses"], "poses"),
        labels=_labels(content["labels"], root) if "labels" in content else None,
    )


def _layout(lidar: dict) -> Layout:
    dtype, columns = lidar.get("dtype", "float32"), lidar.get("columns")
    times = lidar.get("point_times", {})
    try:
        return Layout(
            None if columns is None else tuple(columns),
            dtype if isinstance(dtype, str) else tuple(dtype),
            lidar.get("intensity"),
            times.get("column"),
            times.get("unit"),
        )
    except ValueError as error:
        raise ValueError(f"lidar.{error}") from error


def _camera(name: str, entry: dict, root: Path) -> CameraEntry:
    where = f"cameras.{name}"
    _checked(name_part, name, where)
    K, T = entry.get("K"), entry.get("T_cam_lidar")
    try:
        lens = as_lens(entry.get("distortion"))
    except ValueError as error:
        raise ValueError(f"{where}.{error}") from error
    if K is not None:
        K = torch.tensor(K, dtype=torch.float64)
        geometry.check_intrinsics(K, f"{where}.K")
    if T is not None:
        T = torch.tensor(T, dtype=torch.float64)
        geometry.check_rigid(T, f"{where}.T_cam_lidar")
    images = _path(root, entry["images"], f"{where}.images")
    return CameraEntry(name, images, K, T, lens, _stamps(entry, root, where))


def _labels(entry: dict, root: Path) -> LabelsEntry:
    if ("files" in entry) == ("column" in entry):
        raise ValueError("labels: expected either files or column")
    classes = {int(number): name for number, name in entry["classes"].items()}
    files = entry.get("files")
    return LabelsEntry(
        classes=numbered_classes(classes, "labels.classes"),
        files=None if files is None else _path(root, files, "labels.files"),
        column=entry.get("column", "").lower() or None,
        dtype=entry.get("dtype", "uint8"),
        mask=entry.get("mask", 2**32 - 1),
    )


def _stamps(entry: dict, root: Path, where: str) -> str | None:
    """`FROM_NAMES`, the path of a text file, or None."""
    given = entry.get("timestamps")
    if given is None or given == FROM_NAMES:
        return given
    return _path(root, given, f"{where}.timestamps")


def _path(root: Path, value: str, where: str) -> str:
    value = value.rstrip("/") or "/"
    return "." if value == "." else _checked(lambda path: path_below(root, path), value, where)


def _checked(parse: Any, value: Any, where: str) -> Any:
    try:
        return parse(value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
