"""The simulated street: time of rendering, probes on unseen scenes, and transfer to a recording.

`--data` names a recording with labels. A probe that was fitted on the street alone is scored there,
and a student that was distilled on the street alone is probed there.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from kit.bench import Row, peak_memory
from kit.bench.distill import probe_rows
from kit.data import open_dataset
from kit.data.keyframe import Dataset, Keyframe
from kit.data.split import Split, split
from kit.demo import DemoConfig, demo, learn, untrained_student
from kit.evaluate.baselines import position
from kit.evaluate.probe import ProbeConfig, ProbeResult, linear_probe, score_head
from kit.evaluate.protocols import labelled_features, last_layer, probe_dataset, seen_points
from kit.features.extract import Source, source
from kit.features.spaces import Features
from kit.projection import find_pairs
from kit.store import FeatureCache
from kit.street.dataset import Street
from kit.street.render import moment
from kit.student.checkpoints import load_student
from kit.student.student import Student
from kit.teacher.presets import build_teacher
from kit.teacher.teacher import Teacher

# Many short scenes, for variety; rendered in about 7 minutes on 2 cores.
PROBE_SCENES = {"num_scenes": 140, "keyframes_per_scene": 1}
PROBE = ProbeConfig(steps=300, points_per_keyframe=10_000)
# Transfer gains from still more scenes, with half the points of each.
TRANSFER_SCENES = {"num_scenes": 240, "keyframes_per_scene": 1}
# Strong weight decay against overfitting to the simulation.
TRANSFER_PROBE = ProbeConfig(steps=300, lr=1e-2, weight_decay=2.0, points_per_keyframe=5_000)
SEEDS = (0, 1, 2)  # of the probes that are transferred; a single mIoU varies by half a point
# Students from random weights that see the scans as they are, for as many steps as five minutes
# allow: these rows compare what a student learns from, and the demo's start would hide it.
PLAIN = DemoConfig(distill=replace(DemoConfig().distill, augment=False))
FIVE_MINUTES = replace(PLAIN, distill=replace(PLAIN.distill, steps=1200))
# Reads the enlarged image too: cells of 16 and 32 pixels cannot separate a thin thing from what is
# behind it.
TWO_SCALES = "efficientnet_lite0_2x"


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Measure the street and, if `data` is given, the transfer to it."""
    yield from _rendering()
    yield Row("classes in the default scenes", len(_classes(Street())), "", "== 16")
    teacher, cache = build_teacher(), FeatureCache()
    street = Street(**PROBE_SCENES)
    street.prepare()
    yield from _probes(street, teacher, cache)
    with TemporaryDirectory() as folder:
        yield from _demo(Path(folder))
        student = load_student(Path(folder) / "student.safetensors")
    yield from _probed("street, the demo's student", last_layer(student), street, ">= 60")
    if data:
        real, larger = open_dataset(data), Street(**TRANSFER_SCENES)
        larger.prepare()
        for name in (teacher.name, TWO_SCALES):
            yield from _transfer_of_probes(larger, real, build_teacher(name), cache)
        students = {
            "student of the street": student,
            "student of the street, with augmentation": _augmented_student(teacher, cache),
        }
        yield from _transfer_of_students(replace(PLAIN, data=data), students, real)


def _rendering() -> Iterator[Row]:
    first = Street().moments[0]
    began = time.perf_counter()
    once = moment.render_moment(first)
    cold = time.perf_counter() - began
    began = time.perf_counter()
    again = moment.render_moment(first)
    warm = [time.perf_counter() - began]
    for _ in range(2):
        began = time.perf_counter()
        moment.render_moment(first)
        warm.append(time.perf_counter() - began)
    yield Row("keyframe, the first of a process", cold, "s")
    yield Row("keyframe: scan and six 448x896 images", sorted(warm)[1], "s", "<= 4")
    yield Row("peak memory of it", peak_memory(), "MB", "<= 1500")
    same = all(torch.equal(value, again[name]) for name, value in once.items())
    yield Row("same seed, same bytes", int(same), "", "== 1")


def _classes(dataset: Dataset) -> set[int]:
    dataset.prepare()
    found: set[int] = set()
    for index in range(len(dataset)):
        labels = dataset[index].labels
        found |= set(labels.unique().tolist())
    return found


def unhidden_points(keyframe: Keyframe) -> Tensor:
    """The points that some camera sees and that nothing hides from it."""
    pairs = find_pairs(keyframe.points, keyframe.cameras)
    seen = torch.zeros(len(keyframe.points), dtype=torch.bool)
    for name, hidden in keyframe.annotations.hidden.items():
        point = pairs.of_camera(name).point
        seen[point[~hidden[point]]] = True
    return seen.nonzero()[:, 0]


def _probes(street: Dataset, teacher: Teacher, cache: FeatureCache) -> Iterator[Row]:
    """Linear probes on held-out scenes of the street."""
    parts = split(street)
    sources = {
        "teacher": source(teacher, cache=cache),
        "random": last_layer(untrained_student(FIVE_MINUTES, teacher)),
        "position": source(position),
    }
    for name, each in sources.items():
        result = probe_dataset(each, street, parts.train, parts.held_out, PROBE, unhidden_points)
        target = ">= 75" if name == "teacher" else None
        yield Row(f"street, {name}, un-hidden points", 100 * result.miou, "% mIoU", target)
        if name == "teacher":
            num_present = sum(iou is not None for iou in result.iou.values())
            yield Row("street, classes in the held-out scenes", num_present, "", "== 16")
            yield from _class_rows("street, teacher", result)
    result = probe_dataset(
        sources["teacher"], street, parts.train, parts.held_out, PROBE, seen_points
    )
    yield Row("street, teacher, hidden points too", 100 * result.miou, "% mIoU")
    two_scales = source(build_teacher(TWO_SCALES), cache=cache)
    half = replace(PROBE, points_per_keyframe=5_000)  # of features twice as wide
    yield from _probed("street, teacher at two scales", two_scales, street, ">= 75", half)
    yield from _five_minutes(street, parts, teacher, cache)


