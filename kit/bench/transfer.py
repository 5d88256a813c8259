"""Transfer: features and probes of one lidar and place on other lidars and places.

    python -m kit bench transfer --data FOLDER --student FILE

FOLDER holds recordings in folders named as in `RECORDINGS`; those that are not there are left out.
Streets with lidars of 32, 64 and 128 beams are always measured. Linear probes are fitted on each
data set that has labels and several keyframes, and scored on all that have labels. Queries by name
of an asset and discovery need no labels to learn from, so they are also scored on data sets with
boxes. FILE is a student to compare with the one that comes with the kit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from kit.ask.queries import Query
from kit.bench import Row
from kit.data import open_dataset
from kit.data.keyframe import Dataset, Keyframe
from kit.data.split import split
from kit.discover.foreground import all_points, refined_score
from kit.discover.shape import Geometry
from kit.evaluate.annotated import annotated, annotated_foreground
from kit.evaluate.baselines import position, random_student
from kit.evaluate.metrics import foreground_metrics
from kit.evaluate.transfer import (
    ALL,
    Extracted,
    Extractor,
    Reading,
    changed_scores,
    extractor,
    fit_common,
)
from kit.store import FeatureCache
from kit.street.dataset import Street
from kit.street.render.lidar import Lidar
from kit.street.rigs import RIGS, Rig
from kit.student.checkpoints import load_student
from kit.student.pretrained import pretrained
from kit.teacher.presets import build_teacher

# Folders below --data, by name of the data set.
RECORDINGS = {
    "PandaSet": "pandaset",
    "nuScenes": "nuscenes",
    "KITTI": "kitti",
    "SemanticKITTI": "semantickitti",
    "RELLIS-3D": "rellis3d",
    "Argoverse 2": "argoverse2",
}
# The lidar with 128 beams is roughly an Ouster OS1-128; cameras and mounting are PandaSet's.
BEAMS_128 = Rig(
    "128 beams",
    Lidar(tuple(np.linspace(-22.5, 22.5, 128).round(2).tolist()), azimuths=1024, hz=10.0),
    replace(RIGS["pandaset"].sensor, name="simulated, 128 beams"),
    RIGS["pandaset"].lidar_place,
    RIGS["pandaset"].cameras,
)
STREETS = {"street, 32 beams": "nuscenes", "street, 64 beams": "pandaset"}
STREETS |= {"street, 128 beams": BEAMS_128}
SEED = 5000  # of streets that no student and no setting has seen
LEARN, READ = 3, 2  # keyframes of each data set, at most
ASSETS = {
    "road": "road",
    "sidewalk": "sidewalk",
    "terrain": "grass",
    "built": "building",
    "vegetation": "vegetation",
    "car": "car",
    "truck": "truck",
    "person": "person",
    "two-wheeler": "bicycle",
}  # asset prompt by common class
IN_DETAIL = ("street, 32 beams", "PandaSet", "SemanticKITTI", "RELLIS-3D")
CHANGED = ("street, 64 beams", "PandaSet")  # scored again after changes of the scan
# Bounds of the student that comes with the kit, or of the teacher.
TARGETS = {
    "student of the street: PandaSet -> SemanticKITTI, all points": ">= 35",
    "student of the street, foreground of PandaSet, F1": ">= 0.75",
    "student of the street, foreground of Argoverse 2, F1": ">= 0.75",
    "student of the street, foreground of KITTI, F1": ">= 0.5",
    "student of the street, foreground of nuScenes, F1": ">= 0.5",
    "student of the street, foreground of SemanticKITTI, AP": ">= 0.5",
}
MIOU = "% mIoU"


@dataclass(frozen=True)
class Part:
    """A data set with the keyframes to fit probes on, and those to score them on."""

    name: str
    dataset: Dataset
    learn: tuple[int, ...]
    read: tuple[int, ...]

    def keyframes(self, indices: tuple[int, ...]) -> Iterator[Keyframe]:
        """The keyframes, one at a time."""
        return (self.dataset[index] for index in indices)


def parts(data: str | None) -> list[Part]:
    """The streets, rendered, and the recordings that are there; a line is printed for the others.

    Raises:
        FileNotFoundError: `data` is no folder.
    """
    found = []
    for name, rig in STREETS.items():
        street = Street(LEARN + READ, 1, seed=SEED, sensor=rig)
        street.prepare()
        numbers = tuple(range(LEARN + READ))
        found.append(Part(name, street, numbers[:LEARN], numbers[LEARN:]))
    if data is None:
        print("no recordings: give their folder with --data")
        return found
    if not Path(data).is_dir():
        raise FileNotFoundError(f"{data}: expected a folder that holds {', '.join(RECORDINGS)}")
    for name, folder in RECORDINGS.items():
        root = Path(data) / folder
        if root.is_dir():
            found.append(_recording(name, open_dataset(str(root))))
        else:
            print(f"{name} is left out: there is no folder {root}")
    return found


def _recording(name: str, dataset: Dataset) -> Part:
    """Fit probes on its training keyframes; score on those that are held out, or on all."""
    divided = split(dataset)
    if dataset.has_labels and divided.held_out:
        return Part(name, dataset, _some(divided.train, LEARN), _some(divided.held_out, READ))
    return Part(name, dataset, (), _some(tuple(range(len(dataset))), READ))


def _some(indices: tuple[int, ...], most: int) -> tuple[int, ...]:
    """At most so many of the keyframes, evenly spread."""
    chosen = np.linspace(0, len(indices) - 1, min(most, len(indices))).round().astype(int)
    return tuple(indices[i] for i in chosen)


def rows(data: str | None, device: str, student: str | None = None) -> Iterator[Row]:
    """Measure all sources of features on the streets and on the recordings below `data`."""
    teacher, cache, found = build_teacher(), FeatureCache(), parts(data)
    shipped = pretrained("street")
    models = {"position": position, "random student": random_student(shipped)}
    models |= {"student of the street": shipped, "teacher": teacher}
    if student is not None:
        models["own student"] = load_student(student)
    queries = {
        group: Query.from_asset(teacher, name, cache=cache) for group, name in ASSETS.items()
    }
    geometry: dict[tuple[str, int], Geometry] = {}
    matrix: dict[str, dict[tuple[str, str], float]] = {}
    for name, model in models.items():
        matrix[name] = {}
        for row in _of_source(
            name, extractor(model, cache), found, queries, geometry, matrix[name]
        ):
            yield replace(row, target=TARGETS.get(row.name))
    for name, values in matrix.items():
        print(f"\n{name}, mIoU in %; learned on (rows), read on (columns)\n{table(values)}")


def _of_source(
    source: str,
    features_of: Extractor,
    found: list[Part],
    queries: Mapping[str, Query],
    geometry: dict[tuple[str, int], Geometry],
    matrix: dict[tuple[str, str], float],
) -> Iterator[Row]:
    """All rows of one source of features; fills in its matrix."""
    usable = [p for p in found if source != "teacher" or p.dataset[p.read[0]].cameras]
    heads = {
        part.name: fit_common(features_of, part.keyframes(part.learn))
        for part in usable
        if part.learn
    }
    for part in usable:
        reading, foreground = Reading(heads), Foreground(geometry)
        for index in part.read:
            keyframe = part.dataset[index]
            extracted = features_of(keyframe)
            if extracted.head.space == queries["car"].space:
                reading.queries = {group: query.score for group, query in queries.items()}
            reading.add(keyframe, extracted)
            if source != "position":
                foreground.add((part.name, index), keyframe, extracted)
        yield from _probe_rows(source, part.name, reading, heads, matrix)
        for group, ap in reading.precision().items():
            yield Row(f"{source}, asked for {group} on {part.name}", ap, "AP")
        for unit, value in foreground.scores().items():
            yield Row(f"{source}, foreground of {part.name}, {unit}", value, unit)
        if part.name in CHANGED and source in ("student of the street", "own student"):
            yield from _changed_rows(source, features_of, part, heads[part.name])


def _probe_rows(
    source: str,
    read: str,
    reading: Reading,
    heads: Mapping[str, nn.Module],
    matrix: dict[tuple[str, str], float],
) -> Iterator[Row]:
    """mIoU of every probe; of one of them also by part of the points and by class."""
    for learned in heads:
        result = reading.probe(learned)
        if result is not None:
            matrix[learned, read] = 100 * result.miou
            yield Row(f"{source}: {learned} -> {read}, {ALL}", 100 * result.miou, MIOU)
    learned = next((name for name in (read, "PandaSet", *heads) if name in heads), "")
    result = reading.probe(learned)
    if read not in IN_DETAIL or result is None or source in ("position", "random student"):
        return
    for part in reading.parts():
        of_part = reading.probe(learned, part)
        if part != ALL and of_part is not None:
            yield Row(f"{source}: {learned} -> {read}, {part}", 100 * of_part.miou, MIOU)
    for group, iou in result.iou.items():
        if iou is not None:
            yield Row(f"{source}: {learned} -> {read}, {group}", 100 * iou, "% IoU")


def _changed_rows(
    source: str, features_of: Extractor, part: Part, head: nn.Module
) -> Iterator[Row]:
    """One keyframe turned, moved, brightened and thinned."""
    found = changed_scores(features_of, [part.dataset[part.read[0]]], head)
    for change, (cosine, miou) in found.items():
        target = ">= 0.98" if change.startswith("turned") else None
        yield Row(f"{source}, {part.name} {change}, cosine", cosine, "cosine", target)
        yield Row(f"{source}, {part.name} {change}, mIoU", 100 * miou, MIOU)


class Foreground:
    """Discovered foreground of several keyframes, compared with annotations.

    Args:
        geometry: by data set and keyframe; computed when it is missing.
    """

    def __init__(self, geometry: dict[tuple[str, int], Geometry]):
        self.geometry = geometry
        self.found: list[torch.Tensor] = []
        self.annotations: list[tuple[torch.Tensor, torch.Tensor]] = []

    def add(self, key: tuple[str, int], keyframe: Keyframe, extracted: Extracted) -> None:
        """Discover the foreground of one more keyframe."""
        wanted, scored = annotated_foreground(keyframe)
        if key not in self.geometry:
            self.geometry[key] = Geometry.of(keyframe.points)
        features = extracted.head
        geometry = self.geometry[key].restrict(features.index)
        self.found.append(all_points(features, refined_score(features, geometry)))
        has_feature = torch.zeros(len(wanted), dtype=torch.bool)
        has_feature[features.index] = True
        points = (scored & annotated(keyframe) & has_feature).nonzero()[:, 0]
        self.annotations.append((wanted, points))

    def scores(self) -> dict[str, float]:
        """AP and F1 over all keyframes; empty without keyframes."""
        if not self.found:
            return {}
        found = foreground_metrics(self.found, self.annotations)
        return {unit: value for unit, value in found.items() if unit != "IoU"}


def table(values: Mapping[tuple[str, str], float]) -> str:
    """A matrix as text: a line for each data set learned on, a column for each read on."""
    learned = list(dict.fromkeys(one for one, _ in values))
    read = list(dict.fromkeys(other for _, other in values))
    short = {name: name.replace("street, ", "").replace("Semantic", "S.") for name in read}
    lines = [" " * 18 + "".join(f"{short[name][:11]:>12}" for name in read)]
    for one in learned:
        cells = (values.get((one, other)) for other in read)
        lines.append(
            f"{one:18}" + "".join(f"{'-' if v is None else f'{v:.1f}':>12}" for v in cells)
        )
    return "\n".join(lines)
