"""Students in files: what comes back, older files, and files that are refused."""

import pytest
import torch

from kit import store
from kit.student.checkpoints import load_student, save_student
from kit.student.presets import build_student
from kit.student.scans import InputConfig
from kit.student.student import DistilledFrom

TEACHER = DistilledFrom("some teacher", "0123abcd")


@pytest.fixture
def student():
    inputs = InputConfig(voxel_size=0.3, fov=(8.0, 8.0, 4.0))
    return build_student("wi-6-64", 5, depth=2, width=4, head=(6, 5), inputs=inputs)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "student.safetensors"


def rewrite(path, change):
    """Change a file's tensors and header in place."""
    tensors, meta = store.load_tensors(path)
    change(tensors, meta)
    store.save_tensors(path, tensors, meta)


def test_weights_settings_and_teacher_come_back(student, path):
    student.distilled_from = TEACHER
    save_student(student.train(), path, note="mine")
    loaded = load_student(path)
    assert loaded.config == student.config and loaded.distilled_from == TEACHER
    assert not loaded.training and student.training
    for name, tensor in student.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert store.load_tensors(path)[1]["note"] == "mine"


def test_an_undistilled_student_has_no_teacher(student, path):
    save_student(student, path)
    assert load_student(path).distilled_from is None


@pytest.mark.parametrize("teacher", [{}, {"name": "some teacher"}, "some teacher"])
def test_older_files_that_do_not_identify_a_teacher_load(student, path, teacher):
    save_student(student, path, teacher=teacher)
    assert load_student(path).distilled_from is None


def test_files_from_before_kinds_and_checkpointing_load_as_waffleirons(student, path):
    def as_before(tensors, meta):
        for name in ("type", "checkpointing"):
            del meta["student"][name]

    save_student(student, path)
    rewrite(path, as_before)
    assert load_student(path).config == student.config


def test_a_kind_of_student_that_is_unknown_is_an_error(student, path):
    save_student(student, path)
    rewrite(path, lambda tensors, meta: meta["student"].update(type="PointNet"))
    with pytest.raises(ValueError, match=r"student.safetensors: .* kind 'PointNet', there are Waf"):
        load_student(path)


def test_a_file_without_a_student_is_an_error(path):
    store.save_tensors(path, {"weight": torch.ones(2)})
    with pytest.raises(ValueError, match=r"no student's settings\. .*kit import-checkpoint"):
        load_student(path)


def test_tensors_that_do_not_fit_the_settings_are_an_error(student, path):
    save_student(student, path)
    rewrite(path, lambda tensors, meta: meta["student"].update(width=6))
    with pytest.raises(ValueError, match=r"student.safetensors: its tensors do not fit"):
        load_student(path)
