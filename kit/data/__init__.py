"""Data: recordings on disk, and the embedded street, as keyframes.

In: the path of a data set, or "street". Out: a `Dataset` of `Keyframe`s: finite points, cameras with
extrinsics, labels in one class map. Nothing else in the kit knows a data set. Read `keyframe.py`
first, then `nuscenes/folder.py` and `split.py`.
"""

from pathlib import Path

from kit.data.keyframe import Dataset


def open_dataset(source: str | Path, **options) -> Dataset:
    """Open the embedded street or a folder on disk.

    Args:
        source: "street" for the simulated default, or the root of a data set in the nuScenes
            schema.
        options: passed on to the data set, e.g. `version="v1.0-trainval"`.

    Raises:
        FileNotFoundError: the folder does not exist or holds nothing that is recognised; says what
            was looked for.
    """
    if str(source) == "street":
        from kit.street.dataset import Street

        return Street(**options)
    from kit.data.nuscenes.folder import NuScenesFolder, looks_like_nuscenes

    root = Path(source).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root}: no such folder. Give the root of a data set in the nuScenes schema, "
            'or "street" for the embedded simulated one.'
        )
    if not looks_like_nuscenes(root):
        found = ", ".join(sorted(entry.name for entry in root.iterdir())[:8]) or "nothing"
        raise FileNotFoundError(
            f"{root}: not recognised. Looked for a nuScenes version folder (a sub-folder such as "
            f"v1.0-mini with sample.json in it); found {found}."
        )
    return NuScenesFolder(root, **options)
