"""Discovery: every method on every kind of features, compared with a height band.

On scenes of the street that no student has seen; with `--data`, also on a recording. Its foreground
is read from labels or boxes. Annotations are used for scoring only.
"""

import time
from collections.abc import Callable, Iterator

import torch
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor

from kit.bench import Row
from kit.bench._asking import all_sources, distilled_on, scored_keyframes, unseen_street
from kit.data import open_dataset
from kit.data.keyframe import Keyframe
from kit.data.split import split
from kit.discover.foreground import (
    all_points,
    background_seed,
    cluster_score,
    find_foreground,
    principal_component_score,
    refined_score,
    seed_score,
)
from kit.discover.objects import find_objects, object_features, unsupervised_classes
from kit.discover.shape import Geometry, height_band_score, shape_score
from kit.evaluate.annotated import annotated_foreground, annotated_objects
from kit.evaluate.metrics import foreground_metrics, object_recall
from kit.evaluate.protocols import seen_points
from kit.features.extract import Source
from kit.features.spaces import Features
from kit.store import FeatureCache
from kit.teacher.presets import build_teacher

AP, F1 = 0.75, 0.62  # targets of the best method on distilled features
METHODS: dict[str, Callable[[Features, Geometry], Tensor]] = {
    "first component": principal_component_score,
    "seed on the ground": lambda f, g: seed_score(f, background_seed(f, "ground", g)),
    "typical seed": lambda f, g: seed_score(f, background_seed(f, "typical")),
    "clusters": cluster_score,
    "refined": refined_score,
}
NUM_CLASSES = 8  # unsupervised


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Measure discovery on the street and, if given, on `data`."""
    teacher, cache = build_teacher(), FeatureCache()
    street = unseen_street()
    keyframes = [street[index] for index in range(len(street))]
    yield from _on("street", keyframes, all_sources(teacher, cache))
    if data is None:
        return
    real = open_dataset(data)
    name, students = real.name.split()[0], {}
    if split(real).held_out:
        students[f"student of {name}"] = distilled_on(real, data, teacher, cache)
    yield from _on(name, list(scored_keyframes(real)), all_sources(teacher, cache, **students))


def _on(where: str, keyframes: list[Keyframe], sources: dict[str, Source]) -> Iterator[Row]:
    """All rows of one data set: the shape alone, then source by source; the first one is timed."""
    geometries = [Geometry.of(keyframe.points) for keyframe in keyframes]
    annotations = [scored_foreground(keyframe) for keyframe in keyframes]
    ratio = torch.cat([wanted[points] for wanted, points in annotations]).float().mean().item()
    yield Row(f"{where}, ratio of foreground", ratio, "AP of chance")
    band = foreground_metrics([height_band_score(g.height) for g in geometries], annotations)
    yield from _rows(f"{where}, height band", band)
    shape = foreground_metrics([shape_score(g) for g in geometries], annotations)
    yield from _rows(f"{where}, shape alone", shape)
    refined: dict[str, float] = {}
    for name, source in sources.items():
        if name == "position":
            continue
        features = [source(keyframe) for keyframe in keyframes]
        distilled = name not in ("teacher", "random student")
        for title, method in METHODS.items():
            scores = [
                all_points(f, method(f, g.restrict(f.index)))
                for f, g in zip(features, geometries, strict=True)
            ]
            found = foreground_metrics(scores, annotations)
            with_target = title == "refined" and distilled
            yield from _rows(f"{where}, {title}, {name}", found, with_target)
        refined[name] = found["AP"]  # of the last method
        if distilled:
            yield from _objects(f"{where}, {name}", keyframes, features, scores)
    student = next(iter(sources))
    gain = refined[student] - max(band["AP"], refined["random student"])
    yield Row(f"{where}, refined, over band and random", gain, "AP", "> 0")
    yield Row(f"{where}, refined, over shape alone", refined[student] - shape["AP"], "AP")
    yield _timed(where, keyframes[0], sources[student])


def _timed(where: str, keyframe: Keyframe, source: Source) -> Row:
    features = source(keyframe)
    began = time.perf_counter()
    score = find_foreground(keyframe, features)
    find_objects(keyframe.points[features.index], score > 0)
    return Row(f"{where}, discovery and objects", time.perf_counter() - began, "s", "<= 2")


def scored_foreground(keyframe: Keyframe) -> tuple[Tensor, Tensor]:
    """Annotated foreground of each point, and the points to score on: annotated and seen."""
    wanted, annotated = annotated_foreground(keyframe)
    points = seen_points(keyframe)
    return wanted, points[annotated[points]]


def _rows(title: str, found: dict[str, float], with_target: bool = False) -> Iterator[Row]:
    targets = {"AP": f">= {AP}", "F1": f">= {F1}"} if with_target else {}
    for unit, value in found.items():
        yield Row(f"{title}, {unit}", value, unit, targets.get(unit))


def _objects(
    title: str, keyframes: list[Keyframe], features: list[Features], scores: list[Tensor]
) -> Iterator[Row]:
    """Recall of annotated objects, and agreement of unsupervised classes with annotated ones."""
    hits = total = number = 0
    of_keyframes, annotated_classes = [], []
    for keyframe, feature, score in zip(keyframes, features, scores, strict=True):
        objects = find_objects(keyframe.points, score > 0)
        annotated = annotated_objects(keyframe)
        some, all_ = object_recall(objects.object_of_point, annotated)
        hits, total, number = hits + some, total + all_, number + len(objects)
        of_keyframes.append(object_features(objects, feature))
        annotated_classes.append(_class_of_objects(objects.object_of_point, annotated, keyframe))
    yield Row(f"{title}, objects found per keyframe", number / len(keyframes))
    yield Row(f"{title}, recall of {total} objects", hits / max(total, 1), "at IoU 0.5")
    if number == 0:
        return
    found = torch.cat(unsupervised_classes(of_keyframes, NUM_CLASSES))
    annotated = torch.cat(annotated_classes)
    on_things = annotated >= 0
    if on_things.any():
        agreement = normalized_mutual_info_score(annotated[on_things], found[on_things])
        yield Row(f"{title}, classes of objects", float(agreement), "mutual info.")


def _class_of_objects(found: Tensor, annotated: Tensor, keyframe: Keyframe) -> Tensor:
    """The annotated class of most points of each object found; -1 for scenery."""
    labels = torch.tensor([box.label for box in keyframe.boxes] + [-1])
    classes = []
    for number in range(int(found.max()) + 1):
        classes.append(labels[annotated[found == number]].mode().values)
    return torch.stack(classes) if classes else torch.zeros(0, dtype=torch.int64)
