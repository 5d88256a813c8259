"""Save and load students: one safetensors file with the weights, the settings and the teacher."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from kit import store
from kit.data.keyframe import Sensor
from kit.store.state_dict import check_values, misfits, some, without_wrappers
from kit.student.converted import probe_from
from kit.student.presets import config_from_plain, config_to_plain, student_from_config
from kit.student.student import DistilledFrom, Student, StudentConfig


def save_student(student: Student, path: str | Path, **meta) -> None:
    """Write a student's weights and settings, and its teacher if it was distilled.

    Args:
        path: the .safetensors file; its checksum is written to `<path>.sha256`.
        meta: more values for the file's header: anything that JSON can hold.

    Raises:
        ValueError: a weight is not finite; nothing is written.
    """
    tensors = {name: tensor.cpu() for name, tensor in student.state_dict().items()}
    check_values(tensors, path)
    if student.distilled_from is not None:
        meta["teacher"] = asdict(student.distilled_from)
    store.save_tensors(path, tensors, {**meta, "student": config_to_plain(student.config)})


def probe_file(path: str | Path) -> Path:
    """The file of the classification head that belongs to a student's file."""
    return Path(path).with_suffix(".probe.safetensors")


def save_probe(probe: nn.Sequential, path: str | Path, **meta) -> None:
    """Write a probe: BatchNorm and one linear layer, from point features to classes.

    Args:
        probe: for example the `head` of a `ProbeResult`.
        path: the .safetensors file, e.g. `probe_file(<the student's file>)`.
        meta: more values for the file's header.

    If the probe has `class_names`, they are written, too.
    """
    tensors = {name: tensor.cpu() for name, tensor in probe.state_dict().items()}
    check_values(tensors, path)
    if hasattr(probe, "class_names"):
        meta = {**meta, "classes": list(probe.class_names)}
    store.save_tensors(path, tensors, {**meta, "kind": "probe"})


def load_probe(path: str | Path) -> nn.Sequential:
    """Read a probe written by `save_probe`, in eval mode; it has `class_names` if the file does.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or holds something else.
    """
    tensors, meta = store.load_tensors(path)
    if meta.get("kind") != "probe":
        raise ValueError(f"{path}: expected a probe, see `save_probe`; got {some(tensors)}")
    check_values(tensors, path)
    probe = probe_from(tensors, path)
    if "classes" in meta:
        probe.class_names = _names_of(meta["classes"], len(probe[1].weight), path)
    return probe


def _names_of(names: object, count: int, path: str | Path) -> tuple[str, ...]:
    known = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not known or len(names) != count:
        raise ValueError(f"{path}: expected the names of {count} classes, got {str(names)[:80]}")
    return tuple(names)


def load_student(path: str | Path) -> Student:
    """Read a student written by `save_student`, in eval mode.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, holds no student, or a kind of student that is not in
            `kit.student.presets.PRESETS`; or its weights do not fit its settings, or are not
            finite.
    """
    tensors, meta = store.load_tensors(path)
    if "student" not in meta:
        raise ValueError(
            f"{path}: holds tensors, but no student's settings. Is it a published checkpoint? "
            "python -m kit import-checkpoint converts those"
        )
    config = config_from_plain(meta["student"], f"{path}: student")
    tensors = without_wrappers(tensors)
    check_values(tensors, path)
    _check_fit(tensors, config, path)
    student = student_from_config(config)
    student.load_state_dict(tensors)
    student.distilled_from = _teacher_in(meta, path)
    return student.eval()


def _check_fit(tensors: dict[str, Tensor], config: StudentConfig, path: str | Path) -> None:
    """Check tensors against settings before memory is allocated; headers are not trusted."""
    with torch.device("meta"):
        network = student_from_config(config)
    faults = list(misfits(tensors, network.state_dict()))
    if not faults:
        missing, unexpected = network.load_state_dict(tensors, strict=False, assign=True)
        faults += [f"{name} is missing" for name in missing]
        faults += [f"{name} is not expected" for name in unexpected]
    if faults:
        raise ValueError(
            f"{path}: its tensors do not fit its settings: {len(faults)} differ ({some(faults, 3)})"
        )


def _teacher_in(meta: Mapping, path: str | Path) -> DistilledFrom | None:
    """The teacher that a file's header names; None for older files, which may not name one."""
    teacher = meta.get("teacher")
    if not isinstance(teacher, Mapping) or not {"name", "fingerprint"} <= set(teacher):
        return None
    name, fingerprint = teacher["name"], teacher["fingerprint"]
    if not (isinstance(name, str) and isinstance(fingerprint, str)):
        raise ValueError(
            f"{path}: teacher: expected a name and a fingerprint as text, got {teacher}"
        )
    try:
        lidar = Sensor(**teacher["lidar"]) if teacher.get("lidar") else None
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: teacher: lidar: expected a name, intensity_mean and intensity_std, got "
            f"{teacher['lidar']}"
        ) from error
    return DistilledFrom(name, fingerprint, lidar)
