"""Transfer of features: a probe is fitted to one data set and scored on another.

The classes are those that data sets have in common (`common_classes.py`). Scores are also given for
parts of the points: by range, seen by a camera or not, inside and outside of the student's field of
view; and for scans that were turned, moved, brightened or thinned (`stability.py`).
`python -m kit bench transfer` prints the matrix "learned on, read on".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Int
from torch import Generator, Tensor, nn

from kit.data.classes import IGNORE
from kit.data.keyframe import Keyframe
from kit.evaluate.annotated import common_labels, groups_to_find
from kit.evaluate.common_classes import COMMON, GROUPS, OTHER
from kit.evaluate.metrics import average_precision, confusion_matrix
from kit.evaluate.probe import ProbeConfig, ProbeResult, linear_probe
from kit.evaluate.protocols import seen_points
from kit.evaluate.stability import CHANGES, Change, cosine_to_before
from kit.features.extract import Baseline, extract, extract_layers
from kit.features.spaces import Features
from kit.store import FeatureCache
from kit.student.scans import InputConfig, inside_fov
from kit.student.student import HEAD, Student
from kit.teacher.teacher import Teacher

ALL = "all points"
RANGES = {"within 15 m": (0.0, 15.0), "15 to 50 m": (15.0, 50.0), "beyond 50 m": (50.0, 1e9)}
MIN_POINTS = 50  # of a group, so that its average precision is given
PROBE = ProbeConfig(points_per_keyframe=10_000)


@dataclass(frozen=True, eq=False)
class Extracted:
    """The features of one keyframe: `inner` for probes, `head` for queries.

    Of a student these are the last layer before the head, and the head. Of a teacher and of a
    baseline both are the same.
    """

    inner: Features
    head: Features


Extractor = Callable[[Keyframe], Extracted]


def extractor(model: Teacher | Student | Baseline, cache: FeatureCache | None = None) -> Extractor:
    """A function that extracts the features for probes and for queries, in one pass."""
    if isinstance(model, Student) and not isinstance(model, Teacher):
        last = model.layers[-1]

        def of_student(keyframe: Keyframe) -> Extracted:
            found = extract_layers(model, keyframe, [last, HEAD])
            return Extracted(found[last], found[HEAD])

        return of_student

    def of_other(keyframe: Keyframe) -> Extracted:
        features = extract(model, keyframe, cache=cache)
        return Extracted(features, features)

    return of_other


def parts_of(
    keyframe: Keyframe,
    inputs: InputConfig = InputConfig(),  # noqa: B008
) -> dict[str, Bool[Tensor, " N"]]:
    """Parts of a keyframe's points for which scores are given, by name.

    Args:
        inputs: of the student; its field of view divides the points.
    """
    count, distance = len(keyframe.points), keyframe.points.norm(dim=1)
    parts = {ALL: torch.ones(count, dtype=torch.bool)}
    for name, (low, high) in RANGES.items():
        parts[name] = (distance >= low) & (distance < high)
    if keyframe.cameras:
        seen = torch.zeros(count, dtype=torch.bool)
        seen[seen_points(keyframe)] = True
        parts |= {"seen by a camera": seen, "seen by no camera": ~seen}
    inside = inside_fov(keyframe.points, inputs)
    return parts | {"in the field of view": inside, "outside of it": ~inside}


def fit_common(
    features_of: Extractor, keyframes: Iterable[Keyframe], config: ProbeConfig = PROBE
) -> nn.Module:
    """Fit a linear probe for the common classes to features of some labelled keyframes.

    Args:
        features_of: see `extractor`.
        keyframes: with labels; one is in memory at a time.
        config: settings of the probe.

    Raises:
        ValueError: no keyframe has a labelled point with a feature.
    """
    generator = Generator().manual_seed(config.seed)
    drawn: list[tuple[Tensor, Tensor]] = []
    for keyframe in keyframes:
        features = features_of(keyframe).inner
        labels = common_labels(keyframe)[features.index]
        known = (labels < OTHER).nonzero()[:, 0]
        order = torch.randperm(len(known), generator=generator)[: config.points_per_keyframe]
        drawn.append((features.feat[known[order]], labels[known[order]]))
    if not any(len(labels) for _, labels in drawn):
        raise ValueError("a probe needs labelled points to train on, there are none")
    feat, labels = (torch.cat(column) for column in zip(*drawn, strict=True))
    return linear_probe((feat, labels), [], COMMON, config).head


@dataclass
class Reading:
    """Predictions of probes and scores of queries on one data set, added up over its keyframes.

    Attributes:
        heads: fitted probes, by the name of the data set that they learned from.
        queries: functions that score features, by group.
    """

    heads: Mapping[str, nn.Module]
    queries: Mapping[str, Callable[[Features], Tensor]] = field(default_factory=dict)
    _confusion: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    _scores: dict[str, list[Tensor]] = field(default_factory=dict)
    _labels: list[Tensor] = field(default_factory=list)
    _groups: tuple[str, ...] = GROUPS

    def add(
        self, keyframe: Keyframe, extracted: Extracted, parts: Mapping[str, Tensor] | None = None
    ) -> None:
        """Count the predictions and scores of one more keyframe.

        Args:
            parts: masks of points by name; None: those of `parts_of`.
        """
        labels = common_labels(keyframe)
        self._groups = groups_to_find(keyframe)
        if keyframe.labels is not None:
            parts = parts_of(keyframe) if parts is None else parts
            for learned, head in self.heads.items():
                for part, counts in confusions(head, extracted.inner, labels, parts).items():
                    key = learned, part
                    self._confusion[key] = self._confusion.get(key, 0) + counts
        known = labels[extracted.head.index] != IGNORE
        self._labels.append(labels[extracted.head.index][known])
        for group, score in self.queries.items():
            self._scores.setdefault(group, []).append(score(extracted.head)[known])

    def probe(self, learned: str, part: str = ALL) -> ProbeResult | None:
        """The score of a probe on a part of the points; None if there are no such points."""
        counts = self._confusion.get((learned, part))
        return None if counts is None or not counts.any() else ProbeResult(counts, COMMON)

    def parts(self) -> tuple[str, ...]:
        """The names of the parts of points, see `parts_of`."""
        return tuple(dict.fromkeys(part for _, part in self._confusion))

    def precision(self) -> dict[str, float]:
        """Average precision of each query whose group is annotated and has enough points."""
        found, labels = {}, torch.cat(self._labels)
        for group, scores in self._scores.items():
            wanted = labels == GROUPS.index(group)
            if group in self._groups and int(wanted.sum()) >= MIN_POINTS:
                found[group] = average_precision(torch.cat(scores), wanted)
        return found


@torch.no_grad()
def confusions(
    head: nn.Module,
    features: Features,
    labels: Int[Tensor, " N"],
    parts: Mapping[str, Bool[Tensor, " N"]],
) -> dict[str, Int[Tensor, "G G"]]:
    """Confusion matrices of a probe on parts of a keyframe's points, by name of the part.

    Args:
        head: of common classes.
        features: of the kind that the probe was fitted to.
        labels: of all points, see `common_labels`.
        parts: masks of points.
    """
    of_rows = labels[features.index]
    known = of_rows < OTHER
    predicted, scored = head(features.feat[known]).argmax(1), of_rows[known]
    point = features.index[known]
    return {
        name: confusion_matrix(predicted[mask[point]], scored[mask[point]], len(GROUPS))
        for name, mask in parts.items()
    }


def changed_scores(
    features_of: Extractor,
    keyframes: Sequence[Keyframe],
    head: nn.Module,
    changes: Mapping[str, Change] = CHANGES,
) -> dict[str, tuple[float, float]]:
    """How features and their probe react to changes of the scan, by name of the change.

    Args:
        features_of: see `extractor`.
        keyframes: with labels.
        head: fitted to unchanged scans.
        changes: see `kit.evaluate.stability.CHANGES`.

    Returns:
        For each change: the mean cosine of the head's features to those of the unchanged scan, and
        the mIoU of the probe on the changed scans.
    """
    cosines: dict[str, list[Tensor]] = {name: [] for name in changes}
    counts = {name: torch.zeros(len(GROUPS), len(GROUPS), dtype=torch.int64) for name in changes}
    for keyframe in keyframes:
        before = features_of(keyframe).head
        for name, change in changes.items():
            changed, old_point = change(keyframe)
            after = features_of(changed)
            cosines[name].append(cosine_to_before(before, after.head, old_point))
            everywhere = {ALL: torch.ones(len(changed.points), dtype=torch.bool)}
            labels = common_labels(changed)
            counts[name] += confusions(head, after.inner, labels, everywhere)[ALL]
    return {
        name: (float(torch.cat(found).mean()), ProbeResult(counts[name], COMMON).miou)
        for name, found in cosines.items()
    }
