"""What the benches of queries and of discovery share: whose features, on which keyframes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kit.data.keyframe import Dataset, Keyframe
from kit.data.split import split
from kit.demo import LONG, learn
from kit.evaluate.baselines import position, random_student
from kit.features.extract import Source, source
from kit.store import FeatureCache
from kit.street.dataset import Street
from kit.student.pretrained import pretrained
from kit.student.student import Student
from kit.teacher.teacher import Teacher

# Streets that neither the shipped student nor any word has seen.
TEST = {"num_scenes": 6, "keyframes_per_scene": 1, "seed": 2000}


def street() -> Street:
    """The streets to be judged on, rendered."""
    made = Street(**TEST)
    made.prepare()
    return made


def all_sources(teacher: Teacher, cache: FeatureCache, **students: Student) -> dict[str, Source]:
    """Every source of features that is compared, by name.

    Args:
        students: distilled from the teacher; one with random weights is added.
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


def student_of(real: Dataset, data: str, teacher: Teacher, cache: FeatureCache) -> Student:
    """A student distilled on the real keyframes to learn from; no label is used.

    The run is kept in `runs/`, so that the next bench finds it there.
    """
    config = replace(LONG, data=data)
    folder = Path("runs") / f"bench-{real.name.replace(' ', '-')}-{config.steps}-steps"
    return learn(config, folder, real, split(real), teacher, cache).student.eval()


def judged(real: Dataset) -> Iterator[Keyframe]:
    """The keyframes held out; all, if there is nothing to hold out."""
    parts = split(real)
    for index in parts.held_out or parts.train:
        yield real[index]
