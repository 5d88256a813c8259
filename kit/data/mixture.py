"""Several data sets as one: every keyframe keeps its own sensor, batches are mixed by weights."""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import SupportsIndex

import numpy as np
import torch

from kit.data.annotations import Box, ExactAnnotations, PixelAnnotations
from kit.data.classes import IGNORE, ClassMap
from kit.data.clocks import Poses, find_poses
from kit.data.keyframe import Dataset, Keyframe, Sensor, position_of
from kit.data.numbered import numbered
from kit.data.sweeps import Sweep, find_sweeps


class Mixture:
    """The keyframes of several data sets, one data set after the other; a `Dataset`.

    Each keyframe keeps the sensor of its own data set, so that intensities are normalised with the
    statistics of the lidar that measured them. Data sets with the same classes share them. Others
    get classes of their own, named "DATA SET: CLASS", and their labels are shifted accordingly.

    Attributes:
        parts: the data sets, unchanged: with their own tokens, classes and labels.
        names: a unique name for each of them.
        weights: the ratio of the training views that are drawn from each of them; the sum is 1.
        name: their names, joined.
        classes: all classes.
        sensor: the names of all lidars, and their mean statistics. For messages only: every
            keyframe has its own.
        tokens: of all keyframes. Those of a data set are preceded by its name if another data set
            before it has one of them.
        scenes: the scene of every keyframe, preceded by the name of its data set.
        has_labels: whether any of them has labels.
        missing: what the disk lacks, as counts by the name of a data set and a description.

    Raises:
        ValueError: there is no data set or an empty one, the weights are not one number above 0
            for each, or the classes are more than 255.
    """

    def __init__(self, parts: Sequence[Dataset], weights: Sequence[float | int] | None = None):
        """Join data sets.

        Args:
            parts: the data sets.
            weights: how often training draws from each, e.g. (3, 1, 1). None: in proportion to
                their numbers of keyframes, so that all keyframes are drawn equally often.
        """
        self.parts = tuple(parts)
        if not self.parts or not all(map(len, self.parts)):
            raise ValueError("a mixture needs at least one data set, each with a keyframe")
        self.weights = _normalised(weights, self.parts)
        self.names = tuple(numbered(part.name for part in self.parts))
        self.name = " + ".join(self.names)
        self.classes, self._first_class = _joined_classes(self.parts, self.names)
        self._starts = [0, *accumulate(map(len, self.parts))]
        self.tokens = _unique_tokens(self.parts, self.names)
        self.scenes = [
            f"{name} / {scene}"
            for name, part in zip(self.names, self.parts, strict=True)
            for scene in part.scenes
        ]
        self.has_labels = any(part.has_labels for part in self.parts)
        self.missing = {
            f"{what} of {name}": count
            for name, part in zip(self.names, self.parts, strict=True)
            for what, count in getattr(part, "missing", {}).items()
        }

    @property
    def sensor(self) -> Sensor:
        """The names of all lidars and the weighted mean of their statistics, for messages."""
        sensors = [part.sensor for part in self.parts]
        return Sensor(
            " + ".join(dict.fromkeys(sensor.name for sensor in sensors)),
            sum(w * s.intensity_mean for w, s in zip(self.weights, sensors, strict=True)),
            sum(w * s.intensity_std for w, s in zip(self.weights, sensors, strict=True)),
        )

    def part_of(self, index: SupportsIndex) -> tuple[int, int]:
        """The number of a keyframe's data set in `parts`, and its index there."""
        position = position_of(index, len(self), self.name)
        part = bisect_right(self._starts, position) - 1
        return part, position - self._starts[part]

    def indices_of(self, part: int) -> range:
        """The indices of a data set's keyframes in the mixture."""
        return range(self._starts[part], self._starts[part + 1])

    def prepare(self, keyframes: Sequence[int] | None = None) -> None:
        """Compute these keyframes (None: all) of each data set in advance."""
        wanted: list[list[int]] = [[] for _ in self.parts]
        for part, index in map(self.part_of, range(len(self)) if keyframes is None else keyframes):
            wanted[part].append(index)
        for part, indices in zip(self.parts, wanted, strict=True):
            part.prepare(indices)

    def content(self) -> str:
        """Identify the content and the weights."""
        described = [(part.name, part.content()) for part in self.parts]
        return hashlib.sha256(repr((described, self.weights)).encode()).hexdigest()

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: SupportsIndex) -> Keyframe:
        part, position = self.part_of(index)
        keyframe, labels = self.parts[part][position], None
        first = self._first_class[part]
        if keyframe.labels is not None:
            labels = torch.where(keyframe.labels == IGNORE, IGNORE, keyframe.labels + first)
        own = self._starts[part] + position
        return replace(
            keyframe,
            token=self.tokens[own],
            scene=self.scenes[own],
            classes=self.classes,
            labels=labels,
            boxes=tuple(_shifted_box(box, first) for box in keyframe.boxes),
            annotations=_shifted_annotations(keyframe.annotations, first),
        )

    def sweeps(self, index: SupportsIndex, count: int) -> list[Sweep]:
        """The unlabelled turns before a keyframe, see `kit.data.sweeps`."""
        part, position = self.part_of(index)
        return find_sweeps(self.parts[part], position, count)

    def poses(self, index: SupportsIndex) -> Poses:
        """Poses of the lidar around the time of a keyframe, see `kit.data.clocks`."""
        part, position = self.part_of(index)
        return find_poses(self.parts[part], position)

    def __repr__(self) -> str:
        lines = [f"{len(self.parts)} data sets, {len(self):,} keyframes"]
        for name, part, weight in zip(self.names, self.parts, self.weights, strict=True):
            sensor = part.sensor
            lines.append(
                f"  {name}: {len(part):,} keyframes, weight {weight:.1%}; {sensor.name}, intensity "
                f"{sensor.intensity_mean:.3g} +- {sensor.intensity_std:.3g}; "
                f"{part.classes.name if part.has_labels else 'no labels'}"
            )
        return "\n".join(lines)


