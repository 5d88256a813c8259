"""Continuing a run: the same settings, or settings that did not exist when it was started.

A damaged folder is an error that names the file; a run that is there is never begun anew.
"""

import os
import shutil
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.fabric import Fabric

from kit import store
from kit.distill.run_folder import RunFolder, check_same, with_defaults
from kit.distill.settings import DistillConfig
from kit.distill.step import DistillStep
from kit.store import to_plain
from kit.student.minkunet.config import MinkUNetConfig
from kit.student.presets import config_to_plain
from kit.student.scans import InputConfig
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron

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
    ("name", "value"),
    [("num_workers", 3), ("checkpoint_every", 3), ("compile", True), ("fused", True)],
)
def test_settings_that_do_not_change_the_result_may_differ(name, value):
    check(description(), distill=replace(DISTILL, **{name: value}))


@pytest.mark.parametrize(
    "path",
    [
        ("distill", "loss"),
        ("distill", "fused"),
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


# --- damaged folders ---------------------------------------------------------------------------

STEPS = 3
FABRIC = Fabric(accelerator="cpu", devices=1)


def opened(folder, config=DISTILL):
    """Open a run; its steps, its history, and what is trained."""
    student = WaffleIron(STUDENT)
    optimizer = torch.optim.AdamW(student.parameters())
    step = Mock(DistillStep, student=student, trained=student, optimizer=optimizer)
    run = RunFolder(folder, description(config), FABRIC)
    steps, history = run.open(step, config)
    return run, step, steps, history


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run of a few steps, and its student."""
    folder = tmp_path_factory.mktemp("run")
    run, trained, *_ = opened(folder)
    for step in range(STEPS):
        run.record({"step": step, "loss": 1.5, "lr": 0.1, "pairs": 7, "seconds": float(step)})
    run.save(STEPS, trained, finished=True)
    return folder, trained.student


def files_of(folder):
    hidden = {store.LOCK, store.RUN_LOCK, store.OWNER}
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} | dict.fromkeys(
        hidden, b""
    )


def same_run_or_an_error(folder, finished, damaged):
    """Open a run with a damaged file: an error that names it, or the same run; the error."""
    before = files_of(folder)
    try:
        _, trained, steps, history = opened(folder)
    except (ValueError, OSError) as error:
        assert damaged.removesuffix(".sha256") in str(error)
        assert len(str(error)) < 900 and "Errno" not in str(error)
        after = files_of(folder)
        changed = [name for name in before if before[name] != after.get(name)]
        assert changed == [], f"{changed} were overwritten, although the run was refused"
        return error
    assert steps == STEPS and [row["step"] for row in history] == list(range(STEPS))
    state = finished[1].state_dict()
    there = trained.student.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in there.items())
    return None


FILES = [
    f"{name}{ending}"
    for name in ("run.json", "checkpoint.safetensors", "student.safetensors")
    for ending in ("", ".sha256")
] + ["history.jsonl"]
DAMAGES = {
    "missing": None,
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "a list": lambda data: b"[]",
    "a number": lambda data: b"17",
    "other names": lambda data: b'{"a": 1}\n',
    "nested": lambda data: b"[" * 100_000,
    "flipped": lambda data: data[:9] + bytes([data[9] ^ 1]) + data[10:],
    "not text": lambda data: bytes(range(256)),
}
# These are written again from the others, or are not needed to continue.
NOT_NEEDED = {("run.json", "missing"), ("run.json.sha256", "missing")}


@pytest.mark.parametrize("damage", [*DAMAGES, "folder", "pipe"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_nothing_is_overwritten(finished, tmp_path, name, damage):
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "pipe":
        os.mkfifo(path)
    elif damage != "missing":
        path.write_bytes(DAMAGES[damage](data))
    error = same_run_or_an_error(folder, finished, name)
    harmless = name.startswith("student") and (name.endswith(".sha256") or path.is_file())
    harmless |= name.startswith("student") and damage == "missing"
    assert (error is None) == (harmless or (name, damage) in NOT_NEEDED), error


@settings(max_examples=max(settings.default.max_examples // 15, 10))
@given(
    place=st.floats(0, 1, exclude_max=True),
    change=st.integers(1, 255),
    kind=st.sampled_from(["flip", "cut", "insert"]),
)
def test_any_change_of_any_file_is_an_error_or_changes_nothing(
    finished, tmp_path_factory, place, change, kind
):
    for name in FILES:
        folder = tmp_path_factory.mktemp("damaged") / "run"
        shutil.copytree(finished[0], folder)
        data = (folder / name).read_bytes()
        at = int(place * len(data))
        rest = {"flip": bytes([data[at] ^ change]) + data[at + 1 :], "cut": b""}
        (folder / name).write_bytes(data[:at] + rest.get(kind, bytes([change]) + data[at:]))
        same_run_or_an_error(folder, finished, name)
        shutil.rmtree(folder.parent)


@pytest.mark.parametrize("left", ["student.safetensors", "metrics.json", "history.jsonl"])
def test_a_run_whose_checkpoint_is_gone_is_never_begun_anew(finished, tmp_path, left):
    shutil.copytree(finished[0], tmp_path / "run")
    for path in (tmp_path / "run").glob("checkpoint*"):
        path.unlink()
    (tmp_path / "run" / "student.safetensors").rename(tmp_path / "student")
    if left == "history.jsonl":
        for step in range(STEPS, DISTILL.checkpoint_every + 1):
            store.append_jsonl(tmp_path / "run" / left, {"step": step})
    else:
        (tmp_path / "run" / left).write_bytes(b"{}")
    before = files_of(tmp_path / "run")
    with pytest.raises(ValueError, match=f"checkpoint.safetensors: missing, .*{left}.*not over"):
        opened(tmp_path / "run")
    assert files_of(tmp_path / "run") == before


def test_a_run_that_was_stopped_before_its_first_checkpoint_starts_anew_and_says_so(
    tmp_path, capsys
):
    run, *_ = opened(tmp_path)
    assert capsys.readouterr().out == ""
    for step in range(STEPS):
        run.record({"step": step, "loss": 1.0, "seconds": 0.0})
    other = replace(DISTILL, lr=1e-4)  # e.g. after a learning rate that was too high
    *_, steps, history = opened(tmp_path, other)
    assert (steps, history) == (0, []) and not (tmp_path / "history.jsonl").read_bytes()
    assert f"{tmp_path}: the run there was stopped after 3 steps" in capsys.readouterr().out


@pytest.mark.parametrize("rows", [2, "other steps", "text"])
def test_a_history_that_does_not_fit_its_checkpoint_is_refused(finished, tmp_path, rows):
    shutil.copytree(finished[0], tmp_path / "run")
    path = tmp_path / "run" / "history.jsonl"
    if rows == 2:
        store.truncate_jsonl(path, lambda row: row["step"] < 2)
    else:
        path.unlink()
        for step in (0, 2, 4):
            loss = "low" if rows == "text" else 1.0
            number = step if rows == "other steps" else step // 2
            store.append_jsonl(path, {"step": number, "loss": loss, "seconds": 0.0})
    with pytest.raises(ValueError, match=r"history.jsonl: expected a row for each of the 3 steps"):
        opened(tmp_path / "run")


def test_a_folder_in_the_place_of_the_student_is_found_before_the_first_step(tmp_path):
    (tmp_path / "student.safetensors").mkdir()
    with pytest.raises(ValueError, match="student.safetensors: expected the place of a file"):
        opened(tmp_path)


def test_a_folder_in_use_is_refused_and_left_alone(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "run")
    before, errors = files_of(tmp_path / "run"), []
    run = RunFolder(tmp_path / "run", description(), FABRIC)

    def second():
        try:
            with run.locked():
                pass
        except ValueError as error:
            errors.append(str(error))

    with store.lock_run(tmp_path / "run"):
        thread = threading.Thread(target=second)
        thread.start(), thread.join()
    assert "in use by process" in errors[0] and files_of(tmp_path / "run") == before
