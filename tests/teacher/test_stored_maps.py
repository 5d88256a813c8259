"""Stored maps: equal to the teacher's, resumed, made again where damaged, written by several."""

import json

import pytest
import torch
from launchers import srun

from kit import store
from kit.data import open_dataset
from kit.teacher.camera_maps import MissingImages, camera_maps
from kit.teacher.precompute import teacher_features
from kit.teacher.presets import TeacherConfig, build_teacher
from kit.teacher.stored_maps import (
    StoredMaps,
    check_space,
    make_plan,
    make_shard,
    write_manifest,
)


@pytest.fixture(scope="module")
def teacher():
    return build_teacher(TeacherConfig(image_size=(64, 128), weights="random"))


@pytest.fixture(scope="module")
def street():
    return open_dataset("street", num_scenes=2, keyframes_per_scene=1, image_size=(28, 56))


@pytest.fixture
def plan(street, teacher, tmp_path):
    plan = make_plan(street, teacher, tmp_path / "maps", per_shard=1)
    assert [make_shard(plan, shard, street, teacher) for shard in range(2)] == [True, True]
    return plan


def cameras_of(street):
    return [camera for index in range(2) for camera in street[index].cameras.values()]


def refuse(*_):
    raise AssertionError("the teacher computed")


def test_maps_are_the_teachers_in_half_precision(street, teacher, plan, monkeypatch):
    cameras = cameras_of(street)
    expected = [maps.half() for maps in camera_maps(teacher, cameras)]
    monkeypatch.setattr(type(teacher), "maps", refuse)
    stored = StoredMaps(plan.folder)
    missing = MissingImages(teacher.fingerprint, teacher.image_size, stored)
    assert all(missing(camera) is None for camera in cameras)
    found = camera_maps(teacher, cameras, stored)
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours.maps, theirs.maps, strict=True):
            assert torch.equal(a, b.float())
    assert len(dict(StoredMaps(plan.folder).stream())) == len(cameras)


def test_what_is_there_is_kept_and_the_manifest_has_every_digest(street, teacher, plan):
    times = [plan.file(shard).stat().st_mtime_ns for shard in range(2)]
    again = make_plan(street, teacher, plan.folder, per_shard=99)  # the plan there counts
    assert again == plan
    assert not any(make_shard(plan, shard, street, teacher) for shard in range(2))
    assert times == [plan.file(shard).stat().st_mtime_ns for shard in range(2)]
    assert write_manifest(plan)
    rows = json.loads((plan.folder / "manifest.json").read_text())["shards"]
    for shard, row in enumerate(rows):
        assert row["sha256"] == store.sha256_of(plan.file(shard))
        assert row["bytes"] == plan.file(shard).stat().st_size


@pytest.mark.parametrize("fault", ["missing", "flipped", "cut", "no checksum"])
def test_a_damaged_shard_is_made_again(street, teacher, plan, fault):
    file = plan.file(1)
    data = file.read_bytes()
    if fault == "missing":
        file.unlink()
    elif fault == "flipped":
        file.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    elif fault == "cut":
        file.write_bytes(data[: len(data) // 2])
    else:
        file.with_name(file.name + ".sha256").unlink()
    cameras = list(street[1].cameras.values())
    found = camera_maps(teacher, cameras, StoredMaps(plan.folder, street, teacher))
    assert file.read_bytes() == data
    for ours, theirs in zip(found, camera_maps(teacher, cameras), strict=True):
        assert torch.equal(ours.maps[0], theirs.half().maps[0].float())


def test_without_the_data_set_damaged_maps_are_computed_when_needed(
    street, teacher, plan, tmp_path
):
    plan.file(1).unlink()
    cameras = list(street[1].cameras.values())
    with pytest.warns(UserWarning, match="teacher-features makes it again"):
        maps = StoredMaps(plan.folder, cache=tmp_path / "cache")
    assert len(camera_maps(teacher, cameras, maps)) == len(cameras)
    assert not write_manifest(plan)


def test_another_teacher_or_data_set_is_refused(street, teacher, plan):
    other = build_teacher(TeacherConfig(image_size=(64, 96), weights="random"))
    with pytest.raises(ValueError, match="another teacher"):
        StoredMaps(plan.folder, street, other)
    one = open_dataset("street", num_scenes=1, keyframes_per_scene=1, image_size=(28, 56))
    with pytest.raises(ValueError, match="other keyframes"):
        make_plan(one, teacher, plan.folder)


def test_a_shard_that_another_process_is_writing_is_not_finished(plan):
    sidecar = plan.file(1).with_name(plan.file(1).name + ".sha256")
    content = sidecar.read_bytes()
    sidecar.unlink()
    assert not write_manifest(plan)
    sidecar.write_bytes(content)
    assert write_manifest(plan)


def test_too_little_space_is_told_before_anything_is_written(tmp_path):
    with pytest.raises(OSError, match=r"about 1000000000.00 GB are needed"):
        check_space(tmp_path, 10**18)
    assert "GB are free" in check_space(tmp_path, 10**3)


def test_ranks_share_the_shards(street, monkeypatch, tmp_path):
    monkeypatch.setattr("kit.teacher.precompute.open_dataset", lambda _: street)
    config = TeacherConfig(image_size=(64, 128), weights="random")
    for rank, files in enumerate([{"00000"}, {"00000", "00001"}]):
        for name, value in srun(2)[rank].items():
            monkeypatch.setenv(name, value)
        teacher_features("street", config, tmp_path / "maps", per_shard=1)
        found = {file.stem[-5:] for file in (tmp_path / "maps").glob("*.safetensors")}
        assert found == files
        assert (tmp_path / "maps" / "manifest.json").exists() == (rank == 1)