def _normalised(
    weights: Sequence[float | int] | None, parts: Sequence[Dataset]
) -> tuple[float, ...]:
    """Weights whose sum is 1."""
    given = [float(len(part)) for part in parts] if weights is None else list(map(float, weights))
    if len(given) != len(parts) or not all(0 < each < math.inf for each in given):
        raise ValueError(
            f"weights: expected {len(parts)} numbers above 0, one for each data set, got {given}"
        )
    return tuple(each / sum(given) for each in given)


def _unique_tokens(parts: Sequence[Dataset], names: Sequence[str]) -> list[str]:
    tokens: list[str] = []
    known: set[str] = set()
    for part, name in zip(parts, names, strict=True):
        own = list(part.tokens)
        if not known.isdisjoint(own):
            own = [f"{name} / {token}" for token in own]
        known.update(own)
        tokens += own
    return tokens


def _joined_classes(
    parts: Sequence[Dataset], names: Sequence[str]
) -> tuple[ClassMap, tuple[int, ...]]:
    """All classes, and for each data set the index of its first class among them.

    Data sets with the same class names share their classes.
    """
    kinds: dict[tuple[str, ...], tuple[str, ClassMap]] = {}
    for part, name in zip(parts, names, strict=True):
        kinds.setdefault(part.classes.names, (name, part.classes))
    if len(kinds) == 1:
        return parts[0].classes, (0,) * len(parts)
    first = dict(zip(kinds, accumulate([0, *map(len, kinds)]), strict=False))
    if sum(map(len, kinds)) > IGNORE:
        raise ValueError(
            f"{sum(map(len, kinds))} classes in all, at most {IGNORE} can be told apart. Join "
            "fewer data sets, or those with the same classes"
        )
    joined = ClassMap(
        name=" + ".join(classes.name for _, classes in kinds.values()),
        names=tuple(f"{name}: {each}" for name, cl in kinds.values() for each in cl.names),
        colours=tuple(colour for _, classes in kinds.values() for colour in classes.colours),
        class_of_raw=(),  # labels are read by each data set itself
    )
    return joined, tuple(first[part.classes.names] for part in parts)


def _shifted_box(box: Box, first: int) -> Box:
    return box if box.label == IGNORE else replace(box, label=box.label + first)


def _shifted_annotations(
    annotations: ExactAnnotations | None, first: int
) -> ExactAnnotations | None:
    """Annotations whose pixels have the labels of the mixture."""
    if annotations is None or first == 0:
        return annotations
    return replace(annotations, pixels=partial(_shifted_pixels, annotations.pixels, first))


def _shifted_pixels(
    pixels: Callable[[str], PixelAnnotations], first: int, camera: str
) -> PixelAnnotations:
    found = pixels(camera)
    labels = np.where(found.labels == IGNORE, IGNORE, found.labels + np.uint8(first))
    return replace(found, labels=labels.astype(np.uint8))
