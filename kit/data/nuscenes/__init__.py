"""Data sets in the nuScenes schema: nuScenes itself, and data sets converted to it.

In: the root of a data set, which may be a partial download. Out: keyframes, with annotated boxes
and lidarseg labels where there are any. Read `folder.py` first; `tables.py` reads the JSON tables
into the records of `records.py`, and `boxes.py` reads the annotated boxes.
"""

from pathlib import Path

from kit.data.keyframe import Dataset

LOOKS_FOR = (
    "a version folder (a sub-folder such as v1.0-mini, or annotation of T4, with sample.json in it)"
)


def recognises(source: str) -> bool:
    """Return whether `source` is a root in the nuScenes schema, or a version folder of one."""
    from kit.data.nuscenes.folder import has_tables, revisions, version_folders

    root = Path(source)
    return root.is_dir() and (
        has_tables(root) or bool(version_folders(root)) or bool(revisions(root))
    )


def open(source: str, **options) -> Dataset:
    """Open a root in the nuScenes schema; `options` are those of `NuScenesFolder`."""
    from kit.data.nuscenes.folder import NuScenesFolder

    return NuScenesFolder(source, **options)
