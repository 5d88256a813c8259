"""LAS and LAZ files, read by laspy."""

import io
from pathlib import Path

import numpy as np

from kit.data.point_files.columns import MAX_ROWS, Layout
from kit.store.formats import format_of
from kit.store.reading import read_regular


def read_las(file: Path, layout: Layout) -> dict[str, np.ndarray]:
    """Read all dimensions; x, y and z in metres, with the scale and offset of the file."""
    try:
        import laspy
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'{file}: LAS and LAZ files need laspy. Install it with `pip install "laspy[lazrs]"`'
        ) from error
    data = read_regular(file)
    if not data.startswith(b"LASF"):
        seems = format_of(data) or "another file"
        raise ValueError(f"{file}: expected a LAS or LAZ file, this seems to be {seems}")
    try:
        with laspy.open(io.BytesIO(data)) as opened:
            if opened.header.point_count > MAX_ROWS:
                raise ValueError(f"more than {MAX_ROWS:,} points")
            cloud = opened.read()
    except Exception as error:  # laspy and lazrs raise many types for damaged files
        reason = str(error).partition("\n")[0][:150]
        raise ValueError(f"{file}: cannot read this file ({reason}). Is it complete?") from error
    columns = {name: np.asarray(getattr(cloud, name)) for name in ("x", "y", "z")}
    for name in cloud.point_format.dimension_names:
        if name.lower() not in columns:
            columns[name.lower()] = np.asarray(cloud[name])
    return columns
