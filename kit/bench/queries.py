"""What are queries worth? Average precision per class and mIoU, by clicks, pictures and words.

On street scenes that no word and no student has seen; with `--data`, on a real recording with
labels, where nothing but the clicks and the cropped pictures comes from it.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from kit.ask.queries import Query
from kit.ask.segmentation import segment
from kit.bench import Row
from kit.bench._asking import all_sources, judged, street, student_of
from kit.data import open_dataset
from kit.data.classes import IGNORE
from kit.data.keyframe import Keyframe
from kit.data.split import split
from kit.evaluate.metrics import average_precision, confusion_matrix
from kit.evaluate.protocols import seen_points
from kit.features.extract import Source
from kit.features.spaces import Features
from kit.projection import find_pairs
from kit.store import FeatureCache
from kit.teacher.presets import build_teacher
from kit.teacher.teacher import Teacher

WORDS = {
    "barrier": "barrier",
    "bicycle": "bicycle",
    "bus": "bus",
    "car": "car",
    "construction_vehicle": "construction vehicle",
    "motorcycle": "motorcycle",
    "pedestrian": "person",
    "traffic_cone": "traffic cone",
    "trailer": "trailer",
    "truck": "truck",
    "driveable_surface": "road",
    "sidewalk": "sidewalk",
    "terrain": "grass",
    "manmade": "building",
    "vegetation": "vegetation",
}  # word of the street by class
REACHES = {"car": 0.75, "driveable_surface": 0.92, "manmade": 0.92, "vegetation": 0.92}
REACHES |= {"truck": 0.3}  # of average precision, by 20 clicks in one earlier keyframe
TWICE = ("car", "driveable_surface", "vegetation")  # by words: twice the class's share
LEAST = 50  # points of a class that are needed to judge it
REPEATS = 5  # draws of the clicks


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Report queries on the street; with `data`, on it."""
    teacher, cache = build_teacher(), FeatureCache()
    words = {name: Query.from_asset(teacher, word, cache=cache) for name, word in WORDS.items()}
    made = street()
    keyframes = [made[index] for index in range(len(made))]
    sources = all_sources(teacher, cache)
    yield from _on("street", keyframes[0], keyframes[1:], sources, words, {}, ())
    if data is not None:
        real = open_dataset(data)
        parts, name = split(real), real.name.split()[0]
        taught = {f"student of {name}": student_of(real, data, teacher, cache)}
        pictures = _picture_queries(real[parts.train[0]], teacher)
        clicked, keyframes = real[parts.train[-1]], list(judged(real))
        sources = all_sources(teacher, cache, **taught)
        yield from _on(name, clicked, keyframes, sources, words, REACHES, TWICE, pictures)
    yield from _speed(words["car"], 100_000)


def _speed(query: Query, count: int) -> Iterator[Row]:
    feat = torch.randn(count, query.space.dim, generator=Generator().manual_seed(0))
    features = Features(query.space, feat, torch.arange(count), count)
    times = []
    for _ in range(7):
        began = time.perf_counter()
        query.score(features)
        times.append(1e3 * (time.perf_counter() - began))
    yield Row(f"a query answered over {count:,} points", sorted(times)[3], "ms", "<= 50")
    began = time.perf_counter()
    Query.from_points(features, range(20), range(20, 100))
    yield Row("a query made of 20 + 80 clicks", 1e3 * (time.perf_counter() - began), "ms")


@dataclass(frozen=True)
class Seen:
    """A keyframe through one source: features and labels of the points that a camera sees."""

    keyframe: Keyframe
    features: Features
    labels: Tensor

    @classmethod
    def of(cls, keyframe: Keyframe, source: Source) -> "Seen":
        features = source(keyframe).restrict(seen_points(keyframe))
        return cls(keyframe, features, keyframe.labels[features.index])


