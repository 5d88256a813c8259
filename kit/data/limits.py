"""Checks of lidar data when they are read: valid ranges and shapes."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

MAX_RANGE = 10_000.0  # metres, of a coordinate in the lidar frame; the best lidars reach 500 m
MAX_INTENSITY = 65_535.0  # no lidar gives more than 16 bits
MAX_RATIO_FAR = 0.1  # of the rows of a scan; more of them show that the unit is not metres
MAX_BOX = 1000.0  # metres, of an edge of a box
MAX_TIMESTAMP = 2**63 - 1  # microseconds


def is_valid(points: Float[Tensor, "N 3"], intensity: Float[Tensor, " N"]) -> Bool[Tensor, " N"]:
    """Mask of the rows that a lidar can have measured.

    Valid rows are finite, at most `MAX_RANGE` away on each axis, with an intensity of at most
    `MAX_INTENSITY` in magnitude.
    """
    if _all_valid(points, intensity):
        return torch.ones(len(points), dtype=torch.bool)
    near = (points.abs() <= MAX_RANGE).all(1)  # False for NaN
    return near & (intensity.abs() <= MAX_INTENSITY)


def _all_valid(points: Float[Tensor, "N 3"], intensity: Float[Tensor, " N"]) -> bool:
    """Whether all rows are valid; the usual case, and many times faster than a mask."""
    return _at_most(points, MAX_RANGE) and _at_most(intensity, MAX_INTENSITY)


def _at_most(values: Tensor, limit: float) -> bool:
    """Whether no magnitude is above a limit; false if there is NaN."""
    return values.numel() == 0 or bool(values.abs().amax() <= limit)


def invalid_counts(points: Float[Tensor, "N 3"], intensity: Float[Tensor, " N"]) -> str:
    """Count the invalid rows by reason, for messages; "" if all are valid."""
    if _all_valid(points, intensity):
        return ""
    finite = points.isfinite().all(1) & intensity.isfinite()
    far = finite & (points.abs() > MAX_RANGE).any(1)
    bright = finite & (intensity.abs() > MAX_INTENSITY)
    counts = {
        "not finite": int((~finite).sum()),
        f"farther than {MAX_RANGE / 1000:.0f} km": int(far.sum()),
        f"with an intensity beyond {MAX_INTENSITY:,.0f}": int(bright.sum()),
    }
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


def check_unit(points: Float[Tensor, "N 3"], name: str) -> None:
    """Check that the coordinates of a scan are metres.

    Raises:
        ValueError: more than `MAX_RATIO_FAR` of the finite rows are too far away.
    """
    if _at_most(points, MAX_RANGE):
        return
    finite = points[points.isfinite().all(1)]
    far = (finite.abs() > MAX_RANGE).any(1)
    if len(finite) and far.float().mean() > MAX_RATIO_FAR:
        raise ValueError(
            f"{name}: {int(far.sum()):,} of {len(finite):,} points are farther than "
            f"{MAX_RANGE / 1000:.0f} km. Expected metres in the lidar frame; are these "
            "millimetres, or positions in the global frame?"
        )


def to_tensor(
    values: object, dtype: torch.dtype, shape: tuple[int | None, ...], name: str
) -> Tensor:
    """Convert an array or a tensor to a type and check its shape.

    Args:
        values: tensor, NumPy array, or nested lists of numbers.
        dtype: float32, float64 or int64.
        shape: expected; None stands for any length.
        name: used in the error.

    Raises:
        ValueError: the values are no numbers or have another shape, or floats are given for
            integers.
    """
    expected = f"({', '.join('N' if size is None else str(size) for size in shape)})"
    if not isinstance(values, Tensor):
        values = _from_array(values, name)
    if len(shape) != values.ndim or any(
        want not in (None, size) for want, size in zip(shape, values.shape, strict=True)
    ):
        raise ValueError(f"{name}: expected the shape {expected}, got {tuple(values.shape)}")
    whole = not (values.is_floating_point() or values.is_complex() or values.dtype == torch.bool)
    if not (whole or (values.is_floating_point() and dtype.is_floating_point)):
        raise ValueError(f"{name}: cannot convert {values.dtype} to {dtype} without a loss")
    return values.to(dtype)


def _from_array(values: object, name: str) -> Tensor:
    try:
        array = np.asarray(values)
        array = np.require(array, array.dtype.newbyteorder("="), ["C", "W"])  # torch needs both
        return torch.from_numpy(array)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name}: expected numbers, got a {type(values).__name__}") from error
