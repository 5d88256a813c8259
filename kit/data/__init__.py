"""Data sets: recordings on disk and the simulated street, read as keyframes.

In: the root of a data set, or the name "street". Out: a `Dataset` of `Keyframe`s, with finite
points, cameras with extrinsics and intrinsics, and labels in one class map. The rest of the kit
depends on no data set format. Read `keyframe.py` first, then `nuscenes/folder.py` and `split.py`.
"""

import os
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
    "nuscenes": "kit.data.nuscenes",
}


def open_dataset(source: str | Path, **options) -> Dataset:
    """Open a data set in any format of `FORMATS`.

    Args:
        source: the root of a data set, e.g. one in the nuScenes schema; or "street" for the
            simulated default.
        options: arguments of the format, e.g. `version="v1.0-trainval"` for nuScenes or
            `num_scenes=2` for the street.

    Raises:
        FileNotFoundError: nothing exists at `source`, or no format recognises it. The message lists
            what was looked for and what was found.
    """
    source = os.path.expanduser(source)
    formats = {}
    for name, module in FORMATS.items():
        formats[name] = import_module(module)
        if formats[name].recognises(source):
            return formats[name].open(source, **options)
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
    )
