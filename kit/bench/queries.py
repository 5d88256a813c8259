"""Queries: average precision per class and mIoU, by clicks, image prompts and asset prompts.

On scenes of the street that no prompt and no student has seen; with `--data`, also on a recording
with labels. Only clicks and image prompts are taken from the recording.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from kit.ask.queries import Query
from kit.ask.segmentation import segment
from kit.bench import Row
from kit.bench._asking import all_sources, distilled_on, scored_keyframes, unseen_street
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

ASSETS = {
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
}  # asset prompt by class
TARGETS = {"car": 0.75, "driveable_surface": 0.92, "manmade": 0.92, "vegetation": 0.92}
TARGETS |= {"truck": 0.3, "pedestrian": 0.1}  # of average precision, by 20 clicks in one keyframe
TWICE = ("car", "driveable_surface", "vegetation")  # asset prompts: twice the AP of chance
MIN_POINTS = 50  # of a class, so that it is scored
REPEATS = 5  # draws of the clicks


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Measure queries on the street and, if given, on `data`."""
    teacher, cache = build_teacher(), FeatureCache()
    assets = {name: Query.from_asset(teacher, asset, cache=cache) for name, asset in ASSETS.items()}
    street = unseen_street()
    keyframes = [street[index] for index in range(len(street))]
    prompts = Prompts(assets)
    yield from _on("street", keyframes[:1], keyframes[1:], all_sources(teacher, cache), prompts)
    if data is not None:
        real = open_dataset(data)
        parts, name = split(real), real.name.split()[0]
        student = distilled_on(real, data, teacher, cache)
        images = _image_queries(real[parts.train[0]], teacher)
        prompts = Prompts(assets, images, TARGETS, TWICE)
        clicked = [real[index] for index in reversed(parts.train)]
        keyframes = list(scored_keyframes(real))
        sources = all_sources(teacher, cache, **{f"student of {name}": student})
        yield from _on(name, clicked, keyframes, sources, prompts)
    yield from _speed(assets["car"], 100_000)


def _speed(query: Query, count: int) -> Iterator[Row]:
    feat = torch.randn(count, query.space.dim, generator=Generator().manual_seed(0))
    features = Features(query.space, feat, torch.arange(count), count)
    times = []
    for _ in range(7):
        began = time.perf_counter()
        query.score(features)
        times.append(1e3 * (time.perf_counter() - began))
    yield Row(f"a query scored over {count:,} points", sorted(times)[3], "ms", "<= 50")
    began = time.perf_counter()
    Query.from_points(features, range(20), range(20, 100))
    yield Row("a query fitted to 20 + 80 clicks", 1e3 * (time.perf_counter() - began), "ms")


@dataclass(frozen=True)
class Prompts:
    """Queries that do not come from clicks, and targets of average precision.

    Attributes:
        assets: asset prompts by class.
        images: image prompts by class.
        targets: for 20 clicks, by class.
        twice: classes for which asset prompts must reach twice the precision of chance.
    """

    assets: Mapping[str, Query]
    images: Mapping[str, Query] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=dict)
    twice: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scored:
    """Features and labels of one keyframe's points that a camera sees."""

    keyframe: Keyframe
    features: Features
    labels: Tensor

    @classmethod
    def of(cls, keyframe: Keyframe, source: Source) -> "Scored":
        """Compute the features of a keyframe, and keep those of points that a camera sees."""
        features = source(keyframe).restrict(seen_points(keyframe))
        return cls(keyframe, features, keyframe.labels[features.index])


