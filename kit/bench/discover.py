"""Is the foreground found without a label? Every method, on every kind of feature, against heights.

On street scenes that no student has seen; with `--data`, on a real recording, where foreground is
what its labels or its boxes call a thing. Annotations are read for judging and for nothing else.
"""

import time
from collections.abc import Callable, Iterator

import torch
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor

from kit.bench import Row
from kit.bench._asking import all_sources, judged, street, student_of
from kit.data import open_dataset
from kit.data.keyframe import Keyframe
from kit.data.split import split
from kit.discover.foreground import (
    Geometry,
    background_seed,
    by_clusters,
    by_shape,
    find_foreground,
    first_component,
    from_seed,
    height_band,
    refine,
)
from kit.discover.objects import find_objects, object_features, unsupervised_classes
from kit.evaluate.annotated import annotated_foreground, annotated_objects
from kit.evaluate.metrics import average_precision, object_recall, overlap
from kit.evaluate.protocols import seen_points
from kit.features.extract import Source
from kit.features.spaces import Features
from kit.store import FeatureCache
from kit.teacher.presets import build_teacher

AP, F1 = 0.75, 0.62  # to be reached by the best method on distilled features
ON_FEATURES: dict[str, Callable[[Features, Geometry], Tensor]] = {
    "first component": first_component,
    "seed on the ground": lambda f, g: from_seed(f, background_seed(f, "ground", g)),
    "typical seed": lambda f, g: from_seed(f, background_seed(f, "typical")),
    "clusters": by_clusters,
    "refined": lambda f, g: refine(f, by_shape(g), piece=g.piece),
}
CLASSES = 8  # unsupervised


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Report discovery on the street; with `data`, on it."""
    teacher, cache = build_teacher(), FeatureCache()
    made = street()
    keyframes = [made[index] for index in range(len(made))]
    yield from _judge("street", keyframes, all_sources(teacher, cache))
    if data is None:
        return
    real = open_dataset(data)
    name, taught = real.name.split()[0], {}
    if split(real).held_out:
        taught[f"student of {name}"] = student_of(real, data, teacher, cache)
    yield from _judge(name, list(judged(real)), all_sources(teacher, cache, **taught))


def _judge(where: str, keyframes: list[Keyframe], sources: dict[str, Source]) -> Iterator[Row]:
    geometries = [Geometry.of(keyframe.points) for keyframe in keyframes]
    truths = [truth(keyframe) for keyframe in keyframes]
    share = torch.cat([wanted[rows] for wanted, rows in truths]).float().mean().item()
    yield Row(f"{where}, share of foreground", share, "AP of chance")
    band = figures([height_band(g.height) for g in geometries], truths)
    yield from _rows(f"{where}, height band", band)
    shape = figures([by_shape(g) for g in geometries], truths)
    yield from _rows(f"{where}, shape alone", shape)
    reached: dict[str, dict[str, float]] = {}
    for name, source in sources.items():
        if name == "position":
            continue
        features = [source(keyframe) for keyframe in keyframes]
        for title, method in ON_FEATURES.items():
            scores = [
                all_points(f, method(f, g.of_rows(f.index)))
                for f, g in zip(features, geometries, strict=True)
            ]
            found = figures(scores, truths)
            best = title == "refined" and name not in ("teacher", "random student")
            yield from _rows(f"{where}, {title}, {name}", found, best)
            reached[name] = found  # the last method's
        if name not in ("teacher", "random student"):
            yield from _objects(f"{where}, {name}", keyframes, features, scores)
    student = next(iter(sources))
    gain = reached[student]["AP"] - max(band["AP"], reached["random student"]["AP"])
    yield Row(f"{where}, refined, over band and random", gain, "AP", "> 0")
    yield Row(f"{where}, refined, over shape alone", reached[student]["AP"] - shape["AP"], "AP")
    features = sources[student](keyframes[0])
    began = time.perf_counter()
    score = find_foreground(keyframes[0], features)
    find_objects(keyframes[0].points[features.index], score > 0)
    yield Row(f"{where}, discovery and objects", time.perf_counter() - began, "s", "<= 2")


def truth(keyframe: Keyframe) -> tuple[Tensor, Tensor]:
    """Foreground of each point, and the rows to judge on: annotated, and seen by a camera."""
    wanted, known = annotated_foreground(keyframe)
    rows = seen_points(keyframe)
    return wanted, rows[known[rows]]


def all_points(features: Features, score: Tensor) -> Tensor:
    """A score for every point; the lowest where there is no feature."""
    everywhere = torch.full((features.num_points,), float(score.min()))
    everywhere[features.index] = score
    return everywhere


def figures(scores: list[Tensor], truths: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Over the points of all keyframes together; the threshold is 0."""
    score = torch.cat([s[rows] for s, (_, rows) in zip(scores, truths, strict=True)])
    wanted = torch.cat([wanted[rows] for wanted, rows in truths])
    found = overlap(score > 0, wanted)
    return {"AP": average_precision(score, wanted), "F1": found.f1, "IoU": found.iou}


def _rows(title: str, found: dict[str, float], best: bool = False) -> Iterator[Row]:
    bounds = {"AP": f">= {AP}", "F1": f">= {F1}"} if best else {}
    for unit, value in found.items():
        yield Row(f"{title}, {unit}", value, unit, bounds.get(unit))


def _objects(
    title: str, keyframes: list[Keyframe], features: list[Features], scores: list[Tensor]
) -> Iterator[Row]:
    """Recall of annotated objects, and how far unsupervised classes follow the annotated ones."""
    hits = total = number = 0
    of_keyframes, true_classes = [], []
    for keyframe, feature, score in zip(keyframes, features, scores, strict=True):
        objects = find_objects(keyframe.points, score > 0)
        annotated = annotated_objects(keyframe)
        some, all_ = object_recall(objects.object_of_point, annotated)
        hits, total, number = hits + some, total + all_, number + len(objects)
        feat = object_features(objects, feature)
        true = _class_of_objects(objects.object_of_point, annotated, keyframe)
        of_keyframes.append(feat)
        true_classes.append(true)
    yield Row(f"{title}, objects found per keyframe", number / len(keyframes))
    yield Row(f"{title}, recall of {total} objects", hits / max(total, 1), "at IoU 0.5")
    if number == 0:
        return
    given = torch.cat(unsupervised_classes(of_keyframes, CLASSES))
    true = torch.cat(true_classes)
    on_things = true >= 0
    if on_things.any():
        agreement = normalized_mutual_info_score(true[on_things], given[on_things])
        yield Row(f"{title}, classes of objects", float(agreement), "mutual info.")


def _class_of_objects(found: Tensor, annotated: Tensor, keyframe: Keyframe) -> Tensor:
    """The annotated class of most points of each object found; -1 for scenery."""
    labels = torch.tensor([box.label for box in keyframe.boxes] + [-1])
    classes = []
    for number in range(int(found.max()) + 1):
        classes.append(labels[annotated[found == number]].mode().values)
    return torch.stack(classes) if classes else torch.zeros(0, dtype=torch.int64)
