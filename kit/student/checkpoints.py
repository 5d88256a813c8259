"""Students in files of the kit: safetensors with the settings beside the weights."""

from dataclasses import asdict
from pathlib import Path

from kit import store
from kit.store.plain import from_plain
from kit.student.presets import config_from_plain, config_to_plain, student_from_config
from kit.student.student import DistilledFrom, Student


def save_student(student: Student, path: str | Path, **meta) -> None:
    """Write a student's weights, its settings and, if it was distilled, its teacher.

    Args:
        path: of the .safetensors file; a checksum is written beside it.
        meta: more to keep in the header: anything that JSON can hold.
    """
    tensors = {name: tensor.cpu() for name, tensor in student.state_dict().items()}
    if student.distilled_from is not None:
        meta["teacher"] = asdict(student.distilled_from)
    store.save_tensors(path, tensors, {**meta, "student": config_to_plain(student.config)})


def load_student(path: str | Path) -> Student:
    """Read a student written by `save_student`, in eval mode.

    Raises:
        ValueError: the file is damaged or holds no student.
    """
    tensors, meta = store.load_tensors(path)
    if "student" not in meta:
        raise ValueError(f"{path}: holds tensors, but no student's settings")
    student = student_from_config(config_from_plain(meta["student"]))
    student.load_state_dict(tensors)
    if "teacher" in meta:
        student.distilled_from = from_plain(DistilledFrom, meta["teacher"], f"{path}: teacher")
    return student.eval()