def _on(
    where: str,
    clicked: list[Keyframe],
    keyframes: list[Keyframe],
    sources: Mapping[str, Source],
    prompts: Prompts,
) -> Iterator[Row]:
    """All rows of one data set, source by source; the first source is reported class by class.

    A class is clicked in the first of `clicked` that has enough points of it.
    """
    images = [Scored.of(keyframe, sources["teacher"]) for keyframe in keyframes]
    ratio = _ratios(images)
    for name, value in ratio.items():
        yield Row(f"{where}, ratio of {name}", value, "AP of chance")
    by_clicks, first = {}, next(iter(sources))
    for name, source in sources.items():
        scored = images if name == "teacher" else [Scored.of(k, source) for k in keyframes]
        start, verbose = [Scored.of(each, source) for each in clicked], name == first
        for count in (1, 5, 20) if verbose or name == "teacher" else (20,):
            ap = _precision_by_clicks(start, scored, count, ratio)
            by_clicks[name] = _mean(ap)
            targets = prompts.targets if count == 20 and verbose else {}
            bounds = {n: f">= {v}" for n, v in targets.items()}
            yield from _rows(f"{where}, {count} clicks, {name}", ap, verbose, bounds)
        queries = _click_queries(start, 20, 0, ratio)
        yield from _segmented(f"{where}, 20 clicks, {name}", scored, queries, images, False)
        if name == "teacher":
            yield from _centring(where, start[0], scored, ratio)
        yield from _prompted(where, name, scored, images, ratio, prompts, verbose)
    for other in ("random student", "position"):
        gain = by_clicks[first] - by_clicks[other]
        yield Row(f"{where}, 20 clicks, {first}, over {other}", gain, "mAP", "> 0")


def _prompted(
    where: str,
    source: str,
    scored: list[Scored],
    images: list[Scored],
    ratio: Mapping[str, float],
    prompts: Prompts,
    verbose: bool,
) -> Iterator[Row]:
    """Asset and image prompts, for a source in the teacher's feature space."""
    if scored[0].features.space != prompts.assets["car"].space:
        return
    bounds = {name: f">= {2 * ratio[name]:.3f}" for name in prompts.twice if name in ratio}
    for title, queries in {"asset": prompts.assets, "image": prompts.images}.items():
        if queries:
            ap = _precisions(scored, queries, ratio)
            title = f"{where}, {title} prompts, {source}"
            yield from _rows(title, ap, verbose, bounds if verbose else {})
    title = f"{where}, asset prompts, {source}"
    yield from _segmented(title, scored, prompts.assets, images, verbose)


def _rows(
    title: str, ap: Mapping[str, float], by_class: bool, bounds: Mapping[str, str]
) -> Iterator[Row]:
    for name, value in ap.items() if by_class else ():
        yield Row(f"{title}, {name}", value, "AP", bounds.get(name))
    yield Row(f"{title}, mean", _mean(ap), "mAP")


def _ratios(scored: list[Scored]) -> dict[str, float]:
    """Ratio of each class with enough points, among the labelled points."""
    labels = torch.cat([one.labels for one in scored])
    labels = labels[labels != IGNORE]
    names = scored[0].keyframe.classes.names
    counts = torch.bincount(labels, minlength=len(names)).tolist()
    return {n: c / len(labels) for n, c in zip(names, counts, strict=True) if c >= MIN_POINTS}


def _precisions(
    scored: list[Scored], queries: Mapping[str, Query], ratio: Mapping[str, float]
) -> dict[str, float]:
    """Average precision of each query, over the labelled points of all keyframes together."""
    labels = torch.cat([one.labels for one in scored])
    known, names = labels != IGNORE, scored[0].keyframe.classes.names
    found = {}
    for name, query in queries.items():
        if name in ratio:
            score = torch.cat([query.score(one.features) for one in scored])
            wanted = labels[known] == names.index(name)
            found[name] = average_precision(score[known], wanted)
    return found


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)


def _segmented(
    title: str,
    scored: list[Scored],
    queries: Mapping[str, Query],
    images: list[Scored],
    variants: bool,
) -> Iterator[Row]:
    """mIoU over the classes present; a point labelled with none of them counts as wrong."""
    options: dict[str, dict] = {"segment": {}}
    if variants:
        options["segment, never none"] = {"threshold": None}
        options["segment, Otsu's threshold"] = {"threshold": "otsu"}
        options["segment, 16 neighbours"] = {"neighbours": 16}
        options["segment, with images"] = {}
    for name, option in options.items():
        confusion = torch.zeros(1, dtype=torch.int64)
        for one, image in zip(scored, images, strict=True):
            if name.endswith("images"):
                option = {"image_features": image.features}
            confusion = confusion + _confusion(one, queries, **option)
        hits, union = confusion.diagonal(), confusion.sum(0) + confusion.sum(1)
        present = confusion.sum(1) >= MIN_POINTS
        miou = 100 * (hits / (union - hits))[present].mean().item()
        yield Row(f"{title}, {name}", miou, "% mIoU")


