"""Where the student of a run starts from, and how many steps fit into some minutes."""

import time
from dataclasses import replace

import pytest
import torch

import kit
from kit import demo, store
from kit.data import open_dataset
from kit.data.split import split
from kit.distill.budget import FEWEST, RESERVE, steps_within
from kit.distill.settings import DistillConfig
from kit.teacher.presets import build_teacher

SHIPPED = demo.LearnConfig(
    student=demo.small("wi-12-128", 200),
    distill=DistillConfig(steps=2, batch_size=1, augment=False),
    init="street",
)


@pytest.fixture(scope="module")
def street():
    return open_dataset("street", num_scenes=1, keyframes_per_scene=2, image_size=(56, 112))


@pytest.fixture(scope="module")
def teacher():
    return build_teacher()


def learn(config, out, street, teacher):
    return demo.learn(config, out, street, split(street), teacher, store.FeatureCache())


def same(one, other, names):
    a, b = one.state_dict(), other.state_dict()
    return all(torch.equal(a[name], b[name]) for name in names)


def test_a_student_starts_from_the_one_that_comes_with_the_kit(teacher):
    student, known = demo.initial_student(SHIPPED, teacher), kit.pretrained("street")
    assert same(student, known, known.state_dict())
    assert student.config.inputs.max_points == 200
    untrained = demo.initial_student(replace(SHIPPED, init="none"), teacher)
    assert not same(untrained, known, ["classif.weight"])


def test_for_another_teacher_the_head_starts_anew():
    teacher = build_teacher("efficientnet_lite0", image_size=(64, 128))
    student, known = demo.initial_student(SHIPPED, teacher), kit.pretrained("street")
    body = [name for name in known.state_dict() if not name.startswith("classif")]
    assert same(student, known, body) and not same(student, known, ["classif.weight"])


def test_a_student_starts_from_a_file(tmp_path, teacher):
    kit.save_student(kit.pretrained("street"), tmp_path / "s.safetensors")
    config = replace(SHIPPED, init=str(tmp_path / "s.safetensors"))
    student, known = demo.initial_student(config, teacher), kit.pretrained("street")
    assert same(student, known, known.state_dict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"student": demo.small("wi-6-128")}, "cannot start from the other one: .* depth=12"),
        ({"student": demo.small("wi-12-128", width=64)}, "do not fit .*width=128"),
        ({"init": "boulevard"}, "no student 'boulevard' comes with the kit"),
        ({"init": "nowhere.safetensors"}, "nowhere.safetensors"),
    ],
)
def test_a_start_that_is_not_possible_is_named(teacher, changes, message):
    with pytest.raises((ValueError, OSError), match=message):
        demo.initial_student(replace(SHIPPED, **changes), teacher)


def test_a_run_is_not_continued_with_another_start(tmp_path, street, teacher):
    run = learn(SHIPPED, tmp_path, street, teacher)
    assert same(learn(SHIPPED, tmp_path, street, teacher).student, run.student, ["classif.weight"])
    with pytest.raises(ValueError, match="started from 'street', not from 'none'"):
        learn(replace(SHIPPED, init="none"), tmp_path, street, teacher)


def test_steps_are_reduced_to_what_fits(street, teacher):
    student, config = demo.initial_student(SHIPPED, teacher), DistillConfig(steps=10**6)
    config = replace(config, batch_size=1)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    began = time.perf_counter()
    steps, seconds = steps_within(1.0, street, teacher, student, config, [0, 1])
    took = time.perf_counter() - began  # of the minute
    assert FEWEST <= steps < 10**6
    assert RESERVE * (60 - took) - seconds < steps * seconds <= RESERVE * 60
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
    assert student.distilled_from is None
    few = replace(config, steps=3)
    assert steps_within(1e-6, street, teacher, student, config, [0])[0] == FEWEST
    assert steps_within(1.0, street, teacher, student, few, [0])[0] == 3


def test_a_continued_run_keeps_its_number_of_steps(tmp_path, street, teacher):
    said = []
    limited = replace(SHIPPED, minutes=1e-6, distill=replace(SHIPPED.distill, steps=25))
    arguments = (street, split(street), teacher, store.FeatureCache(), said.append)
    config = demo.settled(limited, tmp_path, *arguments)
    assert config.minutes is None and config.distill.steps == FEWEST
    assert said and said[0].startswith(f"{FEWEST} steps of ") and "everything" not in said[0]
    plain = demo.plain_config(replace(config, distill=replace(config.distill, steps=7)))
    store.write_json(tmp_path / store.RUN, {"settings": plain})
    assert demo.settled(limited, tmp_path, *arguments).distill.steps == 7
    assert len(said) == 1


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), float("inf")])
def test_minutes_out_of_range_are_named(minutes):
    with pytest.raises(ValueError, match="minutes must be a number, above 0"):
        demo.LearnConfig(minutes=minutes)
