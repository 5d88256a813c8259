"""What the benches of queries and of discovery share: whose features, on which keyframes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from kit.data.keyframe import Dataset, Keyframe
from kit.data.split import split
from kit.data.street import Street
from kit.demo import LONG, learn
from kit.spaces import Features, look, position, space_of
from kit.store import FeatureCache
from kit.student import build_student
from kit.student.pretrained import pretrained
from kit.teacher import Teacher

# Streets that neither the shipped student nor any word has seen.
TEST = {"num_scenes": 6, "keyframes_per_scene": 1, "seed": 2000}

Look = Callable[[Keyframe], Features]


def street() -> Street:
    """The streets to be judged on, rendered."""
    made = Street(**TEST)
    made.prepare()
    return made


def looks(teacher: Teacher, cache: FeatureCache, **students: nn.Module) -> dict[str, Look]:
    """Everything that makes features of a keyframe, by name.

    Args:
        students: distilled from the teacher; one with random weights is added.
    """
    shipped = pretrained("street")
    random = build_student("wi-12-128", teacher.dim, inputs=shipped.config.inputs).eval()
    taught = {**students, "student of the street": shipped}
    space = space_of(teacher)
    return {
        **{name: _student(student, space) for name, student in taught.items()},
        "teacher": lambda keyframe: look(teacher, keyframe, cache=cache),
        "random student": _student(random, None),
        "position": position,
    }


def _student(student: nn.Module, space) -> Look:
    return lambda keyframe: look(student, keyframe, space)


def student_of(real: Dataset, data: str, teacher: Teacher, cache: FeatureCache) -> nn.Module:
    """A student distilled on the real keyframes to learn from; no label is used.

    The run is kept in `runs/`, so that the next bench finds it there.
    """
    config = replace(LONG, data=data)
    folder = Path("runs") / f"bench-{real.name.replace(' ', '-')}-{config.steps}-steps"
    return learn(config, folder, real, split(real), teacher, cache).student.eval()


def seen(keyframe: Keyframe, features: Features, rows: Tensor) -> Features:
    """The features of the given points only, so that all sources are judged on the same."""
    inside = torch.isin(features.rows, rows)
    return Features(
        features.space, features.feat[inside], features.rows[inside], features.num_points
    )


def judged(real: Dataset) -> Iterator[Keyframe]:
    """The keyframes held out; all, if there is nothing to hold out."""
    parts = split(real)
    for index in parts.held_out or parts.train:
        yield real[index]
