"""Point files of any usual kind, read as named columns and then as a scan.

Read `columns.py` first; every other file reads some kinds of files. A new kind is one file and one
line in `READERS`: a function (file, layout) -> columns by name.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from kit.data.point_files.columns import Layout, scan_of_columns
from kit.data.scans import Scan

# The reader of every ending, "module:function"; modules are imported when they are first needed.
READERS: dict[str, str] = {
    ".bin": "kit.data.point_files.plain:read_bin",
    ".npy": "kit.data.point_files.plain:read_npy",
    ".npz": "kit.data.point_files.plain:read_npz",
    ".pcd": "kit.data.point_files.open3d_files:read_pcd",
    ".ply": "kit.data.point_files.open3d_files:read_ply",
    ".las": "kit.data.point_files.las:read_las",
    ".laz": "kit.data.point_files.las:read_las",
    ".csv": "kit.data.point_files.tables:read_csv",
    ".parquet": "kit.data.point_files.tables:read_parquet",
    ".feather": "kit.data.point_files.tables:read_feather",
}


def is_point_file(name: str) -> bool:
    """Whether a file has the ending of a point file; hidden files have none."""
    return Path(name).suffix.lower() in READERS and not name.startswith(".")


def read_columns(file: Path, layout: Layout | None = None) -> dict[str, np.ndarray]:
    """Read the columns of a point file.

    Args:
        file: with one of the endings in `READERS`.
        layout: names and types of columns, for files that do not tell them.

    Returns:
        (R,) numbers by the name of the column, in lower case.

    Raises:
        OSError: the file cannot be read.
        ValueError: the ending is unknown, the content is not that of such a file or has another
            layout, or the file names its columns and the layout names others; names the file.
        ModuleNotFoundError: a library for this kind of file is not installed; says which.
    """
    ending = file.suffix.lower()
    if ending not in READERS:
        raise ValueError(f"{file}: expected a point file, one of {', '.join(READERS)}")
    module, _, name = READERS[ending].partition(":")
    reader: Callable[[Path, Layout], dict[str, np.ndarray]] = getattr(import_module(module), name)
    layout = layout or Layout()
    columns = reader(file, layout)
    if absent := [name for name in layout.columns or () if name not in columns]:
        raise ValueError(
            f"{file}: columns: {', '.join(absent)} not found, the file itself names its columns: "
            f"{', '.join(columns)}. Leave columns out for this kind of file"
        )
    return columns


def read_points(file: Path, layout: Layout | None = None) -> Scan:
    """Read a point file as a scan; raises the errors of `read_columns`."""
    layout = layout or Layout()
    return scan_of_columns(read_columns(file, layout), file, layout)


__all__ = ["READERS", "Layout", "is_point_file", "read_columns", "read_points", "scan_of_columns"]
