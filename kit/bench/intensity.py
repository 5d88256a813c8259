"""The scale of intensities: normalised by the data set that is read, or by that of the training.

    python -m kit bench intensity --data FOLDER

FOLDER holds recordings in folders as for `bench transfer`. A student of PandaSet is read on all
recordings with images, and compared with its teacher.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch.nn.functional as F

from kit.bench import Row
from kit.bench._asking import distilled_on
from kit.bench.transfer import RECORDINGS
from kit.data import open_dataset
from kit.data.keyframe import Dataset, Sensor
from kit.features.extract import extract
from kit.store import FeatureCache
from kit.student.student import Student
from kit.teacher.presets import build_teacher
from kit.teacher.teacher import Teacher

KEYFRAMES = 3  # at most, of each recording


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Measure both scales on every recording but the one that the student learned from.

    Raises:
        FileNotFoundError: there is no PandaSet below `data`.
    """
    root = Path(data or ".")
    if not (root / RECORDINGS["PandaSet"]).is_dir():
        raise FileNotFoundError(f"{root / RECORDINGS['PandaSet']}: --data must hold PandaSet")
    teacher, cache = build_teacher(), FeatureCache()
    learned = open_dataset(str(root / RECORDINGS["PandaSet"]))
    student = distilled_on(learned, str(root / RECORDINGS["PandaSet"]), teacher, cache)
    for name, folder in RECORDINGS.items():
        if name == "PandaSet" or not (root / folder).is_dir():
            continue
        dataset = open_dataset(str(root / folder))
        if not dataset[0].cameras:
            continue
        for title, sensor in {"its own": None, "PandaSet's": learned.sensor}.items():
            cosine = _cosine(student, teacher, dataset, sensor, cache)
            yield Row(f"{name}, normalised by {title}", cosine, "cosine to the teacher")


def _cosine(
    student: Student, teacher: Teacher, dataset: Dataset, sensor: Sensor | None, cache: FeatureCache
) -> float:
    """Mean over the points that a camera sees, of all keyframes together."""
    total = count = 0
    for index in range(min(KEYFRAMES, len(dataset))):
        keyframe = dataset[index]
        wanted = extract(teacher, keyframe, cache=cache)
        given = keyframe if sensor is None else replace(keyframe, sensor=sensor)
        found = extract(student, given).feat[wanted.index]
        total += float(F.cosine_similarity(found, wanted.feat).sum())
        count += len(wanted.index)
    return total / count
