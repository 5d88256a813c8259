"""Detection of the layout of a scan file: number of columns, number type, or another format.

A file of plain numbers has no header. If it is read with the wrong number of columns, every value
becomes a value of another column, and nothing fails. Two properties show the layout:

- With the right number type nearly all values are 0, or between 1e-12 and 1e6 in magnitude. Bytes
  of another type, read as float32, have random exponents.
- With the right number of columns, values of one column are similar to each other, and different
  from those of other columns. With a wrong number every column holds a mixture of all.
"""

import numpy as np

from kit.store.formats import SURE, format_of

TYPES = ("<f4", "<f8", ">f4", ">f8", "<f2")
_NAMES = {"<f4": "float32", "<f8": "float64", ">f4": "big-endian float32", "<f2": "float16"}
_NAMES |= {">f8": "big-endian float64"}
_COLUMNS = (3, 4, 5, 6, 7, 8)
_KNOWN = {3: " (x, y, z)", 4: " (x, y, z, intensity, as in KITTI)"}
_LEAST_ROWS = 200  # fewer rows show no number of columns
_SAMPLE = 25_200  # values that are looked at: a multiple of every number of columns


def other_layout(data: bytes, columns: int, expected: str = "<f4") -> str | None:
    """Find out whether a scan file is something else than rows of values of one float type.

    Args:
        data: the whole file, or its beginning.
        columns: the expected number of values in a row.
        expected: NumPy's name of their type, one of `TYPES`.

    Returns:
        what the file seems to be, in words; None if it agrees with the expectation, or is too short
        to tell.
    """
    if found := format_of(data, least=SURE):
        return found
    if _is_text(data[:1000]):
        return "text"
    order = (expected, *(each for each in TYPES if each != expected))
    kind = next((t for t in order if _is_plausible(_values(data, t))), None)
    if kind is None:
        return None if len(data) < 20 * _LEAST_ROWS else "numbers of an unknown type"
    found = _num_columns(_values(data, kind), columns)
    if kind == expected and found in (None, columns):
        return None
    rows = f"rows of {found} " if found else ""
    return f"{rows}{_NAMES[kind]}{' values' * (not found)}{_KNOWN.get(found, '')}"


def _values(data: bytes, kind: str) -> np.ndarray:
    """The first values of a file, float64."""
    size = np.dtype(kind).itemsize
    with np.errstate(invalid="ignore"):  # of signalling NaN
        return np.frombuffer(data, kind, min(len(data) // size, _SAMPLE)).astype(np.float64)


def _is_text(data: bytes) -> bool:
    return bool(data) and all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in data)


def _is_plausible(values: np.ndarray) -> bool:
    """Whether nearly all values could be coordinates, intensities, rings or times.

    Beams without a return may be marked by values that are not finite, or by a few huge ones.
    """
    size = np.abs(values[np.isfinite(values)])
    huge = size > 1e6
    if len(np.unique(size[huge])) <= 4:
        size = size[~huge]
    odd = (size > 1e6) | ((size != 0) & (size < 1e-12))
    return len(size) == 0 or bool(odd.mean() <= 0.02)


def _num_columns(values: np.ndarray, expected: int) -> int | None:
    """The most likely number of columns; None if there are too few values to tell."""
    if len(values) < _LEAST_ROWS * expected:
        return None
    candidates = dict.fromkeys((*_COLUMNS, expected))
    contrast = {columns: _contrast(values, columns) for columns in candidates}
    most = max(contrast.values())
    if most < 0.02 or contrast[expected] > most / 2:
        return expected
    return min(columns for columns in candidates if contrast[columns] > 0.9 * most)


def _contrast(values: np.ndarray, columns: int) -> float:
    """How different the columns are: chi squared of column and size class, for each value.

    With a multiple of the right number of columns the result is the same.
    """
    rows = values[: len(values) // columns * columns].reshape(-1, columns)
    edges = (-30, -10, -3, -1, -0.1, -1e-3, 1e-3, 0.1, 1, 3, 10, 30)
    classes = np.searchsorted(edges, np.nan_to_num(rows, nan=0.0))  # (rows, columns)
    counts = np.stack([np.bincount(column, minlength=len(edges) + 1) for column in classes.T])
    expected = counts.mean(0)
    chi_squared = ((counts - expected) ** 2 / np.maximum(expected, 1)).sum()
    free = (columns - 1) * len(edges)  # the mean of chi squared without any difference
    return max(float(chi_squared) - free, 0.0) / rows.size
