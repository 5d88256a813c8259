"""Data sets: recordings on disk and the simulated street, read as keyframes.

In: the root of a data set, or the name "street". Out: a `Dataset` of `Keyframe`s, with finite
points, cameras with extrinsics and intrinsics, and labels in one class map; no other room depends
on a format. Read `keyframe.py` first, then `nuscenes/folder.py` (a reader), `split.py`, and
`classes.py` with `class_maps.py` (classes of nuScenes and of others).
"""

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from kit.data.keyframe import Dataset

# Every format of `open_dataset`, in the order in which they are tried: its name, and its module,
# which is imported when it is first needed. The module has three names:
#   LOOKS_FOR: str                           what identifies the format, for error messages
#   recognises(source: str) -> bool          whether `source` is a data set of this format
#   open(source: str, **options) -> Dataset
FORMATS: dict[str, str] = {
    "street": "kit.street",
    "folder": "kit.data.folder",
    "nuscenes": "kit.data.nuscenes",
    "kitti": "kit.data.kitti",
    "kitti_raw": "kit.data.kitti_raw",
    "argoverse2": "kit.data.argoverse2",
    "pandaset": "kit.data.pandaset",
    "rellis3d": "kit.data.rellis3d",
    "semantickitti": "kit.data.semantickitti",
    "py123d": "kit.data.py123d_logs",
    "bag": "kit.data.bag",  # the last: one stray file of a bag is enough for it
}


def open_dataset(
    source: str | Path | Dataset | list | tuple,
    *,
    weights: Sequence[float | int] | None = None,
    clock_offsets: Mapping[str, float] | None = None,
    sweeps: int = 0,
    **options,
) -> Dataset:
    """Open a data set in any format of `FORMATS`, or several as one.

    Args:
        source: the root of a data set, e.g. one in the nuScenes schema; or "street" for the
            simulated default. A list of roots and opened data sets gives a `Mixture`.
        weights: of a list, how often training draws from each, e.g. (3, 1); None: in proportion to
            their numbers of keyframes.
        clock_offsets: seconds to add to the time stamps of cameras to get the lidar's clock, by
            camera name, e.g. {"CAM_FRONT": 0.05}; see `kit.data.clocks`.
        sweeps: turns of the lidar before each keyframe to add to it, see `kit.Accumulated`; of a
            list, in each data set.
        options: arguments of the format, e.g. `version="v1.0-trainval"` for nuScenes or
            `num_scenes=2` for the street.

    Raises:
        FileNotFoundError: nothing exists at `source`, or no format recognises it. The message lists
            what was looked for and what was found.
        ValueError: weights without a list, options with one, an invalid clock offset, or sweeps of
            a data set that has none.
    """
    if isinstance(source, str | Path):
        if weights is not None:
            raise ValueError("weights: expected a list of data sets to mix, got one")
        dataset = _with_sweeps(_open_one(source, options), sweeps)
    elif options:
        raise ValueError(
            f"{', '.join(options)}: which of the data sets is meant? Open each with its own "
            "options, and give the opened ones in a list"
        )
    elif isinstance(source, list | tuple):
        opened = [_open_one(each, {}) if isinstance(each, str | Path) else each for each in source]
        opened = [_with_sweeps(each, sweeps) for each in opened]
        dataset = opened[0] if len(opened) == 1 and weights is None else _mix(opened, weights)
    else:
        dataset = _with_sweeps(source, sweeps)
    if clock_offsets:
        from kit.data.clocks import ClockOffsets

        dataset = ClockOffsets(dataset, clock_offsets)
    return dataset


def format_of(source: str | Path) -> str | None:
    """The name of the format that `open_dataset` would open a path in; None if there is none."""
    found = (n for n, module in FORMATS.items() if import_module(module).recognises(str(source)))
    return next(found, None)


def _with_sweeps(dataset: Dataset, sweeps: int) -> Dataset:
    if not sweeps:
        return dataset
    from kit.data.sweeps import Accumulated

    return Accumulated(dataset, sweeps)


def _mix(parts: Sequence[Dataset], weights: Sequence[float | int] | None) -> Dataset:
    from kit.data.mixture import Mixture

    return Mixture(parts, weights)


def _open_one(source: str | Path, options: dict) -> Dataset:
    """Open the data set at one path; raises FileNotFoundError."""
    source = os.path.expanduser(source)
    if name := format_of(source):
        return import_module(FORMATS[name]).open(source, **options)
    formats = {name: import_module(module) for name, module in FORMATS.items()}
    wanted = "; ".join(f"{name}: {module.LOOKS_FOR}" for name, module in formats.items())
    root = Path(source)
    if not root.exists():
        raise FileNotFoundError(
            f"{root}: no such folder. Give the root of a data set, or the name of the simulated "
            f"one. Known formats: {wanted}."
        )
    entries = sorted(entry.name for entry in root.iterdir()) if root.is_dir() else ["a file"]
    raise FileNotFoundError(
        f"{root}: not recognised. Looked for {wanted}; found {', '.join(entries[:8]) or 'nothing'}."
        f"{_neighbour(root)}"
    )


def _neighbour(root: Path) -> str:
    """A data set in the folder above or in one below, for messages; "" if there is none."""
    inner = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    for path in (*inner[:20], Path(os.path.abspath(root)).parent):
        if name := format_of(path):
            return f" Did you mean {path} ({name})?"
    return ""
