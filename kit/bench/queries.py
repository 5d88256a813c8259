"""What are queries worth? Average precision per class and mIoU, by clicks, pictures and words.

On street scenes that no word and no student has seen; with `--data`, on a real recording with
labels, where nothing but the clicks and the cropped pictures comes from it.
"""

import time
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from kit.bench import Row
from kit.bench._asking import Look, judged, looks, seen, street, student_of
from kit.data import open_dataset
from kit.data.classes import IGNORE
from kit.data.keyframe import Dataset, Keyframe
from kit.data.split import split
from kit.evaluate import seen_points
from kit.probe import confusion_matrix
from kit.projection import find_pairs
from kit.queries import Query
from kit.scores import average_precision
from kit.segment import segment
from kit.spaces import Features, space_of
from kit.store import FeatureCache
from kit.teacher import Teacher

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
REPEATS = 3  # draws of the clicks


def rows(data: str | None, device: str) -> Iterator[Row]:
    """Report queries on the street; with `data`, on it."""
    teacher, cache = Teacher(), FeatureCache()
    words = {name: Query.from_asset(teacher, word, cache=cache) for name, word in WORDS.items()}
    made = street()
    keyframes = [made[index] for index in range(len(made))]
    yield from _by_words("street", keyframes, words, looks(teacher, cache), ("car",))
    yield from _by_clicks("street", keyframes[0], keyframes[1:], looks(teacher, cache), {})
    if data is None:
        yield from _speed(words["car"], 100_000)
        return
    real = open_dataset(data)
    taught = {f"student of {real.name.split()[0]}": student_of(real, data, teacher, cache)}
    sources, keyframes = looks(teacher, cache, **taught), list(judged(real))
    name = real.name.split()[0]
    clicked = real[split(real).train[-1]]
    yield from _by_clicks(name, clicked, keyframes, sources, REACHES)
    yield from _by_words(name, keyframes, words, sources, TWICE)
    yield from _by_pictures(name, real, keyframes, teacher, sources)
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


def _judge(
    keyframes: list[Keyframe], source: Look, queries: Mapping[str, Query]
) -> tuple[dict[str, float], dict[str, float]]:
    """Average precision and share by class, over the labelled points that a camera sees."""
    scores: dict[str, list[Tensor]] = {name: [] for name in queries}
    labels = []
    for keyframe in keyframes:
        features = seen(keyframe, source(keyframe), seen_points(keyframe))
        truth = keyframe.labels[features.rows]
        labels.append(truth[truth != IGNORE])
        for name, query in queries.items():
            scores[name].append(query.score(features)[truth != IGNORE])
    names, truth = keyframes[0].classes.names, torch.cat(labels)
    wanted = {name: truth == names.index(name) for name in queries}
    wanted = {name: mask for name, mask in wanted.items() if mask.sum() >= LEAST}
    ap = {n: average_precision(torch.cat(scores[n]), mask) for n, mask in wanted.items()}
    return ap, {name: mask.float().mean().item() for name, mask in wanted.items()}


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)


def _by_words(
    where: str,
    keyframes: list[Keyframe],
    words: Mapping[str, Query],
    sources: Mapping[str, Look],
    twice: tuple[str, ...],
) -> Iterator[Row]:
    """Queries from the street's own words; no point of these keyframes was used."""
    space = next(iter(words.values())).space
    for number, (name, source) in enumerate(sources.items()):
        if source(keyframes[0]).space != space:
            continue
        ap, share = _judge(keyframes, source, words)
        for label, value in ap.items() if number == 0 else ():
            bound = f">= {2 * share[label]:.3f}" if label in twice else None
            yield Row(f"{where}, words, {name}, {label}", value, "AP", bound)
            yield Row(f"{where}, share of {label}", share[label], "AP of chance")
        yield Row(f"{where}, words, {name}, mean", _mean(ap), "mAP", f"> {_mean(share):.3f}")
        yield Row(f"{where}, words, {name}, segment", _miou(keyframes, source, words), "% mIoU")
    first, images = next(iter(sources.values())), sources["teacher"]
    options = {"with images": {"images": images}, "with 16 neighbours": {"neighbours": 16}}
    options["never none"] = {"threshold": None}
    for title, how in options.items():
        value = _miou(keyframes, first, words, **how)
        yield Row(f"{where}, words, segment {title}", value, "% mIoU")


