"""ROS bags and MCAP files, read without ROS.

In: a folder of ROS 2 (metadata.yaml and .db3 or .mcap), one such file, or a .bag of ROS 1. Out: one
keyframe per point cloud, with the nearest image of each camera. Read `reader.py` first;
`contents.py` chooses topics, `messages.py` decodes messages, `transforms.py` joins /tf.
"""

from pathlib import Path

from kit.data.keyframe import Dataset

LOOKS_FOR = "a ROS bag: a folder with metadata.yaml, or a file .mcap, .db3 or .bag"
SUFFIXES = (".mcap", ".db3", ".bag")


def recognises(source: str) -> bool:
    """Return whether `source` is a ROS bag or a folder with exactly one."""
    return bag_path(Path(source)) is not None


def bag_path(source: Path) -> Path | None:
    """The path that is opened: the folder of ROS 2, or a file; None if this is no bag."""
    if source.is_file():
        return source if source.suffix in SUFFIXES else None
    if not source.is_dir():
        return None
    if (source / "metadata.yaml").is_file():
        return source
    files = [file for file in source.iterdir() if file.suffix in SUFFIXES and file.is_file()]
    return files[0] if len(files) == 1 else None


def open(source: str, **options) -> Dataset:
    """Open a bag; `options` are those of `Bag`."""
    from kit.data.bag.reader import Bag

    return Bag(source, **options)
