"""Scores of a student's file and of the classification head that belongs to it."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor, nn

from kit.data import open_dataset
from kit.data.keyframe import Dataset
from kit.evaluate.probe import ProbeResult, score_head
from kit.evaluate.protocols import last_layer, scored_keyframes
from kit.store import sha256_of
from kit.store.engines import run_all
from kit.store.processes import own_device
from kit.student.checkpoints import load_probe, load_student
from kit.student.student import Student

JOBS_PER_WORKER = 4


def score_student(
    student: Student, head: nn.Module, dataset: Dataset, keyframes: Sequence[int]
) -> ProbeResult:
    """Score a classification head on ALL points of keyframes; nothing is trained.

    Points outside of the field of view have the features of the nearest point inside, as in the
    published evaluation.

    Args:
        student: whose last layer the head reads.
        head: for example `load_probe(probe_file(path))` of an imported checkpoint.
        dataset: with labels, of the classes that the head was trained on.
        keyframes: indices.

    Raises:
        ValueError: the head has another number of classes or of channels, or other classes, if it
            knows their names.
    """
    classes, width = head[-1].out_features, head[-1].in_features
    if classes != len(dataset.classes) or width != student.config.width:
        raise ValueError(
            f"the head has {width} channels and {classes} classes, but the student has "
            f"{student.config.width} channels and {dataset.name} has {len(dataset.classes)} "
            f"classes ({dataset.classes.name}): it belongs to another student or data set"
        )
    _check_names(getattr(head, "class_names", None), dataset)
    last = last_layer(student, "scalr")
    return score_head(head, scored_keyframes(last, dataset, keyframes), dataset.classes)


def _check_names(names: Sequence[str] | None, dataset: Dataset) -> None:
    """Raise ValueError if a head has other classes than a data set; None: it does not know them."""
    pairs = enumerate(zip(names or dataset.classes.names, dataset.classes.names, strict=True))
    for index, (ours, theirs) in pairs:
        if ours != theirs:
            raise ValueError(
                f"class {index} of the head is {ours!r}, of {dataset.name} it is {theirs!r} "
                f"({dataset.classes.name}): the head was trained on other classes. Choose the data "
                "set that it was trained on, or fit a probe: leave out the head"
            )


def score_file(
    checkpoint: str | Path,
    probe: str | Path,
    data: str,
    keyframes: Sequence[int],
    *,
    engine: str = "loky",
    workers: int = 1,
    scheduler: str | None = None,
) -> ProbeResult:
    """`score_student` of files, over several processes; the result is the same.

    Args:
        checkpoint: a student's file.
        probe: the file of its head, see `kit.student.checkpoints.probe_file`.
        data: "street" or the root of a data set.
        keyframes: indices.
        engine, workers, scheduler: see `kit.store.engines.run_all`.
    """
    dataset = open_dataset(data)
    dataset.prepare()
    files = str(checkpoint), str(probe)
    digests = tuple(sha256_of(file) for file in files)
    jobs = [
        (_confusion, (files, digests, data, part))
        for part in parts_of(keyframes, workers * JOBS_PER_WORKER if workers > 1 else 1)
    ]
    total = torch.zeros(len(dataset.classes), len(dataset.classes), dtype=torch.int64)
    for confusion in run_all(jobs, engine, workers, scheduler):
        total += confusion
    return ProbeResult(total, dataset.classes, load_probe(probe))


def parts_of(keyframes: Sequence[int], count: int) -> Iterator[tuple[int, ...]]:
    """Divide indices into at most `count` parts of neighbouring ones."""
    size = max(1, -(-len(keyframes) // count))
    for start in range(0, len(keyframes), size):
        yield tuple(keyframes[start : start + size])


def _confusion(
    files: tuple[str, str], digests: tuple[str, str], data: str, keyframes: tuple[int, ...]
) -> Int[Tensor, "C C"]:
    student, head, dataset = _opened(files, digests, data)
    return score_student(student, head, dataset, keyframes).confusion


@lru_cache(1)
def _opened(files: tuple[str, str], digests: tuple[str, str], data: str):
    """Read once in each process, and again if a file was replaced."""
    checkpoint, probe = files
    student = load_student(checkpoint).to(own_device())
    return student, load_probe(probe), open_dataset(data)
