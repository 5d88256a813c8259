"""Segmentation: label every point with the best of several queries."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit.ask.queries import Query
from kit.data.classes import IGNORE, ClassMap
from kit.data.keyframe import Keyframe
from kit.features.knn import knn_mean
from kit.features.spaces import Features
from kit.features.threshold import otsu


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The labels of a keyframe's points by several queries.

    Attributes:
        names: of the queries, in their order.
        labels: (N,) index into `names`; len(names) for none of the queries; IGNORE where a point
            has no feature.
        scores: (N, Q) of each query; NaN where a point has no feature.
        threshold: the highest score of a point must be above it.
    """

    names: tuple[str, ...]
    labels: Int[Tensor, " N"]
    scores: Float[Tensor, "N Q"]
    threshold: float

    def to_classes(
        self, classes: ClassMap, class_of: Mapping[str, str] | None = None
    ) -> Int[Tensor, " N"]:
        """Labels in a data set's classes; IGNORE for none of the queries.

        Args:
            classes: of the data set.
            class_of: class name by query name, where they differ.

        Raises:
            ValueError: the name of a query is no class.
        """
        names = [(class_of or {}).get(name, name) for name in self.names]
        if unknown := [name for name in names if name not in classes.names]:
            raise ValueError(f"{unknown} are no classes of {classes.name}; name them in class_of=")
        table = torch.full((256,), IGNORE)
        table[: len(names)] = torch.tensor([classes.names.index(name) for name in names])
        return table[self.labels]

    def __repr__(self) -> str:
        count = torch.bincount(self.labels[self.labels != IGNORE], minlength=len(self.names) + 1)
        ratio = count / max(count.sum(), 1)
        listed = zip((*self.names, "none of these"), ratio.tolist(), strict=True)
        return "Segmentation: " + ", ".join(f"{name} {part:.1%}" for name, part in listed)


def segment(
    keyframe: Keyframe,
    queries: Mapping[str, Query],
    features: Features,
    *,
    image_features: Features | None = None,
    neighbours: int = 0,
    threshold: float | str | None = 0.0,
) -> Segmentation:
    """Label every point with the query that has the highest score, or with none of them.

    Args:
        keyframe: whose points are labelled.
        queries: by name.
        features: of this keyframe, usually a student's, which all points have.
        image_features: a teacher's features of this keyframe, in the same space. Where a point has
            both, the mean of both scores counts.
        neighbours: average scores over so many nearest points; 0: do not average.
        threshold: what the highest score must exceed. 0 is where examples and counter-examples of a
            query balance. "otsu": Otsu's threshold of the highest scores of this keyframe. None:
            every point is labelled with a query.

    Raises:
        ValueError: no query or too many, another space, an unknown threshold, neighbours below 0,
            or features of another keyframe.

    Source: features of points and of images, OpenScene (arXiv:2211.15654). Differs: OpenScene uses
        the one with the higher best score for each point; the mean is better on the street and on
        PandaSet.
    """
    if not queries:
        raise ValueError("segment needs at least one query, got none")
    if len(queries) >= IGNORE:
        raise ValueError(f"segment takes at most {IGNORE - 1} queries, got {len(queries)}")
    if neighbours < 0:
        raise ValueError(f"neighbours must be at least 0, got {neighbours}")
    count = len(keyframe.points)
    scores = _scores(queries, features, count)
    if image_features is not None:
        of_images = _scores(queries, image_features, count)
        scores = torch.stack([scores, of_images]).nanmean(0)
    known = ~scores.isnan().any(1)
    if neighbours:
        scores[known] = knn_mean(keyframe.points[known], scores[known], k=neighbours)
    best, labels = scores[known].max(1)
    bound = _bound(threshold, best)
    labels[best <= bound] = len(queries)
    all_labels = torch.full((count,), IGNORE)
    all_labels[known] = labels
    return Segmentation(tuple(queries), all_labels, scores, bound)


def _scores(queries: Mapping[str, Query], features: Features, count: int) -> Tensor:
    """(N, Q) scores of all points; NaN where a point has no feature."""
    if features.num_points != count:
        raise ValueError(
            f"these features are of a keyframe with {features.num_points} points, this one has "
            f"{count}; extract them from this keyframe"
        )
    scores = torch.full((count, len(queries)), torch.nan)
    scores[features.index] = torch.stack([q.score(features) for q in queries.values()], 1)
    return scores


def _bound(threshold: float | str | None, best: Tensor) -> float:
    if threshold is None:
        return -torch.inf
    if threshold == "otsu":
        return otsu(best)
    if isinstance(threshold, str):
        raise ValueError(f'threshold must be a number, "otsu" or None, got {threshold!r}')
    if math.isnan(threshold):
        raise ValueError('threshold must be a number, "otsu" or None, got NaN')
    return threshold
