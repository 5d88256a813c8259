"""The table of data set formats, shown with a new one: one module and one line."""

import sys

import numpy as np
import pytest
import torch

import kit
from kit.data import FORMATS, open_dataset

SCRATCH_FORMAT = '''
"""Folders of (N, 4) float32 arrays: x, y, z, intensity."""

from pathlib import Path

import numpy as np
import torch

from kit.data.classes import NUSCENES
from kit.data.keyframe import Keyframe, Sensor

LOOKS_FOR = "files named scan_*.npy"


def recognises(source):
    return any(Path(source).glob("scan_*.npy"))


def open(source, **options):
    return Arrays(Path(source), **options)


class Arrays:
    classes, sensor, has_labels = NUSCENES, Sensor("unknown lidar", 0.0, 1.0), False

    def __init__(self, root, every=1):
        self.name, self.files = root.name, sorted(root.glob("scan_*.npy"))[::every]
        self.tokens = [file.stem for file in self.files]
        self.scenes = [root.name] * len(self.files)

    def prepare(self, keyframes=None):
        pass

    def content(self):
        return ""

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        rows = torch.from_numpy(np.load(self.files[index]))
        return Keyframe(
            token=self.tokens[index],
            scene=self.name,
            points=rows[:, :3],
            intensity=rows[:, 3],
            cameras={},
            sensor=self.sensor,
            classes=self.classes,
        )
'''


@pytest.fixture
def scratch_format(tmp_path, monkeypatch):
    (tmp_path / "scratch_format.py").write_text(SCRATCH_FORMAT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(FORMATS, "scratch", "scratch_format")
    yield
    sys.modules.pop("scratch_format", None)


@pytest.fixture
def arrays(tmp_path):
    root = tmp_path / "drive"
    root.mkdir()
    for number in range(3):
        np.save(root / f"scan_{number}.npy", np.full((5, 4), number, np.float32))
    return root


def test_a_new_format_is_one_module_and_one_line(scratch_format, arrays):
    dataset = open_dataset(arrays)
    assert isinstance(dataset, kit.data.keyframe.Dataset) and len(dataset) == 3
    assert dataset[2].points.shape == (5, 3) and dataset[2].token == "scan_2"
    assert len(open_dataset(str(arrays), every=2)) == 2
    assert kit.split(dataset).held_out == (2,)


def test_without_its_line_a_format_is_not_recognised(arrays):
    with pytest.raises(FileNotFoundError, match=r"drive: not recognised.*found scan_0.npy, scan_1"):
        open_dataset(arrays)


def test_errors_list_what_every_format_looks_for(scratch_format, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    looked_for = 'name "street".*sample.json in it.*scratch: files named scan_'
    for name, found in (("empty", "found nothing"), ("file", "found a file"), ("nowhere", "")):
        words = "no such folder" if name == "nowhere" else "not recognised"
        with pytest.raises(FileNotFoundError, match=f"{name}: {words}.*{looked_for}.*{found}"):
            open_dataset(tmp_path / name)


def test_the_street_is_a_name_and_not_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "street").mkdir()
    assert open_dataset("street", num_scenes=1).name == "street"
    with pytest.raises(FileNotFoundError, match="not recognised"):
        open_dataset("./street")


def test_a_home_folder_is_expanded(arrays, scratch_format, monkeypatch):
    monkeypatch.setenv("HOME", str(arrays.parent))
    assert torch.equal(open_dataset("~/drive")[1].intensity, torch.ones(5))
