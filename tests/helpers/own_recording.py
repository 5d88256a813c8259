"""Writes small recordings as users have them: point files of any kind, images, recording.json."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

K = [[80.0, 0, 50], [0, 80, 30], [0, 0, 1]]
# the lidar's x is right, y forward, z up
T = [[1.0, 0, 0, 0.1], [0, 0, -1, 0], [0, 1, 0, 0.2], [0, 0, 0, 1]]
SIZE = (60, 100)
NAMES = ("x", "y", "z", "intensity")


def rows(seed: int = 0, count: int = 400) -> np.ndarray:
    """(R, 4) float32: x, y, z, intensity, with columns that can be told apart."""
    rng = np.random.default_rng(seed)
    xyz = rng.uniform([-20, -20, -2], [20, 40, 3], (count, 3))
    return np.column_stack([xyz, rng.integers(5, 200, count)]).astype(np.float32)


def picture(seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (*SIZE, 3), np.uint8))


def write_recording(root: Path, count: int = 3, names=None, **changes) -> Path:
    """A folder of .bin scans and images with recording.json; `changes` replace its fields."""
    names = names or [f"{number:03}" for number in range(count)]
    for folder in ("lidar", "images/front"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        rows(number).tofile(root / f"lidar/{name}.bin")
        picture(number).save(root / f"images/front/{name}.png")
    content = {
        "lidar": {"files": "lidar", "columns": list(NAMES)},
        "cameras": {"front": {"images": "images/front", "K": K, "T_cam_lidar": T}},
    }
    content |= changes
    content = {name: value for name, value in content.items() if value is not None}
    (root / "recording.json").write_text(json.dumps(content))
    return root


def write_labelled(root: Path, count: int) -> Path:
    """A recording whose scan 000 has a file of so many labels."""
    write_recording(root, labels={"files": "labels", "classes": {"0": "car"}})
    (root / "labels").mkdir()
    np.zeros(count, np.uint8).tofile(root / "labels/000.label")
    return root
