"""Baselines for distilled features: the position of points, and a student with random weights."""

import torch
from jaxtyping import Float
from torch import Tensor

from kit.data.keyframe import Keyframe
from kit.student.presets import student_from_config
from kit.student.scans import InputConfig, point_features
from kit.student.student import Student


def position(keyframe: Keyframe) -> Float[Tensor, "N 6"]:
    """The inputs of a student, as features: intensity, x, y, z, range, and a constant.

    Coordinates are divided by ScaLR's field of view, so that all channels have about the same
    spread. Without the constant, unit length would remove the distance.

    Use: `kit.extract(kit.position, keyframe)`.
    """
    feat = point_features(keyframe.points, keyframe.intensity, keyframe.sensor)
    x, y, z = InputConfig().fov
    scale = torch.tensor([1.0, x, y, z, x])
    return torch.cat([feat / scale, torch.ones(len(feat), 1)], dim=1)


def random_student(student: Student, seed: int = 0) -> Student:
    """A student with the same settings and random weights, in eval mode.

    Args:
        student: its weights stay as they are.
        seed: of the random weights.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return student_from_config(student.config).eval()
