"""Save and load students: one safetensors file with the weights, the settings and the teacher."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from kit import store
from kit.student.presets import config_from_plain, config_to_plain, student_from_config
from kit.student.student import DistilledFrom, Student


def save_student(student: Student, path: str | Path, **meta) -> None:
    """Write a student's weights and settings, and its teacher if it was distilled.

    Args:
        path: the .safetensors file; its checksum is written to `<path>.sha256`.
        meta: more values for the file's header: anything that JSON can hold.
    """
    tensors = {name: tensor.cpu() for name, tensor in student.state_dict().items()}
    if student.distilled_from is not None:
        meta["teacher"] = asdict(student.distilled_from)
    store.save_tensors(path, tensors, {**meta, "student": config_to_plain(student.config)})


def load_student(path: str | Path) -> Student:
    """Read a student written by `save_student`, in eval mode.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, holds no student, or a kind of student that is not in
            `kit.student.presets.PRESETS`.
    """
    tensors, meta = store.load_tensors(path)
    if "student" not in meta:
        raise ValueError(
            f"{path}: holds tensors, but no student's settings. Is it a published checkpoint? "
            "python -m kit import-checkpoint converts those"
        )
    student = student_from_config(config_from_plain(meta["student"], f"{path}: student"))
    try:
        student.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"{path}: its tensors do not fit its settings: {error}") from error
    student.distilled_from = _teacher_in(meta)
    return student.eval()


def _teacher_in(meta: Mapping) -> DistilledFrom | None:
    """The teacher that a file's header names; None for older files, which may not name one."""
    teacher = meta.get("teacher")
    if isinstance(teacher, Mapping) and {"name", "fingerprint"} <= set(teacher):
        return DistilledFrom(teacher["name"], teacher["fingerprint"])
    return None
