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

# Where recording.json says what the options say of a single point file.
_FIELDS = {
    "columns": "lidar.columns",
    "dtype": "lidar.dtype",
    "intensity": "lidar.intensity",
    "time": "lidar.point_times.column",
    "time_unit": "lidar.point_times.unit",
}


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
    dtype: str | list[str] | tuple[str, ...] | None = None,
    intensity: str | None = None,
    time: str | None = None,
    time_unit: str | None = None,
) -> Dataset:
    """Open a folder with recording.json, or a single point file.

    Args:
        source: the folder, its recording.json, or the point file.
        columns: names of the columns of a point file that does not tell them, e.g. ("x", "y", "z",
            "intensity") of a .bin file.
        dtype: of a .bin file: one type, or one for each column; None: float32.
        intensity: name of the column with the intensity.
        time: name of the column with the times of points; None: one with a usual name, if its unit
            can be recognised.
        time_unit: of these times: "s", "ms", "us" or "ns"; None: it is recognised.

    Raises:
        OSError, ValueError: see `FolderRecording`; or an option is given that has no effect.
    """
    from kit.data.folder.dataset import open_point_file, open_recording
    from kit.data.point_files import Layout

    path, given = Path(source), (columns, dtype, intensity, time, time_unit)
    if path.is_dir() or path.suffix == ".json":
        file = path / "recording.json" if path.is_dir() else path
        for (option, field), value in zip(_FIELDS.items(), given, strict=True):
            if value is not None:
                raise ValueError(
                    f"{option}={value!r} is an option for a single point file. Here, write {field} "
                    f"into {file}"
                )
        return open_recording(file)
    if dtype is not None and path.suffix.lower() != ".bin":
        raise ValueError(
            f"dtype: {path} tells its types itself, only .bin files do not. Leave it out"
        )
    layout = Layout(
        None if columns is None else tuple(columns),
        "float32" if dtype is None else dtype if isinstance(dtype, str) else tuple(dtype),
        intensity,
        time,
        time_unit,
    )
    return open_point_file(path, layout)