def _confusion(one: Scored, queries: Mapping[str, Query], **options) -> Tensor:
    classes = one.keyframe.classes
    segmentation = segment(one.keyframe, queries, one.features, **options)
    predicted = segmentation.to_classes(classes)[one.features.index]
    predicted = torch.where(predicted == IGNORE, len(classes), predicted)
    return confusion_matrix(predicted, one.labels, len(classes) + 1)


def _clicks(start: Scored, count: int, seed: int, ratio: Mapping[str, float]) -> dict[str, Tensor]:
    """Points of each class, drawn at random."""
    generator, drawn = Generator().manual_seed(seed), {}
    for index, name in enumerate(start.keyframe.classes.names):
        of_class = start.features.index[start.labels == index]
        if name in ratio and len(of_class) >= MIN_POINTS:
            drawn[name] = of_class[torch.randperm(len(of_class), generator=generator)[:count]]
    return drawn


def _precision_by_clicks(
    start: list[Scored], scored: list[Scored], count: int, ratio: Mapping[str, float]
) -> dict[str, float]:
    """Mean over draws. The clicks of the other classes are a class's counter-examples."""
    total: dict[str, float] = {}
    for seed in range(REPEATS):
        queries = _click_queries(start, count, seed, ratio)
        for name, value in _precisions(scored, queries, ratio).items():
            total[name] = total.get(name, 0.0) + value / REPEATS
    return total


def _click_queries(
    start: list[Scored], count: int, seed: int, ratio: Mapping[str, float]
) -> dict[str, Query]:
    """A query for each class, from the first keyframe that has enough points of it."""
    queries: dict[str, Query] = {}
    for one in start:
        drawn = _clicks(one, count, seed, ratio)
        for name in drawn.keys() - queries.keys():
            others = torch.cat([points for other, points in drawn.items() if other != name])
            queries[name] = Query.from_points(
                one.features, drawn[name], others, xyz=one.keyframe.points, seed=seed
            )
    return {name: queries[name] for name in ratio if name in queries}


def _centring(where: str, start: Scored, scored: list[Scored], ratio) -> Iterator[Row]:
    """Cosine to five clicks, without and with the mean feature subtracted first."""
    features, plain, centred = start.features, {}, {}
    mean = features.unit.mean(0)
    for name, points in _clicks(start, 5, 0, ratio).items():
        clicks = features.of_points(points)
        direction = F.normalize(clicks - mean, dim=1).mean(0)
        plain[name] = Query(name, features.space, clicks.mean(0), 0.0, "mean of clicks")
        centred[name] = Query(name, features.space, direction, 0.0, "mean of centred clicks")
    before = _mean(_precisions(scored, plain, ratio))
    after = _mean(_precisions(scored, centred, ratio))
    yield Row(f"{where}, 5 clicks, teacher, plain cosine", before, "mAP")
    yield Row(f"{where}, 5 clicks, teacher, mean-centred", after, "mAP", f"> {before:.4f}")


def _image_queries(keyframe: Keyframe, teacher: Teacher) -> dict[str, Query]:
    """Image prompts: regions of this keyframe's images around the labelled points of each class."""
    queries = {}
    for index, name in enumerate(keyframe.classes.names):
        images, regions = _regions(keyframe, index)
        if images:
            queries[name] = Query.from_image(teacher, images, regions, name=name)
    return queries


def _regions(keyframe: Keyframe, index: int) -> tuple[list[Tensor], list[Tensor]]:
    """Images that show a class, and the blocks (1/80 of the width) that contain a point of it."""
    pairs = find_pairs(keyframe.points, keyframe.cameras)
    images, regions = [], []
    for name, camera in keyframe.cameras.items():
        of_camera = pairs.of_camera(name)
        uv = of_camera.uv[keyframe.labels[of_camera.point] == index]
        if len(uv) < MIN_POINTS:
            continue
        height, width = camera.image_size
        block = width // 80
        mask = torch.zeros(-(-height // block), -(-width // block), dtype=torch.bool)
        column, row = (uv / block).long().unbind(1)
        mask[row, column] = True
        mask = mask.repeat_interleave(block, 0).repeat_interleave(block, 1)[:height, :width]
        images.append(camera.image)
        regions.append(mask)
    return images, regions
