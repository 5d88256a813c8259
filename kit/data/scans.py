"""Scans of files: points and intensities; rows that are not valid are dropped."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kit.data.limits import check_unit, invalid_counts, is_valid
from kit.data.scan_layout import other_layout
from kit.store.reading import read_regular

LAYOUTS = {4: "x, y, z, intensity", 5: "x, y, z, intensity, ring"}  # by number of columns


@dataclass(frozen=True, eq=False)
class Scan:
    """The valid points of one scan.

    Attributes:
        points: (N, 3) float32, lidar frame, metres.
        intensity: (N,) float32.
        row_in_file: (N,) int64, rows of these points in the file.
        num_rows: number of rows in the file.
        time: (N,) float32 seconds relative to the time stamp of the scan; None if unknown.
    """

    points: Float[Tensor, "N 3"]
    intensity: Float[Tensor, " N"]
    row_in_file: Int[Tensor, " N"]
    num_rows: int
    time: Float[Tensor, " N"] | None = None


def valid_scan(
    points: Float[Tensor, "R 3"],
    intensity: Float[Tensor, " R"],
    source: str | Path,
    measured: Bool[Tensor, " R"] | None = None,
    time: Float[Tensor, " R"] | None = None,
) -> Scan:
    """Keep the rows that are finite and inside the ranges of `kit.data.limits`.

    Args:
        points: lidar frame, metres.
        intensity: in the sensor's own unit.
        source: name of the file, for messages.
        measured: rows that hold a measurement at all; None: every row does.
        time: seconds relative to the time stamp of the scan; None if unknown.

    Raises:
        ValueError: the unit is not metres, or no row is valid; names the file.
    """
    check_unit(points, str(source))
    valid = is_valid(points, intensity)
    if measured is not None:
        valid &= measured
    row_in_file = valid.nonzero()[:, 0]
    if len(row_in_file) == 0:
        reason = invalid_counts(points, intensity) or "every row is an empty slot"
        raise ValueError(f"{source}: none of its {len(points)} rows is valid: {reason}")
    times = None if time is None else time[row_in_file]
    return Scan(points[row_in_file], intensity[row_in_file], row_in_file, len(points), times)


def read_rows(file: Path, columns: int) -> Float[np.ndarray, "R C"]:
    """Read a file of rows of float32 values without a header.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file has another layout, is empty or is cut short; names the file.
    """
    data, names = read_regular(file), LAYOUTS[columns]
    expected = f"expected rows of {columns} float32 ({names})"
    if layout := other_layout(data, columns):
        raise ValueError(
            f"{file}: {expected}, this seems to be {layout} ({len(data)} bytes). Write scans with "
            f'numpy.column_stack([{names}]).astype("<f4").tofile(file)'
        )
    if len(data) == 0 or len(data) % (4 * columns):
        raise ValueError(
            f"{file}: {expected}, a multiple of {4 * columns} bytes, got {len(data)} bytes. Is the "
            "download complete?"
        )
    return np.frombuffer(data, dtype="<f4").reshape(-1, columns)


def read_scan(file: Path, columns: int, zeros_are_empty: bool = False) -> Scan:
    """Read a scan from a file of rows of float32 values without a header.

    Args:
        file: of rows x, y, z, intensity, and more columns.
        columns: of a row, 4 or 5.
        zeros_are_empty: rows with the position (0, 0, 0) are slots without a measurement.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file has another layout, is cut short, or has no valid row; names the file.
    """
    rows = read_rows(file, columns)
    points, intensity = torch.from_numpy(rows[:, :3].copy()), torch.from_numpy(rows[:, 3].copy())
    measured = (points != 0).any(1) if zeros_are_empty else None
    return valid_scan(points, intensity, file, measured)
