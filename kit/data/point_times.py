"""Times of points: a column of a point file or of a message, as seconds relative to its scan.

Drivers store them in seconds, microseconds or nanoseconds, since the scan began, on the clock of
the computer or on that of the lidar. A lidar turns 1 to 100 times a second, so the time between the
first and the last point shows the unit.
"""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor

# Columns with times of points, the first that a file has is used; and the unit, if it is fixed.
TIME: dict[str, str | None] = {
    "time": None,
    "t": None,
    "timestamp": None,
    "time_stamp": None,
    "offset_time": None,
    "point_time_offset": None,
    "stamp": None,
    "offset_ns": "ns",  # Argoverse 2
    "gps_time": "s",  # LAS
}
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}  # in a second
LONGEST = 10.0  # seconds from the time stamp of a scan to one of its points
_RECOGNISED = ("s", "us", "ns")  # milliseconds of one turn look like seconds of a long recording
_TURN = (0.01, 1.0)  # seconds


def time_column(names: Iterable[str]) -> str | None:
    """The name of the column that holds the times of points, if there is one."""
    names = set(names)
    return next((name for name in TIME if name in names), None)


def seconds_of(
    values: Num[np.ndarray, " R"],
    measured: Bool[np.ndarray, " R"],
    stamp: int | None,
    unit: str | None = None,
) -> Float[Tensor, " R"]:
    """Convert times of points to seconds relative to the time stamp of their scan.

    Args:
        values: times.
        measured: rows that hold a point. The others, and those whose time is not finite, get the
            time 0.
        stamp: time stamp of the scan, nanoseconds; None if it is unknown. Then, times that are not
            within 10 s of 0 are counted from the earliest point.
        unit: a key of `UNITS`; None: s, us or ns, with which the scan takes 0.01 to 1 s.

    Raises:
        ValueError: the unit cannot be recognised, or the times are not within 10 s of the time
            stamp.
    """
    known = np.isfinite(values) & measured
    if not known.any():
        raise ValueError("no point has a time that is a finite number")
    first = values[known].min()
    with np.errstate(over="ignore"):
        # Integers are subtracted first: nanoseconds since 1970 have more digits than a float64.
        since_first = np.where(known, values - first, 0).astype(np.float64)
    length = float(since_first.max())
    unit = unit or _unit_of(length)
    start = _start(float(first), int(first), stamp, unit)
    seconds = np.where(known, start + since_first / UNITS[unit], 0.0)
    if not np.abs(seconds).max() <= LONGEST:
        raise ValueError(
            f"times from {float(first):.10g} to {float(first) + length:.10g} {unit} are more than "
            f"{LONGEST:.0f} s from the time stamp of the scan"
        )
    return torch.from_numpy(seconds.astype(np.float32))


def has_position(points: Float[Tensor, "R 3"]) -> Bool[np.ndarray, " R"]:
    """Rows that hold a point: finite, and not (0, 0, 0), which drivers write without a return."""
    return (points.isfinite().all(1) & (points != 0).any(1)).numpy()


def _unit_of(length: float) -> str:
    """The unit with which a scan of this length takes as long as a turn of a lidar."""
    for unit in _RECOGNISED:
        if _TURN[0] <= length / UNITS[unit] < _TURN[1]:
            return unit
    raise ValueError(
        f"the times of points span {length:.6g}, which is no turn of {_TURN[0]} to {_TURN[1]:.0f} "
        f"s in any of {', '.join(_RECOGNISED)}"
    )


def _start(first: float, whole: int, stamp: int | None, unit: str) -> float:
    """Seconds from the time stamp of the scan to its earliest point."""
    if abs(first) / UNITS[unit] <= LONGEST:
        return first / UNITS[unit]
    if stamp is None:
        return 0.0
    nanoseconds = UNITS["ns"] // UNITS[unit]
    return (whole * nanoseconds - stamp) / 1e9 + (first - whole) / UNITS[unit]
