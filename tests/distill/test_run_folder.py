"""Continuing a run: the same settings, or settings that did not exist when it was started."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kit.distill.run_folder import check_same, with_defaults
from kit.distill.settings import DistillConfig
from kit.store import to_plain
from kit.student.minkunet.config import MinkUNetConfig
from kit.student.presets import config_to_plain
from kit.student.scans import InputConfig
from kit.student.waffleiron.config import WaffleIronConfig

DISTILL, STUDENT = DistillConfig(steps=8), WaffleIronConfig(depth=2, width=8, head=(6,))


def description(distill=DISTILL, student=STUDENT, **more):
    data = {"name": "street", "tokens": ["a", "b"], "content": "1"}
    teacher = {"name": "net", "fingerprint": "123"}
    parts = {"distill": distill, "student": config_to_plain(student)}
    return to_plain({**parts, "teacher": teacher, "data": data, **more})


def check(before, now=None, distill=DISTILL, student=STUDENT):
    configs = {"distill": distill, "student": student}
    check_same(before, now or description(distill, student), configs, Path("runs/x"))


def without(values, *path):
    """A copy of nested settings that lacks one of them."""
    name, *rest = path
    if rest:
        return {**values, name: without(values[name], *rest)}
    return {key: value for key, value in values.items() if key != name}


def test_the_same_settings_are_accepted():
    check(description())


@pytest.mark.parametrize(
    ("name", "value"), [("num_workers", 3), ("checkpoint_every", 3), ("compile", True)]
)
def test_settings_that_do_not_change_the_result_may_differ(name, value):
    check(description(), distill=replace(DISTILL, **{name: value}))


@pytest.mark.parametrize(
    "path",
    [
        ("distill", "loss"),
        ("student", "norm"),
        ("student", "type"),
        ("student", "inputs", "num_neighbours"),
    ],
)
def test_a_setting_that_did_not_exist_then_is_accepted_at_its_default(path):
    check(without(description(), *path))


def test_a_setting_that_did_not_exist_then_is_refused_at_another_value():
    before = without(description(), "distill", "loss")
    with pytest.raises(ValueError, match="distill.loss: l2 there, cosine now"):
        check(before, distill=replace(DISTILL, loss="cosine"))
    before = without(description(), "student", "inputs", "num_neighbours")
    other = replace(STUDENT, inputs=InputConfig(num_neighbours=8))
    with pytest.raises(ValueError, match="student.inputs: .*'num_neighbours': 16.* there"):
        check(before, student=other)


def test_a_setting_that_no_longer_exists_is_refused():
    before = description()
    before["distill"]["momentum"] = 0.9
    with pytest.raises(ValueError, match="distill.momentum: 0.9 there, None now"):
        check(before)


def test_another_teacher_or_other_data_are_refused():
    for part, name, value in (("teacher", "fingerprint", "456"), ("data", "tokens", ["a"])):
        before = description()
        before[part][name] = value
        with pytest.raises(ValueError, match=f"runs/x holds a run .*\n  {part}.{name}: "):
            check(before)
    with pytest.raises(ValueError, match="teacher.fingerprint: None there, 123 now"):
        check(without(description(), "teacher", "fingerprint"))


def test_another_kind_of_student_is_refused_in_older_runs_too():
    now = MinkUNetConfig(depth=18, head=(6,))
    with pytest.raises(ValueError, match="student.type: WaffleIron there, MinkUNet now"):
        check(description(), student=now)
    with pytest.raises(ValueError, match="student.norm: layer there, None now"):
        check(without(description(), "student", "type"), student=now)


def test_a_setting_without_default_stays_missing():
    @dataclass(frozen=True)
    class Config:
        steps: int
        size: tuple[int, int] = (1, 2)

    assert with_defaults({}, Config(3)) == {"size": [1, 2]}