def _on(
    where: str,
    clicked: Keyframe,
    keyframes: list[Keyframe],
    sources: Mapping[str, Source],
    words: Mapping[str, Query],
    reaches: Mapping[str, float],
    twice: tuple[str, ...],
    pictures: Mapping[str, Query] | None = None,
) -> Iterator[Row]:
    """All rows of one data set, source by source; the first one is reported class by class."""
    images = [Seen.of(keyframe, sources["teacher"]) for keyframe in keyframes]
    share = _shares(images)
    for name, value in share.items():
        yield Row(f"{where}, share of {name}", value, "AP of chance")
    by_clicks, first = {}, next(iter(sources))
    for source, look in sources.items():
        ready = images if source == "teacher" else [Seen.of(k, look) for k in keyframes]
        start, verbose = Seen.of(clicked, look), source == first
        for count in (1, 5, 20) if verbose or source == "teacher" else (20,):
            ap = _clicked(start, ready, count, share)
            by_clicks[source] = _mean(ap)
            wanted = {n: f">= {v}" for n, v in reaches.items()} if count == 20 and verbose else {}
            yield from _rows(f"{where}, {count} clicks, {source}", ap, verbose, wanted)
        queries = _click_queries(start, 20, 0, share)
        yield from _segmented(f"{where}, 20 clicks, {source}", ready, queries, images, False)
        if source == "teacher":
            yield from _centring(where, start, ready, share)
        at_least = {name: f">= {2 * share[name]:.3f}" for name in twice if name in share}
        for title, queries in {"words": words, "pictures": pictures or {}}.items():
            if queries and ready[0].features.space == next(iter(queries.values())).space:
                ap = _precisions(ready, queries, share)
                wanted = at_least if verbose else {}
                yield from _rows(f"{where}, {title}, {source}", ap, verbose, wanted)
        if ready[0].features.space == words["car"].space:
            yield from _segmented(f"{where}, words, {source}", ready, words, images, verbose)
    for other in ("random student", "position"):
        gain = by_clicks[first] - by_clicks[other]
        yield Row(f"{where}, 20 clicks, {first}, over {other}", gain, "mAP", "> 0")


def _rows(
    title: str, ap: Mapping[str, float], by_class: bool, wanted: Mapping[str, str]
) -> Iterator[Row]:
    for name, value in ap.items() if by_class else ():
        yield Row(f"{title}, {name}", value, "AP", wanted.get(name))
    yield Row(f"{title}, mean", _mean(ap), "mAP")


def _shares(ready: list[Seen]) -> dict[str, float]:
    """Share of each class that has enough points, among the labelled ones."""
    labels = torch.cat([one.labels for one in ready])
    labels = labels[labels != IGNORE]
    names = ready[0].keyframe.classes.names
    counts = torch.bincount(labels, minlength=len(names)).tolist()
    return {n: c / len(labels) for n, c in zip(names, counts, strict=True) if c >= LEAST}


def _precisions(
    ready: list[Seen], queries: Mapping[str, Query], share: Mapping[str, float]
) -> dict[str, float]:
    """Average precision of each query, over the labelled points of all keyframes together."""
    labels = torch.cat([one.labels for one in ready])
    known, names = labels != IGNORE, ready[0].keyframe.classes.names
    found = {}
    for name, query in queries.items():
        if name in share:
            score = torch.cat([query.score(one.features) for one in ready])
            wanted = labels[known] == names.index(name)
            found[name] = average_precision(score[known], wanted)
    return found


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)


def _segmented(
    title: str,
    ready: list[Seen],
    queries: Mapping[str, Query],
    images: list[Seen],
    variants: bool,
) -> Iterator[Row]:
    """mIoU over the classes present; "none of these" is wrong wherever a class is."""
    options = {"segment": {}}
    if variants:
        options["segment, never none"] = {"threshold": None}
        options["segment, Otsu's threshold"] = {"threshold": "otsu"}
        options["segment, 16 neighbours"] = {"neighbours": 16}
        options["segment, with images"] = {"images": True}
    for name, how in options.items():
        confusion = torch.zeros(1, dtype=torch.int64)
        for one, image in zip(ready, images, strict=True):
            more = {"images": image.features} if "images" in how else {}
            confusion = confusion + _confusion(one, queries, **(how | more))
        hits, union = confusion.diagonal(), confusion.sum(0) + confusion.sum(1)
        present = confusion.sum(1) >= LEAST
        miou = 100 * (hits / (union - hits))[present].mean().item()
        yield Row(f"{title}, {name}", miou, "% mIoU")


