"""Check and convert the arrays that pictures are made of: torch or numpy in, numpy out."""

from collections.abc import Sized

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from kit.data.ground import height_above_ground

Number = float | int
Points = Float[Tensor, "N 3"] | Float[np.ndarray, "N 3"]
Colour = Shaped[Tensor, "M *rgb"] | Shaped[np.ndarray, "M *rgb"]
ImageArray = Float[Tensor, "3 H W"] | Float[np.ndarray, "3 H W"]


def to_numpy(values: Tensor | np.ndarray) -> np.ndarray:
    """Copy a tensor to numpy on the CPU, without its gradient; half precision becomes float32."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
        return values.numpy()
    return values.astype(np.float32) if values.dtype == np.float16 else np.asarray(values)


def check_finite(values: np.ndarray, name: str) -> None:
    """Raise ValueError, with the count, if any number is NaN or infinite."""
    num_bad = 0 if values.dtype.kind in "iub" else int((~np.isfinite(values)).sum())
    if num_bad:
        raise ValueError(f"{name}: {num_bad:,} of {values.size:,} numbers are NaN or infinite")


def check_points(points: Points, name: str = "points") -> Float[np.ndarray, "N 3"]:
    """Return points as float32 numpy; raise ValueError for a wrong shape, no points, or NaN."""
    array = to_numpy(points)
    if array.ndim != 2 or array.shape[1] != 3:
        raise ValueError(f"{name} must be (N, 3), got {array.shape}; give x, y, z only")
    if len(array) == 0:
        raise ValueError(f"{name}: there are 0 points, nothing to draw")
    check_finite(array, name)
    return np.ascontiguousarray(array, dtype=np.float32)


def check_count(values: Sized, count: int, name: str, of: str = "points") -> None:
    """Raise ValueError unless there is one value for each of `count` points."""
    if len(values) != count:
        raise ValueError(f"{len(values):,} rows of {name} for {count:,} {of}; they must be as many")


def check_colour(colour: Colour, count: int, name: str = "colour") -> np.ndarray:
    """Return (N,) float32 numbers or (N, 3) uint8 colours; raise ValueError for anything else."""
    array = to_numpy(colour)
    check_count(array, count, name)
    if array.ndim == 2 and array.shape[1] == 3 and array.dtype == np.uint8:
        return array
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be (N,) numbers or (N, 3) uint8 red, green, blue, got {array.shape} "
            f"{array.dtype}; turn features into colours with PcaBasis.colours"
        )
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    check_finite(array, name)
    return array


def check_image(image: ImageArray, name: str = "image") -> UInt8[np.ndarray, "H W 3"]:
    """Return (H, W, 3) uint8 pixels of an image in [0, 1]; raise ValueError for anything else."""
    array = to_numpy(image)
    if array.ndim != 3 or array.shape[0] != 3 or array.size == 0:
        raise ValueError(f"{name} must be (3, H, W), got {array.shape}")
    check_finite(array, name)
    if array.min() < -1e-3 or array.max() > 1 + 1e-3:
        raise ValueError(
            f"{name} must lie in [0, 1], got {array.min():.2f} to {array.max():.2f}; "
            "is it normalised for a network, or in 0..255?"
        )
    return (array.transpose(1, 2, 0).clip(0, 1) * 255).round().astype(np.uint8)


def choose(count: int, max_points: int) -> np.ndarray:
    """Choose the points to draw: an ascending index of all, or of `max_points` drawn at random.

    The draw has a fixed seed: equal counts give equal choices, so two clouds of one scan keep the
    same points. Taking every k-th point would keep some beams of the lidar and lose others.

    Raises:
        ValueError: max_points below 1.
    """
    if max_points < 1:
        raise ValueError(f"max_points must be at least 1, got {max_points}")
    if count <= max_points:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:max_points])


def colour_or_height(
    points: Float[np.ndarray, "N 3"], colour: Colour | None, scale: str | None, legend: str | None
) -> tuple[Colour, str | None, str | None]:
    """Return colour, scale and legend; without a colour, those of heights above the ground."""
    if colour is not None:
        return colour, scale, legend
    height = height_above_ground(torch.from_numpy(points))
    return height, scale or "height", legend or "height above the ground (m)"


def count_text(shown: int, count: int) -> str:
    """Write how many points are drawn: "15,000 of 31,218 points"."""
    return f"{count:,} points" if shown == count else f"{shown:,} of {count:,} points"


def robust_limits(values: np.ndarray, percent: Number = 1.0) -> tuple[float, float]:
    """Return the `percent` and 100 - `percent` percentiles; widened where all values are equal."""
    low, high = (float(v) for v in np.percentile(values, [percent, 100 - percent]))
    pad = max(0.5, 1e-3 * abs(low))
    return (low, high) if high > low else (low - pad, high + pad)


def palette(rgb: UInt8[np.ndarray, "N 3"]) -> tuple[np.ndarray, UInt8[np.ndarray, "P 3"]]:
    """Write colours as an index into a list of them: one or two bytes a point instead of a string.

    Up to 4,096 different colours are exact. More are first rounded to 16 levels a channel (an error
    of at most 8 of 255). The rounding does not depend on the other colours: equal stays equal.

    Returns:
        index: (N,) uint8 or uint16, into the list.
        colours: the list.
    """
    codes, index = _distinct(rgb)
    if len(codes) > 4096:
        codes, index = _distinct(((rgb.astype(np.uint16) + 8) // 17 * 17).astype(np.uint8))
    colours = np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=1).astype(np.uint8)
    return index.astype(np.uint8 if len(colours) <= 256 else np.uint16), colours


def _distinct(rgb: UInt8[np.ndarray, "N 3"]) -> tuple[np.ndarray, np.ndarray]:
    """Return the different colours as numbers 0xRRGGBB, and the position of each row's colour."""
    codes = rgb.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    return np.unique(codes, return_inverse=True)
