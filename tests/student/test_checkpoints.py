"""Students in files: what comes back, older files, and files that are refused."""

import json

import pytest
import safetensors.torch
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


def spoil(name):
    """A change of a file's tensors and header."""

    def change(tensors, meta):
        weight = tensors["embed.conv1.weight"]
        if name == "nan":
            weight[1, 2] = float("nan")
        elif name == "infinite":
            tensors["embed.norm.running_var"][0] = float("inf")
        elif name == "missing":
            del tensors["embed.conv1.weight"]
        elif name == "unexpected":
            tensors["embed.conv9.weight"] = torch.ones(1)
        elif name == "integers":
            tensors["embed.conv1.weight"] = torch.ones_like(weight, dtype=torch.int32)
        elif name == "teacher":
            meta["teacher"] = {"name": ["a"], "fingerprint": 3}
        elif name == "lidar":
            meta["teacher"] = {"name": "a", "fingerprint": "b", "lidar": {"name": "c"}}
        else:
            key, _, value = name.partition("=")
            meta["student"][key] = eval(value)

    return change


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nan", "embed.conv1.weight holds 1 values of 20 that are NaN or infinite"),
        ("infinite", "embed.norm.running_var holds 1 values of 5"),
        ("missing", r"do not fit its settings: 1 differ \(embed.conv1.weight is missing\)"),
        ("unexpected", r"1 differ \(embed.conv9.weight is not expected\)"),
        ("integers", "embed.conv1.weight: torch.int32 in the file, torch.float32 expected"),
        ("teacher", "teacher: expected a name and a fingerprint as text"),
        ("lidar", "teacher: lidar: expected a name, intensity_mean and intensity_std"),
        ("depth=0", "depth must be a whole number from 1 to 16,384, got 0"),
        ("width=-4", "width must be a whole number from 1 to 16,384, got -4"),
        ("width=10**9", "width must be a whole number from 1 to 16,384, got 1000000000"),
        ("width=16384", "do not fit its settings"),  # 3 GB, were it built
        ("depth=200", "do not fit its settings"),
        ("head=[]", "head must have at least one layer"),
        ("head=[0, 5]", "head must be a whole number from 1 to 16,384, got 0"),
        ("head='x'", "student.head: expected a list, got 'x'"),
        ("inputs={'voxel_size': 1e-12}", "voxel_size must be a number"),
        ("inputs={'fov': [1, 2]}", "fov: expected 3 values, got 2"),
        ("inputs=[]", "student.inputs: expected names and values, got list"),
        ("drop_path=None", "student.drop_path: expected float, got None"),
        ("type=3", "no preset is a student of the kind '3'"),
    ],
)
def test_a_damaged_file_is_refused_by_name(student, path, name, words):
    save_student(student, path)
    rewrite(path, spoil(name))
    with pytest.raises(ValueError, match=words) as error:
        load_student(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_student_that_diverged_is_not_written(student, path):
    with torch.no_grad():
        student.embed.conv1.bias[0] = float("nan")
    with pytest.raises(ValueError, match="embed.conv1.bias holds 1 values"):
        save_student(student, path)
    assert not path.exists()


def test_the_prefix_of_a_compiled_student_is_removed(student, path):
    def as_compiled(tensors, meta):
        for name in list(tensors):
            tensors[f"_orig_mod.{name}"] = tensors.pop(name)

    save_student(student, path)
    rewrite(path, as_compiled)
    assert torch.equal(load_student(path).embed.conv1.weight, student.embed.conv1.weight)


@pytest.mark.parametrize(
    "meta", [[], "student", 3, None, {"student": None}, {"student": "wi-6-64"}]
)
def test_a_header_of_any_kind_is_refused_in_words(student, path, meta):
    header = {"meta": json.dumps(meta)}
    path.write_bytes(safetensors.torch.save(student.state_dict(), header))
    with pytest.raises(ValueError, match="student.safetensors: "):
        load_student(path)
