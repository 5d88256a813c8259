"""ROS bags and MCAP files, read without ROS.

In: a folder of ROS 2 (metadata.yaml and .db3 or .mcap), one such file, or a .bag of ROS 1. Out: one
keyframe per point cloud, with the nearest image of each camera. Read `reader.py` first;
`contents.py` lists topics and times, `topics.py` finds those of a camera, `messages.py` decodes
messages, `transforms.py` joins /tf.
"""

from pathlib import Path

from kit.data.keyframe import Dataset
from kit.store.reading import read_regular

LOOKS_FOR = "a ROS bag: a folder with metadata.yaml of rosbag2, or a file .mcap, .db3 or .bag"
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
    if _is_rosbag2(source):
        return source
    files = [file for file in source.iterdir() if file.suffix in SUFFIXES and file.is_file()]
    return files[0] if len(files) == 1 else None


def _is_rosbag2(folder: Path) -> bool:
    """Whether metadata.yaml is that of rosbag2; a damaged one is, if a storage file is beside it.

    Many programs write a file of this name.
    """
    file = folder / "metadata.yaml"
    if not file.is_file():
        return False
    if any(set(SUFFIXES) & set(each.suffixes) for each in folder.iterdir()):  # also x.db3.zstd
        return True
    try:
        return b"rosbag2_bagfile_information" in read_regular(file)
    except (OSError, ValueError):
        return False


def open(source: str, **options) -> Dataset:
    """Open a bag; `options` are those of `Bag`."""
    from kit.data.bag.reader import Bag

    return Bag(source, **options)
