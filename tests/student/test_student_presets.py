"""Students by name, and a new kind of student that is known by one line."""

import pytest
import torch
from scratch_student import Pointwise, PointwiseConfig

import kit
from kit.distill.settings import DistillConfig
from kit.store import to_json
from kit.student.presets import (
    PRESETS,
    build_student,
    config_from_plain,
    config_to_plain,
    student_from_config,
)
from kit.student.scans import InputConfig
from kit.student.student import HEAD, Student, check_layers, device_of, eval_mode


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_student_and_survives_json(name):
    if "minkunet" in name:
        pytest.importorskip("kit.student.minkunet.model", reason="spconv has no wheel here")
    config = PRESETS[name]
    with torch.device("meta"):
        student = student_from_config(config)
    assert isinstance(student, Student) and student.distilled_from is None
    assert student.config == config and len(student.layers) > 1
    parts = [part for parts in student.stages().values() for part in parts]
    assert sum(p.numel() for part in parts for p in part.parameters()) == sum(
        p.numel() for n, p in student.named_parameters() if not n.startswith("classif")
    )
    assert config_from_plain(config_to_plain(config)) == config


def test_students_by_name_are_seeded_and_leave_the_random_state_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second, other = (build_student("wi-6-64", 32, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.embed.conv1.weight, second.embed.conv1.weight)
    assert not torch.equal(first.embed.conv1.weight, other.embed.conv1.weight)


def test_an_unknown_student_lists_those_there_are():
    with pytest.raises(ValueError, match="no student 'wi-7'; there are wi-6-64, "):
        build_student("wi-7", 32)


def test_a_students_name_may_lack_its_dashes():
    pytest.importorskip("kit.student.minkunet.model")
    assert type(build_student("minkunet18", 32)).__name__ == "MinkUNet"
    assert build_student("WI664", 32).config == build_student("wi-6-64", 32).config


def test_changes_replace_the_settings_of_a_preset():
    inputs = InputConfig(voxel_size=0.5)
    config = build_student("wi-6-64", 32, width=8, depth=None, inputs=inputs).config
    assert (config.width, config.depth, config.inputs) == (8, 6, inputs)
    assert build_student(config, 7, head=(9, 5)).config.head == (9, 7)
    with pytest.raises(ValueError, match=r"has no setting cylindrical; it has head, inputs, depth"):
        build_student("wi-6-64", 32, cylindrical=True)
    with pytest.raises(ValueError, match="has no setting network; it has"):
        build_student("wi-6-64", 32, network="os:system")


def test_an_unknown_kind_or_setting_is_named():
    with pytest.raises(ValueError, match="a.json: no preset is a student of the kind 'PointNet'"):
        config_from_plain({"type": "PointNet"}, "a.json")
    with pytest.raises(ValueError, match="a.json: unknown setting 'dept'; did you mean depth"):
        config_from_plain({"dept": 3}, "a.json")


def test_layers_are_checked_by_name():
    student = Pointwise(PointwiseConfig())
    assert check_layers(student, ["output"]) == ["output"]
    with pytest.raises(ValueError, match="no layer 'deep'; this student has hidden, output, and"):
        check_layers(student, ["output", "deep"])
    with pytest.raises(ValueError, match="no layer was named"):
        check_layers(student, [])


def test_eval_mode_ends_as_it_began():
    student = Pointwise(PointwiseConfig()).train()
    with pytest.raises(KeyError), eval_mode(student):
        assert not student.training
        raise KeyError
    assert student.training and device_of(student) == torch.device("cpu")


# --- a new kind of student ----------------------------------------------------------------------


@pytest.fixture
def pointwise(monkeypatch):
    """The one line that a new kind of student takes."""
    monkeypatch.setitem(PRESETS, "pointwise", PointwiseConfig())


def test_a_new_kind_of_student_is_distilled_saved_and_extracted(pointwise, tmp_path):
    street = kit.open_dataset("street", num_scenes=1, keyframes_per_scene=1, image_size=(64, 128))
    teacher = kit.build_teacher(image_size=(64, 128))
    student = build_student("pointwise", teacher.dim, width=8)
    settings = DistillConfig(steps=2, batch_size=1)
    run = kit.distill(street, teacher, student, settings, out=tmp_path, progress=False)
    loaded = kit.load_student(tmp_path / "student.safetensors")
    assert len(run.history) == 2 and type(loaded) is Pointwise and loaded.config.width == 8
    assert (loaded.distilled_from.name, loaded.distilled_from.fingerprint) == (
        teacher.name,
        teacher.fingerprint,
    )
    features = kit.extract(loaded, street[0])
    assert torch.equal(features.feat, kit.extract(run.student, street[0]).feat)
    assert features.space == kit.space_of(teacher)
    layers = kit.extract_layers(loaded, street[0], ["hidden", HEAD])
    assert layers["hidden"].feat.shape == (len(street[0].points), 8)
    assert torch.equal(layers[HEAD].feat, features.feat)


def test_a_file_of_a_kind_that_is_no_longer_known_is_refused(pointwise, tmp_path, monkeypatch):
    path = tmp_path / "student.safetensors"
    kit.save_student(build_student("pointwise", 3), path)
    assert '"type":"Pointwise"' in to_json(config_to_plain(PRESETS["pointwise"])).replace(" ", "")
    monkeypatch.delitem(PRESETS, "pointwise")
    with pytest.raises(ValueError, match=r"student.safetensors: student: .* kind 'Pointwise'"):
        kit.load_student(path)
