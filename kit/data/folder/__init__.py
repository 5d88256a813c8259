"""A folder of scans and images with one calibration file, or a single point file.

In: a folder with recording.json, that file, or a point file. Out: keyframes. Nothing is converted.
Read `description.py` and `recording.schema.json` first; `files.py` finds which files belong
together, `dataset.py` makes keyframes, `propose.py` writes a first recording.json.
"""

from pathlib import Path

from kit.data.keyframe import Dataset

LOOKS_FOR = (
    "recording.json (`python -m kit init-recording FOLDER` writes a first one), or a point file "
    "(.pcd .ply .las .laz .npy .npz .bin .csv .parquet)"
)


def recognises(source: str) -> bool:
    """Return whether `source` is a folder with recording.json, such a file, or a point file."""
    from kit.data.point_files import is_point_file

    path = Path(source)
    if path.is_dir():
        return (path / "recording.json").is_file()
    return path.is_file() and (path.suffix == ".json" or is_point_file(path.name))


def open(
    source: str,
    columns: list[str] | tuple[str, ...] | None = None,
    dtype: str | list[str] | tuple[str, ...] = "float32",
    intensity: str | None = None,
    time: str | None = None,
    time_unit: str | None = None,
) -> Dataset:
    """Open a folder with recording.json, or a single point file.

    Args:
        source: the folder, its recording.json, or the point file.
        columns: names of the columns of a point file that does not tell them, e.g. ("x", "y", "z",
            "intensity") of a .bin file.
        dtype: of a .bin file: one type, or one for each column.
        intensity: name of the column with the intensity.
        time: name of the column with the times of points; None: one with a usual name, if its unit
            can be recognised.
        time_unit: of these times: "s", "ms", "us" or "ns"; None: it is recognised.
    """
    from kit.data.folder.dataset import open_point_file, open_recording
    from kit.data.point_files import Layout

    path = Path(source)
    if path.is_dir() or path.suffix == ".json":
        if any(each is not None for each in (columns, intensity, time, time_unit)):
            raise ValueError("columns, intensity, time: recording.json names them; change it there")
        return open_recording(path / "recording.json" if path.is_dir() else path)
    layout = Layout(
        None if columns is None else tuple(columns),
        dtype if isinstance(dtype, str) else tuple(dtype),
        intensity,
        time,
        time_unit,
    )
    return open_point_file(path, layout)
