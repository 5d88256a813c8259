"""Named columns of a point file, and the scan that they make."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kit.data.limits import is_valid
from kit.data.point_times import TIME, UNITS, has_position, seconds_of, time_column
from kit.data.scans import Scan, valid_scan

POSITION = ("x", "y", "z")
# Columns and fields of messages that hold intensities, the first that there is is used.
INTENSITY = ("intensity", "intensities", "i", "reflectivity", "reflectance", "remission")
MAX_ROWS = 50_000_000
TYPES = (
    "float16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
    "uint64",
)  # fmt: skip
_LEAST_VALID = 0.5  # of the rows; fewer show that the layout is another one


@dataclass(frozen=True)
class Layout:
    """The layout of a file of plain numbers, which the file itself does not name.

    Attributes:
        columns: their names in order; x, y and z must be among them. None: the file names them.
        dtype: of a .bin file: one of `TYPES` for all columns, or one for each of them.
        intensity: name of the column with the intensity; None: one of `INTENSITY`, or none.
        time: name of the column with the times of points; None: one of `point_times.TIME`, if
            these can be understood, or none.
        time_unit: of these times, a key of `point_times.UNITS`; None: it is recognised.

    Raises:
        ValueError: a name is missing or double, or a type or unit is unknown.
    """

    columns: tuple[str, ...] | None = None
    dtype: str | tuple[str, ...] = "float32"
    intensity: str | None = None
    time: str | None = None
    time_unit: str | None = None

    def __post_init__(self):
        if self.time_unit is not None and self.time_unit not in UNITS:
            raise ValueError(f"time_unit: expected {', '.join(UNITS)}, got {self.time_unit!r}")
        types = (self.dtype,) if isinstance(self.dtype, str) else tuple(self.dtype)
        if bad := [each for each in types if each not in TYPES]:
            raise ValueError(f"dtype: expected one of {', '.join(TYPES)}, got {bad[0]!r}")
        object.__setattr__(self, "dtype", types[0] if isinstance(self.dtype, str) else types)
        if self.columns is None:
            return
        names = tuple(str(name).lower() for name in self.columns)
        object.__setattr__(self, "columns", names)
        if len(set(names)) < len(names) or not set(POSITION) <= set(names):
            raise ValueError(
                f"columns: expected different names with x, y and z among them, got {list(names)}"
            )
        if not isinstance(self.dtype, str) and len(types) != len(names):
            raise ValueError(f"dtype: expected one type or {len(names)}, got {len(types)}")
        for field in ("intensity", "time"):
            name = getattr(self, field)
            if name is not None and name.lower() not in names:
                raise ValueError(f"{field}: {name!r} is not among columns {list(names)}")


def by_name(array: np.ndarray, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The columns of an (R, C) array by their names."""
    return {name: array[:, number] for number, name in enumerate(columns)}


def scan_of_columns(
    columns: Mapping[str, np.ndarray], file: Path, layout: Layout, stamp: int | None = None
) -> Scan:
    """Make a scan; rows that are not valid are dropped.

    Args:
        columns: (R,) numbers by name.
        file: for messages.
        layout: may name the columns with the intensity and with the times of points.
        stamp: time stamp of the scan, microseconds; None if it is unknown.

    Raises:
        ValueError: a column is missing or holds no numbers, or most rows are not valid.
    """
    found = ", ".join(columns) or "none"
    for name in POSITION:
        if name not in columns:
            raise ValueError(
                f"{file}: expected columns x, y and z, found {found}. Name the columns of the file "
                '("columns" in recording.json)'
            )
    name = _chosen(columns, "intensities", layout.intensity, file)
    name = name or next((name for name in INTENSITY if name in columns), None)
    points = torch.from_numpy(np.stack([_floats(columns, n, file) for n in POSITION], axis=1))
    values = np.zeros(len(points)) if name is None else _floats(columns, name, file)
    intensity = torch.from_numpy(values).float()
    time = _times(columns, has_position(points), file, layout, stamp)
    scan = valid_scan(points.float(), intensity, file, time=time)
    finite = int((points.isfinite().all(1) & is_valid(points.float(), intensity)).sum())
    if finite < _LEAST_VALID * int(points.isfinite().all(1).sum()):
        raise ValueError(
            f"{file}: only {finite:,} of {len(points):,} rows are valid. Are the columns {found}?"
        )
    return scan


def _chosen(
    columns: Mapping[str, np.ndarray], what: str, given: str | None, file: Path
) -> str | None:
    """The column that the layout names; None if it names none."""
    if given is not None and given.lower() not in columns:
        found = ", ".join(columns)
        raise ValueError(f"{file}: expected the column {given.lower()!r} of {what}, found {found}")
    return None if given is None else given.lower()


def _times(
    columns: Mapping[str, np.ndarray],
    measured: Bool[np.ndarray, " R"],
    file: Path,
    layout: Layout,
    stamp: int | None,
) -> Float[Tensor, " R"] | None:
    """Seconds of every row relative to the time stamp; None without a column that is understood."""
    named = _chosen(columns, "times", layout.time, file)
    name = named or time_column(columns)
    if name is None:
        return None
    try:
        values = _numbers(columns, name, file)
        stamp = None if stamp is None else 1000 * stamp
        return seconds_of(values, measured, stamp, layout.time_unit or TIME.get(name))
    except ValueError as error:
        if named is None:
            return None
        unit = "" if layout.time_unit else ". Give the unit (time_unit)"
        raise ValueError(f"{file}: column {name!r}: {error}{unit}") from error


def _floats(columns: Mapping[str, np.ndarray], name: str, file: Path) -> np.ndarray:
    return _numbers(columns, name, file).astype(np.float64)


def _numbers(columns: Mapping[str, np.ndarray], name: str, file: Path) -> np.ndarray:
    values = np.asarray(columns[name])
    if values.dtype.kind not in "fiu" or values.ndim != 1:
        raise ValueError(f"{file}: column {name!r}: expected numbers, got {values.dtype}")
    return values
