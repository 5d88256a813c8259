"""Published recipes of distillation by name: student, teacher, and settings together."""

from dataclasses import dataclass, replace
from typing import TypeVar

from kit.distill.settings import DistillConfig
from kit.student.presets import preset
from kit.student.student import StudentConfig
from kit.teacher.presets import TeacherConfig

Settings = TypeVar("Settings")
EPOCH = 6_887  # steps: batches of 8 of the 55,100 keyframes of the four data sets

# Source: the configurations of ScaLR (arXiv:2310.17504) and of its branch scalr_plus.
_SCALR = DistillConfig(
    steps=25 * EPOCH,
    batch_size=8,
    warmup=3_500 / (25 * EPOCH),
    precision="16-mixed",
    lr_from_zero=True,
)


@dataclass(frozen=True)
class Recipe:
    """A teacher, a student and the settings of the distillation."""

    teacher: TeacherConfig
    student: StudentConfig
    distill: DistillConfig


RECIPES: dict[str, Recipe] = {
    "scalr": Recipe(
        teacher=TeacherConfig("dinov2_vitl14", image_size=(224, 448)),
        student=preset("wi-48-768"),
        distill=_SCALR,
    ),
    "scalr-plus": Recipe(
        teacher=TeacherConfig("vit_large_patch14_dinov2.lvd142m", image_size=(448, 896)),
        student=preset("wi-48-768-plus"),
        distill=replace(
            _SCALR, steps=65 * EPOCH, warmup=1 / 65, schedule="rsqrt", precision="bf16-mixed"
        ),
    ),
}


def recipe(name: str, base: Settings) -> Settings:
    """Put the teacher, the student and the distillation of a recipe into settings.

    Args:
        name: one of `RECIPES`.
        base: a dataclass with these three fields, such as `kit.demo.LearnConfig`.
    """
    found = RECIPES[name]
    return replace(base, teacher=found.teacher, student=found.student, distill=found.distill)
