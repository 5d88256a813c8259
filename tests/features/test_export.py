"""Features of whole data sets: all rows of the file, in its order; no keyframe is done twice."""

from dataclasses import replace

import pytest
import torch

from kit import store
from kit.__main__ import main
from kit.data import open_dataset
from kit.data.keyframe import Sensor
from kit.features.export import scan_digest, write_features
from kit.features.extract import extract_layers
from kit.street.dataset import Street
from kit.student.checkpoints import save_student
from kit.student.presets import build_student
from kit.student.student import DistilledFrom


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
    assert main([*command, "--workers", "2"]) == 0  # a second call skips what is there
    assert (out / f"{token}.safetensors").stat().st_mtime_ns == before


def test_the_header_has_the_scale_of_this_data_set_and_that_of_the_training(
    student, tmp_path, monkeypatch
):
    student.distilled_from = DistilledFrom("a", "b", Sensor("another", 3.0, 7.0))
    save_student(student, tmp_path / "student.safetensors")
    street = Street(num_scenes=1, keyframes_per_scene=1, image_size=(28, 56))
    monkeypatch.setattr("kit.features.export.open_dataset", lambda data: street)
    (file,) = write_features("street", tmp_path / "student.safetensors", tmp_path / "out")
    meta = store.load_tensors(file)[1]
    assert meta["intensity_mean"] == street.sensor.intensity_mean
    assert (meta["training_intensity_mean"], meta["training_intensity_std"]) == (3.0, 7.0)
    assert meta["training_name"] == "another"


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


@pytest.mark.parametrize("fault", ["weights", "intensity"])
def test_features_that_are_not_finite_are_never_written(
    student, checkpoint, tmp_path, monkeypatch, fault
):
    street = open_dataset("street", num_scenes=1, keyframes_per_scene=1, image_size=(28, 56))
    keyframe = street[0]
    if fault == "weights":  # finite, but their products are not
        with torch.no_grad():
            student.embed.conv1.weight.fill_(3e38)
        save_student(student, checkpoint)
    else:
        keyframe.intensity[5] = 3e38
    monkeypatch.setattr(type(street), "__getitem__", lambda self, index: keyframe)
    monkeypatch.setattr("kit.features.export.open_dataset", lambda _: street)
    words = "features must be finite" if fault == "weights" else "points are out of range"
    with pytest.raises(ValueError, match=words):
        write_features("street", checkpoint, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_features_of_another_checkpoint_are_not_overwritten(
    checkpoint, shared_data, tmp_path, capsys
):
    root, out = str(shared_data / "nuscenes"), str(tmp_path / "features")
    write_features(root, checkpoint, out)
    save_student(build_student("wi-6-64", 12, depth=2, width=4), checkpoint)
    with pytest.raises(ValueError, match="another checkpoint"):
        write_features(root, checkpoint, out)


@pytest.fixture
def street(monkeypatch):
    """A street of two keyframes whose scans a test may change."""
    street = open_dataset("street", num_scenes=1, keyframes_per_scene=2, image_size=(28, 56))
    scans = {index: street[index] for index in range(2)}
    monkeypatch.setattr(type(street), "__getitem__", lambda self, index: scans[index])
    monkeypatch.setattr("kit.features.export.open_dataset", lambda _: street)
    street.scans = scans
    return street


def test_a_scan_that_was_replaced_is_computed_again_and_the_others_are_not(
    street, checkpoint, tmp_path, capsys
):
    first, second = write_features("street", checkpoint, tmp_path / "out")
    before = [file.stat().st_mtime_ns for file in (first, second)]
    points = street.scans[1].points.clone()
    points[7] += 0.5
    street.scans[1] = replace(street.scans[1], points=points)
    write_features("street", checkpoint, tmp_path / "out")
    assert "1 files" in capsys.readouterr().out
    assert first.stat().st_mtime_ns == before[0] and second.stat().st_mtime_ns != before[1]
    (_, expected) = write_features("street", checkpoint, tmp_path / "fresh")
    again, fresh = store.load_tensors(second)[0], store.load_tensors(expected)[0]
    assert all(torch.equal(again[name], fresh[name]) for name in fresh)


def test_a_sensor_with_other_constants_counts_as_another_scan(street):
    keyframe = street.scans[0]
    other = replace(keyframe.sensor, intensity_mean=keyframe.sensor.intensity_mean + 1)
    assert scan_digest(replace(keyframe, sensor=other)) != scan_digest(keyframe)
    assert scan_digest(replace(keyframe, labels=None)) == scan_digest(keyframe)


@pytest.mark.parametrize("missing", ["scan_sha256", "outside"])
def test_files_of_before_are_made_again(street, checkpoint, tmp_path, capsys, missing):
    files = write_features("street", checkpoint, tmp_path)
    tensors, meta = store.load_tensors(files[0])
    other = {name: torch.zeros_like(values) for name, values in tensors.items()}
    store.save_tensors(files[0], other, {name: meta[name] for name in meta if name != missing})
    write_features("street", checkpoint, tmp_path)
    assert "1 files" in capsys.readouterr().out
    again = store.load_tensors(files[0])[0]
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


def test_two_keyframes_of_one_token_are_refused_before_anything_is_written(
    street, checkpoint, tmp_path
):
    street.tokens = ["a", "a"]
    with pytest.raises(ValueError, match="'a'.*each keyframe needs its own"):
        write_features("street", checkpoint, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("token", ["seq00/a/b", "../../escaped", "/tmp/absolute", "x" * 400])
def test_every_token_stays_inside_the_folder(street, checkpoint, tmp_path, token):
    street.tokens = [token, "usual-token_1"]
    odd, usual = write_features("street", checkpoint, tmp_path / "deep" / "out")
    assert usual.name == "usual-token_1.safetensors"
    assert odd.resolve().parent == (tmp_path / "deep" / "out").resolve()
    assert store.load_tensors(odd)[1]["token"] == token
    assert {file.parent.name for file in tmp_path.rglob("*.safetensors")} <= {"out", tmp_path.name}
