"""Features of whole data sets: all rows of the file, in its order; no keyframe is done twice."""

from dataclasses import replace

import pytest
import torch

from kit import store
from kit.__main__ import main
from kit.data import open_dataset
from kit.features.export import write_features
from kit.features.extract import extract_layers
from kit.student.checkpoints import save_student
from kit.student.presets import build_student


@pytest.fixture
def student():
    return build_student("wi-6-64", 12, depth=2, width=8)


@pytest.fixture
def checkpoint(student, tmp_path):
    path = tmp_path / "student.safetensors"
    save_student(student, path)
    return path


def test_every_row_of_a_real_file_has_its_features(checkpoint, shared_data, tmp_path):
    root, out = str(shared_data / "nuscenes"), tmp_path / "features"
    command = ["features", "--data", root, "--checkpoint", str(checkpoint), "--out", str(out)]
    assert main(command) == 0
    token = open_dataset(root).tokens[0]
    tensors, meta = store.load_tensors(out / f"{token}.safetensors")
    assert tensors["point_feat"].shape == (34688, 8)
    assert tensors["head_feat"].shape == (34688, 12)
    assert tensors["valid"].all() and meta["token"] == token
    before = (out / f"{token}.safetensors").stat().st_mtime_ns
    assert main(command) == 0  # a second call skips what is there
    assert (out / f"{token}.safetensors").stat().st_mtime_ns == before


def test_rows_without_a_finite_point_are_marked_and_keep_their_place(
    student, checkpoint, tmp_path, monkeypatch
):
    street = open_dataset("street", num_scenes=1, keyframes_per_scene=1, image_size=(28, 56))
    keyframe = street[0]
    count = len(keyframe.points)
    row_in_file = torch.arange(count) + 1 + (torch.arange(count) >= 10)  # rows 0 and 11 are not
    keyframe = replace(keyframe, row_in_file=row_in_file, num_rows_in_file=count + 2)
    monkeypatch.setattr(type(street), "__getitem__", lambda self, index: keyframe)
    monkeypatch.setattr("kit.features.export.open_dataset", lambda _: street)
    (path,) = write_features("street", checkpoint, tmp_path)
    tensors, _ = store.load_tensors(path)
    assert (~tensors["valid"]).nonzero().flatten().tolist() == [0, 11]
    last = student.layers[-1]
    found = extract_layers(student, keyframe, [last, "head"])
    point_feat, head_feat = found[last].feat, found["head"].feat
    assert torch.equal(tensors["point_feat"][1:11], point_feat[:10])
    assert torch.equal(tensors["head_feat"][12:], head_feat[10:])
    assert not tensors["head_feat"][[0, 11]].any()


def test_features_of_another_checkpoint_are_not_overwritten(
    checkpoint, shared_data, tmp_path, capsys
):
    root, out = str(shared_data / "nuscenes"), str(tmp_path / "features")
    write_features(root, checkpoint, out)
    save_student(build_student("wi-6-64", 12, depth=2, width=4), checkpoint)
    with pytest.raises(ValueError, match="another checkpoint"):
        write_features(root, checkpoint, out)
