"""Reader of the scans of nuScenes: files of rows of five float32 values without a header."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kit.data.limits import check_unit, invalid_counts, is_valid
from kit.data.scan_layout import other_layout
from kit.store.reading import read_regular

COLUMNS = 5  # x, y, z, intensity, ring


def read_scan(file: Path) -> tuple[Tensor, Tensor, Tensor, int]:
    """Read a scan.

    Rows that are not finite, or outside the ranges of `kit.data.limits`, are dropped.

    Returns:
        points: (N, 3) float32, metres.
        intensity: (N,) float32.
        row_in_file: (N,) int64, rows of these points in the file.
        num_rows: number of rows in the file.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file has another layout, is cut short, or has no valid row; names the file.
    """
    data = read_regular(file)
    expected = f"expected rows of {COLUMNS} float32 (x, y, z, intensity, ring)"
    if layout := other_layout(data, COLUMNS):
        raise ValueError(
            f"{file}: {expected}, this seems to be {layout} ({len(data)} bytes). Write scans with "
            'numpy.column_stack([x, y, z, intensity, ring]).astype("<f4").tofile(file)'
        )
    if len(data) == 0 or len(data) % (4 * COLUMNS):
        raise ValueError(
            f"{file}: {expected}, a multiple of {4 * COLUMNS} bytes, got {len(data)} bytes. Is the "
            "download complete?"
        )
    rows = np.frombuffer(data, dtype="<f4").reshape(-1, COLUMNS)[:, :4]  # (N, 4)
    points, intensity = torch.from_numpy(rows[:, :3].copy()), torch.from_numpy(rows[:, 3].copy())
    check_unit(points, str(file))
    row_in_file = is_valid(points, intensity).nonzero()[:, 0]
    if len(row_in_file) == 0:
        raise ValueError(
            f"{file}: none of its {len(rows)} rows is valid: {invalid_counts(points, intensity)}"
        )
    return points[row_in_file], intensity[row_in_file], row_in_file, len(rows)
