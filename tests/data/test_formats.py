"""The table of data set formats, with the format of tests/scratch as an example."""

import numpy as np
import pytest
import torch

import kit
from kit.data import FORMATS, open_dataset


@pytest.fixture
def scratch_format(monkeypatch):
    monkeypatch.setitem(FORMATS, "scratch", "scratch_format")


@pytest.fixture
def scans(tmp_path):
    root = tmp_path / "drive"
    root.mkdir()
    for number in range(3):
        np.save(root / f"scan_{number}.npy", np.full((5, 4), number, np.float32))
    return root


def test_a_listed_format_is_opened(scratch_format, scans):
    dataset = open_dataset(scans)
    assert isinstance(dataset, kit.data.keyframe.Dataset) and len(dataset) == 3
    assert dataset[2].points.shape == (5, 3) and dataset[2].token == "scan_2"
    assert kit.split(dataset).held_out == (2,)


def test_options_are_passed_to_the_format(scratch_format, scans):
    with pytest.raises(TypeError, match="version"):
        open_dataset(scans, version="v1.0-mini")


def test_a_format_that_is_not_listed_is_not_recognised(scans):
    with pytest.raises(FileNotFoundError, match=r"drive: not recognised.*found scan_0.npy, scan_1"):
        open_dataset(scans)


def test_errors_list_what_every_format_looks_for(scratch_format, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    looked_for = 'name "street".*sample.json in it.*scratch: scans as scan_'
    for name, found in (("empty", "found nothing"), ("file", "found a file"), ("nowhere", "")):
        text = "no such folder" if name == "nowhere" else "not recognised"
        with pytest.raises(FileNotFoundError, match=f"{name}: {text}.*{looked_for}.*{found}"):
            open_dataset(tmp_path / name)


def test_street_is_a_name_and_not_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "street").mkdir()
    assert open_dataset("street", num_scenes=1).name == "street"
    with pytest.raises(FileNotFoundError, match="not recognised"):
        open_dataset("./street")


def test_the_home_folder_is_expanded(scratch_format, scans, monkeypatch):
    monkeypatch.setenv("HOME", str(scans.parent))
    assert torch.equal(open_dataset("~/drive")[1].intensity, torch.ones(5))
