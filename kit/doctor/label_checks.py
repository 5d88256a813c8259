"""Checks of labels: how many points have one, which classes occur, whether the order is right."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from kit import geometry
from kit.data.classes import IGNORE, ClassMap
from kit.data.keyframe import Keyframe
from kit.doctor.findings import Finding

SAMPLE = 4000  # points whose label is compared with that of the nearest neighbour
LITTLE = 0.5  # ratio of labelled points


@dataclass(frozen=True)
class LabelFacts:
    """Measured properties of the labels of one scan.

    Attributes:
        counts: (C + 1,) points by class, and those without a class.
        agreement: ratio of points with the label of their nearest neighbour.
        expected: the same, if labels were given to points in random order.
    """

    counts: tuple[int, ...]
    agreement: float
    expected: float

    @property
    def coverage(self) -> float:
        """Ratio of points with a class."""
        return 1 - self.counts[-1] / max(sum(self.counts), 1)


def label_facts(keyframe: Keyframe) -> LabelFacts | None:
    """Measure the labels of a keyframe; None without labels."""
    if keyframe.labels is None:
        return None
    labels, classes = keyframe.labels, len(keyframe.classes)
    named = torch.where(labels == IGNORE, classes, labels)
    counts = torch.bincount(named, minlength=classes + 1)
    scored = (labels != IGNORE).nonzero()[:, 0]
    if len(scored) < 100:
        return LabelFacts(tuple(counts.tolist()), 1.0, 0.0)
    drawn = torch.from_numpy(np.random.default_rng(0).permutation(len(scored))[:SAMPLE])
    points = keyframe.points[scored]
    nearest = geometry.k_nearest(points, points[drawn], 2)[1][:, -1]
    agreement = (labels[scored][nearest] == labels[scored][drawn]).double().mean()
    ratios = counts[:-1].double() / len(scored)  # (C,) of the labelled points
    return LabelFacts(tuple(counts.tolist()), float(agreement), float((ratios**2).sum()))


def check_labels(
    facts: Mapping[int, LabelFacts | None], classes: ClassMap, examined: Sequence[int]
) -> Iterator[Finding]:
    """Findings about the labels of all examined keyframes."""
    found = [each for each in facts.values() if each is not None]
    if not found:
        yield Finding("note", "labels", "there are none: no linear probe and no scores")
        return
    if len(found) < len(examined):
        yield Finding(
            "note", "labels", f"{len(found)} of {len(examined)} examined keyframes have labels"
        )
    mixed = [f for f in found if f.agreement < 0.5 + 0.5 * f.expected and f.expected < 0.9]
    if mixed:
        agreement = float(np.mean([each.agreement for each in mixed]))
        yield Finding(
            "problem",
            "labels",
            f"in {len(mixed)} of {len(found)} keyframes only {agreement:.0%} of the points have "
            "the label of their nearest neighbour: the labels are in another order than the "
            "points, or of another scan",
            "check that row i of the label file is for row i of the scan file",
        )
    coverage = float(np.mean([each.coverage for each in found]))
    if coverage < LITTLE:
        yield Finding(
            "warning" if coverage < 0.05 else "note",
            "labels",
            f"{coverage:.0%} of the points have a class",
            "check the class map, unless only a part was annotated",
        )
    counts = np.sum([each.counts for each in found], axis=0)[:-1]
    absent = [name for name, count in zip(classes.names, counts, strict=True) if count == 0]
    if absent and len(absent) < len(classes):
        yield Finding(
            "note",
            "labels",
            f"{len(absent)} of {len(classes)} classes do not occur in the examined keyframes: "
            f"{', '.join(absent)}",
        )