def _confusion(one: Seen, queries: Mapping[str, Query], **how) -> Tensor:
    classes, rows = one.keyframe.classes, one.features.index
    predicted = segment(one.keyframe, queries, one.features, **how).to_classes(classes)[rows]
    predicted = torch.where(predicted == IGNORE, len(classes), predicted)
    return confusion_matrix(predicted, one.labels, len(classes) + 1)


def _clicks(start: Seen, count: int, seed: int, share: Mapping[str, float]) -> dict[str, Tensor]:
    """Points of each class, drawn at random."""
    generator, drawn = Generator().manual_seed(seed), {}
    for index, name in enumerate(start.keyframe.classes.names):
        of_class = start.features.index[start.labels == index]
        if name in share and len(of_class) >= LEAST:
            drawn[name] = of_class[torch.randperm(len(of_class), generator=generator)[:count]]
    return drawn


def _clicked(
    start: Seen, ready: list[Seen], count: int, share: Mapping[str, float]
) -> dict[str, float]:
    """Mean over draws; a class's counter-examples are the other classes' clicks."""
    total: dict[str, float] = {}
    for seed in range(REPEATS):
        queries = _click_queries(start, count, seed, share)
        for name, value in _precisions(ready, queries, share).items():
            total[name] = total.get(name, 0.0) + value / REPEATS
    return total


def _click_queries(
    start: Seen, count: int, seed: int, share: Mapping[str, float]
) -> dict[str, Query]:
    drawn, queries = _clicks(start, count, seed, share), {}
    for name, positives in drawn.items():
        others = torch.cat([points for other, points in drawn.items() if other != name])
        queries[name] = Query.from_points(
            start.features, positives, others, xyz=start.keyframe.points, seed=seed
        )
    return queries


def _centring(where: str, start: Seen, ready: list[Seen], share) -> Iterator[Row]:
    """The plain cosine to five clicks against the one after the mean feature is taken off."""
    features, plain, centred = start.features, {}, {}
    mean = features.unit.mean(0)
    for name, points in _clicks(start, 5, 0, share).items():
        clicks = features.of_points(points)
        direction = F.normalize(clicks - mean, dim=1).mean(0)
        plain[name] = Query(name, features.space, clicks.mean(0), 0.0, "mean of clicks")
        centred[name] = Query(name, features.space, direction, 0.0, "mean of centred clicks")
    before = _mean(_precisions(ready, plain, share))
    after = _mean(_precisions(ready, centred, share))
    yield Row(f"{where}, 5 clicks, teacher, plain cosine", before, "mAP")
    yield Row(f"{where}, 5 clicks, teacher, mean-centred", after, "mAP", f"> {before:.4f}")


def _picture_queries(keyframe: Keyframe, teacher: Teacher) -> dict[str, Query]:
    """Regions of this keyframe's images, drawn where its labels project to."""
    queries = {}
    for index, name in enumerate(keyframe.classes.names):
        pictures, regions = _regions(keyframe, index)
        if pictures:
            queries[name] = Query.from_image(teacher, pictures, regions, name=name)
    return queries


def _regions(keyframe: Keyframe, index: int) -> tuple[list[Tensor], list[Tensor]]:
    """Images that show a class, and where: blocks of an 80th of the width with a point of it."""
    pairs = find_pairs(keyframe.points, keyframe.cameras)
    pictures, regions = [], []
    for name, camera in keyframe.cameras.items():
        of_camera = pairs.of_camera(name)
        uv = of_camera.uv[keyframe.labels[of_camera.point] == index]
        if len(uv) < LEAST:
            continue
        height, width = camera.image_size
        block = width // 80
        mask = torch.zeros(-(-height // block), -(-width // block), dtype=torch.bool)
        column, row = (uv / block).long().unbind(1)
        mask[row, column] = True
        mask = mask.repeat_interleave(block, 0).repeat_interleave(block, 1)[:height, :width]
        pictures.append(camera.image)
        regions.append(mask)
    return pictures, regions
