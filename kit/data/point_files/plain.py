"""Point files of plain numbers: .bin without a header, and NumPy's .npy and .npz."""

import io
import zipfile
from pathlib import Path

import numpy as np

from kit.data.point_files.columns import MAX_ROWS, Layout, by_name
from kit.data.scan_layout import other_layout
from kit.store.formats import SURE, format_of
from kit.store.reading import read_regular

_MAX_BYTES = MAX_ROWS * 8 * 8


def read_bin(file: Path, layout: Layout) -> dict[str, np.ndarray]:
    """Read rows of numbers without a header; the columns must be named.

    Raises:
        ValueError: the columns are not named, or the file has another layout.
    """
    if layout.columns is None:
        raise ValueError(
            f"{file}: a .bin file does not tell its columns. Name them, e.g. columns = "
            '["x", "y", "z", "intensity"], as an option or in recording.json'
        )
    data, names = read_regular(file), layout.columns
    one = isinstance(layout.dtype, str)
    types = [layout.dtype] * len(names) if one else list(layout.dtype)
    row = np.dtype([(n, np.dtype(t).newbyteorder("<")) for n, t in zip(names, types, strict=True)])
    expected = f"expected rows of {', '.join(names)} ({layout.dtype if one else ', '.join(types)})"
    seems = format_of(data, least=SURE)
    if one and layout.dtype.startswith("float"):
        seems = seems or other_layout(data, len(names), f"<f{row[0].itemsize}")
    if seems:
        raise ValueError(f"{file}: {expected}, this seems to be {seems}")
    if len(data) == 0 or len(data) % row.itemsize:
        raise ValueError(
            f"{file}: {expected}, a multiple of {row.itemsize} bytes, got {len(data):,} bytes. Is "
            "the download complete, or are there other columns?"
        )
    rows = np.frombuffer(data, row)
    return {name: rows[name] for name in names}


def read_npy(file: Path, layout: Layout) -> dict[str, np.ndarray]:
    """Read an array (R, C) of numbers, or one with named fields."""
    return _columns(read_array(file), file, layout)


def read_array(file: Path) -> np.ndarray:
    """Read the array of a .npy file; raises ValueError if it holds Python objects."""
    return _load(file, io.BytesIO(read_regular(file)))


def read_npz(file: Path, layout: Layout) -> dict[str, np.ndarray]:
    """Read arrays by name: x, y, z, intensity ..., or (R, 3) `points` beside (R,) others.

    An archive of a single array is read like a .npy file.
    """
    data = io.BytesIO(read_regular(file))
    try:
        with zipfile.ZipFile(data) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > _MAX_BYTES:
                raise ValueError("its arrays are too large")
            names = [entry.filename for entry in entries if entry.filename.endswith(".npy")]
            opened = {n.removesuffix(".npy").lower(): io.BytesIO(archive.read(n)) for n in names}
    except Exception as error:  # zipfile raises several types
        raise ValueError(f"{file}: expected an archive of numpy.savez ({error})") from error
    arrays = {name: _load(file, content) for name, content in opened.items()}
    if len(arrays) == 1:
        return _columns(next(iter(arrays.values())), file, layout)
    columns = {}
    for name, array in arrays.items():
        if array.ndim == 2 and array.shape[1] == 3 and name in ("points", "xyz", "positions"):
            columns |= by_name(array, ("x", "y", "z"))
        elif array.ndim == 2 and array.shape[1] == 1:
            columns[name] = array[:, 0]
        elif array.ndim == 1:
            columns[name] = array
    lengths = {name: len(values) for name, values in columns.items()}
    if "x" in columns:
        columns = {n: v for n, v in columns.items() if len(v) == lengths["x"] or n in "yz"}
    if len({len(values) for values in columns.values()}) > 1:
        raise ValueError(f"{file}: expected arrays of one length, got {lengths}")
    return columns


def _load(file: Path, content: io.BytesIO) -> np.ndarray:
    """An array without Python objects, which could execute code."""
    try:
        if not content.getvalue().startswith(b"\x93NUMPY"):
            raise ValueError(f"this seems to be {format_of(content.getvalue()) or 'another file'}")
        array = np.load(content, allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError, SyntaxError) as error:
        reason = str(error).partition("\n")[0][:150]
        raise ValueError(f"{file}: expected a NumPy array ({reason})") from error
    if len(np.shape(array)) and len(array) > MAX_ROWS:
        raise ValueError(f"{file}: {len(array):,} rows, at most {MAX_ROWS:,} are read")
    return array


def _columns(array: np.ndarray, file: Path, layout: Layout) -> dict[str, np.ndarray]:
    """The columns of one array, named by its fields, the layout, or as x, y, z."""
    if array.dtype.names:
        array = array.reshape(-1)
        return {name.lower(): array[name] for name in array.dtype.names}
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise ValueError(
            f"{file}: expected (N, C) numbers, got the shape {array.shape} of {array.dtype}"
        )
    names = layout.columns or (("x", "y", "z") if array.shape[1] == 3 else None)
    if names is None or len(names) != array.shape[1]:
        given = f"columns names {len(names)}" if names else "they are not named"
        raise ValueError(
            f"{file}: an array of {array.shape[1]} columns, and {given}. Name them, e.g. columns = "
            '["x", "y", "z", "intensity"], as an option or in recording.json'
        )
    return by_name(array, names)
