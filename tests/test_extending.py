"""What an extension costs: one file (tests/scratch) and one line where names are listed."""

import numpy as np
import pytest
import scratch_losses
from scratch_student import Pointwise, PointwiseConfig
from scratch_teacher import ColourTeacher

import kit
from kit.data import FORMATS
from kit.distill.losses import LOSSES
from kit.student.presets import PRESETS
from kit.teacher.presets import TEACHERS


@pytest.fixture(scope="module")
def street():
    return kit.open_dataset("street", num_scenes=1, keyframes_per_scene=1, image_size=(112, 224))


def learn(street, teacher, student, tmp_path, **changes):
    settings = kit.DistillConfig(steps=3, batch_size=1, **changes)
    return kit.distill(street, teacher, student, settings, out=tmp_path / "run", progress=False)


def test_a_student(street, monkeypatch, tmp_path):
    monkeypatch.setitem(PRESETS, "pointwise", PointwiseConfig())  # the one line
    teacher = kit.build_teacher("efficientnet_lite0", weights="random", image_size=(64, 128))
    run = learn(street, teacher, kit.build_student("pointwise", teacher.dim), tmp_path)
    loaded = kit.load_student(tmp_path / "run" / "student.safetensors")
    assert isinstance(loaded, Pointwise) and run.finished
    features = kit.extract(loaded, street[0])
    assert features.space == kit.space_of(teacher) and len(features) == len(street[0].points)


def test_a_teacher(street, monkeypatch, tmp_path):
    monkeypatch.setitem(TEACHERS, "colour", ColourTeacher)  # the one line
    teacher = kit.build_teacher("colour", image_size=(64, 128))
    student = kit.build_student("wi-6-64", teacher.dim, depth=1, width=8)
    run = learn(street, teacher, student, tmp_path)
    assert run.finished and kit.extract(teacher, street[0]).space == kit.space_of(run.student)


@pytest.mark.parametrize("loss", ["smooth_l1", "superpixel_cosine"])
def test_a_loss_of_pairs_and_a_loss_of_superpixels(loss, street, monkeypatch, tmp_path):
    monkeypatch.setitem(LOSSES, loss, getattr(scratch_losses, loss))  # the one line
    teacher = kit.build_teacher("efficientnet_lite0", weights="random", image_size=(64, 128))
    student = kit.build_student("wi-6-64", teacher.dim, depth=1, width=8)
    run = learn(street, teacher, student, tmp_path, loss=loss)
    assert run.finished and all(np.isfinite(row["loss"]) for row in run.history)


def test_a_data_set(monkeypatch, tmp_path):
    monkeypatch.setitem(FORMATS, "NumPy", "scratch_format")  # the one line
    scan = np.random.default_rng(0).uniform(-20, 20, (500, 4)).astype(np.float32)
    np.save(tmp_path / "scan_000.npy", scan)
    dataset = kit.open_dataset(tmp_path)
    assert len(dataset) == 1 and np.array_equal(dataset[0].points.numpy(), scan[:, :3])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match=r"scan_\*\.npy"):
        kit.open_dataset(empty)
