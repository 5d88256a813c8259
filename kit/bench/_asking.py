"""Shared by the benches of queries and discovery: sources of features and keyframes to score."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kit.data.keyframe import Dataset, Keyframe
from kit.data.split import split
from kit.demo import FIVE_MINUTES, learn
from kit.evaluate.baselines import position, random_student
from kit.features.extract import Source, source
from kit.store import FeatureCache
from kit.street.dataset import Street
from kit.student.pretrained import pretrained
from kit.student.student import Student
from kit.teacher.teacher import Teacher

# Scenes that neither the student that comes with the kit nor any asset prompt has seen.
UNSEEN = {"num_scenes": 6, "keyframes_per_scene": 1, "seed": 2000}
STEPS = 360  # of a student of a recording


def unseen_street() -> Street:
    """The scenes to score on, rendered."""
    street = Street(**UNSEEN)
    street.prepare()
    return street


def all_sources(teacher: Teacher, cache: FeatureCache, **students: Student) -> dict[str, Source]:
    """Every source of features that is compared, by name.

    Args:
        teacher: of all students.
        cache: of the teacher's feature maps.
        students: distilled from the teacher, by name. The student that comes with the kit and one
            with random weights are added.
    """
    shipped = pretrained("street")
    models = {
        **students,
        "student of the street": shipped,
        "teacher": teacher,
        "random student": random_student(shipped),
        "position": position,
    }
    return {name: source(model, cache=cache) for name, model in models.items()}


def distilled_on(real: Dataset, data: str, teacher: Teacher, cache: FeatureCache) -> Student:
    """The student of the demo, distilled on the training keyframes of a recording, without labels.

    It makes about as many steps as the demo does in five minutes, but always the same number. The
    run is kept in `runs/`, where the next bench finds it.
    """
    distillation = replace(FIVE_MINUTES.distill, steps=STEPS)
    config = replace(FIVE_MINUTES, data=data, minutes=None, distill=distillation)
    folder = Path("runs") / f"bench-{real.name.replace(' ', '-')}-{config.distill.steps}-steps"
    return learn(config, folder, real, split(real), teacher, cache).student.eval()


def scored_keyframes(real: Dataset) -> Iterator[Keyframe]:
    """The keyframes held out; all keyframes, if none can be held out."""
    parts = split(real)
    for index in parts.held_out or parts.train:
        yield real[index]
