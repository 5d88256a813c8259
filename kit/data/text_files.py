"""Text files of numbers: lines, rows of numbers, and poses with 12 numbers per line."""

import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kit import geometry
from kit.data.untrusted import shown
from kit.store.reading import read_regular

_LARGEST = 1e9  # of a number


def read_text(file: Path) -> str:
    """Read a text file; raises a ValueError with its name if it is no text."""
    try:
        return read_regular(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: expected a text file, found bytes that are no text") from error


def parse_numbers(text: str, source: str, count: int) -> list[float]:
    """Read exactly `count` finite numbers separated by spaces; errors begin with `source`."""
    words = text.split()
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise ValueError(f"{source}: expected {count} numbers, got {shown(text)}") from error
    if len(values) != count:
        raise ValueError(f"{source}: expected {count} numbers, got {len(values)}: {shown(text)}")
    if not all(math.isfinite(value) and abs(value) <= _LARGEST for value in values):
        raise ValueError(f"{source}: expected finite numbers, got {shown(text)}")
    return values


def content_lines(file: Path) -> list[tuple[int, str]]:
    """The lines of a text file that are not blank and no comments (#), with their numbers from 1.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no text.
    """
    lines = [line.strip() for line in read_text(file).splitlines()]
    return [(n, line) for n, line in enumerate(lines, 1) if line and not line.startswith("#")]


def read_poses(file: Path) -> Float[np.ndarray, "F 12"]:
    """Read a file with a 3x4 pose in every line.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line has not 12 finite numbers; names the file and the line.
    """
    rows = [parse_numbers(line, f"{file}: line {n}", 12) for n, line in content_lines(file)]
    return np.array(rows).reshape(-1, 12)


def rigid_from_row(row: Float[np.ndarray, "12"], name: str) -> Float[Tensor, "4 4"]:
    """Make a rigid transform from the 12 numbers of a 3x4 matrix; errors begin with `name`."""
    T = torch.eye(4, dtype=torch.float64)
    T[:3] = torch.from_numpy(row.reshape(3, 4))
    geometry.check_rigid(T, name)
    return T
