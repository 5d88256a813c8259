"""A new data set: a folder of scans in NumPy files, (N, 4) x, y, z in metres and intensity."""

from pathlib import Path

import numpy as np
import torch

from kit.data.classes import NUSCENES
from kit.data.keyframe import Keyframe, Sensor

LOOKS_FOR = "scans as scan_*.npy"


def recognises(source: str) -> bool:
    return any(Path(source).glob("scan_*.npy"))


def open(source: str) -> "NumpyFolder":
    return NumpyFolder(Path(source))


class NumpyFolder:
    """Scans without cameras and labels, one scene."""

    classes, has_labels = NUSCENES, False
    sensor = Sensor("unknown", 0.0, 1.0)

    def __init__(self, root: Path):
        self.files = sorted(root.glob("scan_*.npy"))
        self.name = root.name
        self.tokens = [file.stem for file in self.files]
        self.scenes = [root.name] * len(self.files)

    def prepare(self, keyframes=None) -> None: ...

    def content(self) -> str:
        return ""

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Keyframe:
        rows = torch.from_numpy(np.load(self.files[index])).float()
        return Keyframe(
            token=self.tokens[index],
            scene=self.scenes[index],
            points=rows[:, :3],
            intensity=rows[:, 3],
            cameras={},
            sensor=self.sensor,
            classes=self.classes,
        )