def _five_minutes(
    street: Dataset, parts: Split, teacher: Teacher, cache: FeatureCache
) -> Iterator[Row]:
    """A student distilled on the training scenes, in the time that the demo may take."""
    began = time.perf_counter()
    with TemporaryDirectory() as folder:
        student = learn(FIVE_MINUTES, Path(folder), street, parts, teacher, cache).student
    probed = list(_probed("street, student", last_layer(student), street, ">= 60"))
    seconds = time.perf_counter() - began
    yield Row("street, student, teacher's feature maps cached", seconds, "s", "<= 300")
    yield from probed


def _demo(folder: Path) -> Iterator[Row]:
    """A demo from random weights; its student is left in the folder."""
    metrics = demo(PLAIN, folder, say=lambda _: None)
    yield Row("demo, street rendered, half of it cached", metrics["seconds"], "s", "<= 300")
    for row in probe_rows(metrics["linear_probe"]):
        target = ">= 60" if row.name.endswith("distilled") else None
        yield replace(row, name=f"demo, {row.name}", target=target)


def _probed(
    title: str, probed: Source, street: Dataset, target: str, config: ProbeConfig = PROBE
) -> Iterator[Row]:
    """A linear probe on un-hidden points of the held-out scenes, in all and class by class."""
    parts = split(street)
    result = probe_dataset(probed, street, parts.train, parts.held_out, config, unhidden_points)
    yield Row(f"{title}, un-hidden points", 100 * result.miou, "% mIoU", target)
    yield from _class_rows(title, result)


def _class_rows(title: str, result: ProbeResult) -> Iterator[Row]:
    for name, iou in result.iou.items():
        if iou is not None:
            yield Row(f"{title}, {name}", 100 * iou, "% IoU")


def _transfer_of_probes(
    street: Street, real: Dataset, teacher: Teacher, cache: FeatureCache
) -> Iterator[Row]:
    """Probes of a teacher fitted on the street alone, scored on all keyframes of a recording."""
    if real.classes.names != street.classes.names:
        raise ValueError(
            f"{real.name} has other classes than the street, so its labels cannot score a probe of "
            "the street; choose a recording with nuScenes' classes"
        )
    fitted = signed_sqrt(source(teacher, cache=cache))
    config = TRANSFER_PROBE
    train = labelled_features(fitted, street, range(len(street)), config, unhidden_points)
    heads = [
        linear_probe(train, [], real.classes, replace(config, seed=seed)).head for seed in SEEDS
    ]
    del train
    for hidden in ("kept", "from neighbours", "left out"):
        scored = signed_sqrt(source(teacher, cache=cache, hidden=hidden))
        stored = list(_labelled_keyframes(real, scored))
        results = [score_head(head, stored, real.classes) for head in heads]
        title = f"street to {real.name}, {teacher.name}, hidden points {hidden}"
        for seed, result in zip(SEEDS, results, strict=True):
            yield Row(f"{title}, probe {seed}", 100 * result.miou, "% mIoU")
        mean = sum(result.miou for result in results) / len(results)
        yield Row(f"{title}, mean", 100 * mean, "% mIoU", ">= 35")
    yield from _class_rows(f"{title}, probe {SEEDS[0]}", results[0])


def signed_sqrt(original: Source) -> Source:
    """Signed square roots of features, so that a few large values do not dominate.

    Source: power normalisation (Perronnin et al., ECCV 2010).
    """

    def transformed(keyframe: Keyframe) -> Features:
        features = original(keyframe)
        return replace(features, feat=features.feat.sign() * features.feat.abs().sqrt())

    return transformed


def _labelled_keyframes(dataset: Dataset, scored: Source) -> Iterator[tuple[Tensor, Tensor]]:
    for index in range(len(dataset)):
        keyframe = dataset[index]
        features = scored(keyframe)
        yield features.feat, keyframe.labels[features.index]


def _augmented_student(teacher: Teacher, cache: FeatureCache) -> Student:
    """The same student of the street, distilled with augmentation."""
    street, config = Street(), DemoConfig()
    with TemporaryDirectory() as folder:
        return learn(config, Path(folder), street, split(street), teacher, cache).student


def _transfer_of_students(
    config: DemoConfig, students: dict[str, Student], real: Dataset
) -> Iterator[Row]:
    """Students probed on a recording: distilled on the street, on the recording, or not at all."""
    parts = split(real)
    with TemporaryDirectory() as folder:
        metrics = demo(config, folder, say=lambda _: None)
    yield from _named(metrics, real.name)
    for name, student in students.items():
        last = last_layer(student)
        result = probe_dataset(last, real, parts.train, parts.held_out, config.probe, seen_points)
        yield Row(f"{real.name}, {name}", 100 * result.miou, "% mIoU")


def _named(metrics: dict, name: str) -> Iterator[Row]:
    titles = {"random": "random student", "distilled": f"student of {name}", "teacher": "teacher"}
    for key, title in titles.items():
        yield Row(f"{name}, {title}", 100 * metrics["linear_probe"][key]["miou"], "% mIoU")
