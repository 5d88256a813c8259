"""RELLIS-3D in the layout of SemanticKITTI: off-road scans of an Ouster OS1-64.

    velodyne/000104.bin    scan: rows of x, y, z, intensity; slots without a return are all zero
    labels/000104.label    class of every row
    image_2/000104.jpg     camera
    calib.txt              P2, Tr

It is distinguished from SemanticKITTI by the ids in its labels.
"""

from pathlib import Path

import numpy as np

from kit.data.class_maps import RELLIS, SEMANTIC_KITTI
from kit.data.classes import UNKNOWN, ClassMap
from kit.data.keyframe import Dataset
from kit.data.semantickitti import SemanticKitti, read_labels, sequences_of

LOOKS_FOR = "velodyne/*.bin and labels/*.label with ids of RELLIS-3D, here or in sequences/*/"


def recognises(source: str) -> bool:
    """Return whether the first label file has ids of RELLIS-3D that SemanticKITTI lacks."""
    for folder in sequences_of(Path(source)).values():
        for file in sorted((folder / "labels").glob("*.label")):
            try:
                ids = np.unique(read_labels(file) & 0xFFFF)
            except (OSError, ValueError):
                continue
            return _are_of(RELLIS, ids) and not _are_of(SEMANTIC_KITTI, ids)
    return False


def open(source: str, **options) -> Dataset:
    """Open RELLIS-3D; `options` are those of `Rellis3D`."""
    return Rellis3D(source, **options)


def _are_of(classes: ClassMap, ids: np.ndarray) -> bool:
    known = {i for i, which in enumerate(classes.class_of_raw) if which != UNKNOWN}
    return set(ids.tolist()) <= known


class Rellis3D(SemanticKitti):
    """RELLIS-3D in the layout of SemanticKITTI; a `Dataset`.

    The Ouster's scan is a grid: rows with the position (0, 0, 0) had no return and are dropped.
    `Keyframe.num_dropped` counts them.

    Source: P. Jiang et al., arXiv:2011.12954.
    """

    def __init__(self, root: str | Path, **options):
        """List the files; arguments are those of `SemanticKitti`."""
        defaults = {"classes": RELLIS, "lidar": "Ouster OS1-64", "published": None}
        super().__init__(root, **(defaults | options))