def _miou(keyframes, source: Look, words: Mapping[str, Query], images=None, **how) -> float:
    """mIoU over the classes present; "none of these" counts as wrong wherever a class is."""
    classes = keyframes[0].classes
    confusion = torch.zeros(len(classes) + 1, len(classes) + 1, dtype=torch.int64)
    for keyframe in keyframes:
        more = {} if images is None else {"images": images(keyframe)}
        answer = segment(keyframe, words, source(keyframe), **more, **how)
        predicted, rows = answer.to_classes(classes), seen_points(keyframe)
        predicted = torch.where(predicted == IGNORE, len(classes), predicted)[rows]
        confusion += confusion_matrix(predicted, keyframe.labels[rows], len(classes) + 1)
    hits, union = confusion.diagonal(), confusion.sum(0) + confusion.sum(1)
    present = confusion.sum(1) >= LEAST
    return 100 * (hits / (union - hits))[present].mean().item()


def _clicks(keyframe: Keyframe, count: int, seed: int) -> dict[str, Tensor]:
    """Points of each class, drawn among those that a camera sees; classes with enough points."""
    generator, rows = Generator().manual_seed(seed), seen_points(keyframe)
    drawn = {}
    for index, name in enumerate(keyframe.classes.names):
        of_class = rows[keyframe.labels[rows] == index]
        if len(of_class) >= LEAST:
            drawn[name] = of_class[torch.randperm(len(of_class), generator=generator)[:count]]
    return drawn


def _by_clicks(
    where: str,
    clicked: Keyframe,
    keyframes: list[Keyframe],
    sources: Mapping[str, Look],
    reaches: Mapping[str, float],
) -> Iterator[Row]:
    """Clicks in one keyframe, judged on others; a class's counter-examples are others' clicks."""
    means: dict[tuple[str, int], float] = {}
    for number, (name, source) in enumerate(sources.items()):
        features = source(clicked)
        for count in (1, 5, 20):
            found = [_clicked_ap(clicked, keyframes, features, source, count, s) for s in range(3)]
            ap = {label: sum(f[label] for f in found) / len(found) for label in found[0]}
            means[name, count] = _mean(ap)
            for label, value in ap.items() if number == 0 else ():
                bound = f">= {reaches[label]}" if count == 20 and label in reaches else None
                yield Row(f"{where}, {count} clicks, {name}, {label}", value, "AP", bound)
            yield Row(f"{where}, {count} clicks, {name}, mean", means[name, count], "mAP")
    best = next(iter(sources))
    for other in ("random student", "position"):
        gain = means[best, 20] - means[other, 20]
        yield Row(f"{where}, 20 clicks, {best} over {other}", gain, "mAP", "> 0")
    yield from _centring(where, clicked, keyframes, sources["teacher"])


def _clicked_ap(clicked, keyframes, features, source, count: int, seed: int) -> dict[str, float]:
    drawn = _clicks(clicked, count, seed)
    queries = {}
    for name, positives in drawn.items():
        others = torch.cat([points for other, points in drawn.items() if other != name])
        queries[name] = Query.from_points(features, positives, others, seed=seed)
    return _judge(keyframes, source, queries)[0]


def _centring(
    where: str, clicked: Keyframe, keyframes: list[Keyframe], source: Look
) -> Iterator[Row]:
    """The plain cosine to five clicks against the one after the mean feature is taken off."""
    features = source(clicked)
    mean = features.feat.mean(0)
    plain, centred = {}, {}
    for name, points in _clicks(clicked, 5, 0).items():
        prototype = features.of_points(points).mean(0)
        direction = F.normalize(features.of_points(points) - mean, dim=1).mean(0)
        plain[name] = Query(name, features.space, prototype, 0.0, "mean of clicks")
        centred[name] = Query(name, features.space, direction, 0.0, "mean of centred clicks")
    for title, queries in {"plain cosine": plain, "mean-centred": centred}.items():
        value = _mean(_judge(keyframes, source, queries)[0])
        if title == "plain cosine":
            before = value
        wanted = f"> {before:.4f}" if title == "mean-centred" else None
        yield Row(f"{where}, 5 clicks, teacher, {title}", value, "mAP", wanted)


def _by_pictures(
    where: str,
    real: Dataset,
    keyframes: list[Keyframe],
    teacher: Teacher,
    sources: Mapping[str, Look],
) -> Iterator[Row]:
    """Regions of the images of the first keyframe, drawn where its labels project to."""
    queries, first = {}, real[split(real).train[0]]
    for index, name in enumerate(first.classes.names):
        pictures, regions = _regions(first, index)
        if pictures:
            queries[name] = Query.from_image(teacher, pictures, regions, name=name)
    space = space_of(teacher)
    for number, (name, source) in enumerate(sources.items()):
        if source(keyframes[0]).space != space:
            continue
        ap, share = _judge(keyframes, source, queries)
        for label, value in ap.items() if number == 0 else ():
            bound = f">= {2 * share[label]:.3f}" if label in TWICE else None
            yield Row(f"{where}, pictures, {name}, {label}", value, "AP", bound)
        yield Row(f"{where}, pictures, {name}, mean", _mean(ap), "mAP", f"> {_mean(share):.3f}")


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
