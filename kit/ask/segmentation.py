"""From queries to labels: the best query of each point, or none of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit.ask.queries import Query
from kit.data.classes import IGNORE
from kit.data.keyframe import Keyframe
from kit.discover.foreground import otsu
from kit.features.knn import knn_mean
from kit.features.spaces import Features


@dataclass(frozen=True, eq=False)
class Segmentation:
    """An answer to several queries at once.

    Attributes:
        names: of the queries, in their order.
        labels: (N,) index into `names`; len(names) is "none of these". IGNORE where a point has no
            feature.
        scores: (N, Q) of each query; NaN where a point has no feature.
        threshold: the best score had to be above it.
    """

    names: tuple[str, ...]
    labels: Int[Tensor, " N"]
    scores: Float[Tensor, "N Q"]
    threshold: float

    def to_classes(self, classes, words: Mapping[str, str] | None = None) -> Int[Tensor, " N"]:
        """Labels of a data set's classes; IGNORE for none of these.

        Args:
            classes: a `ClassMap`.
            words: class name by query name, where they differ.

        Raises:
            ValueError: a query's name that is no class.
        """
        names = [(words or {}).get(name, name) for name in self.names]
        if unknown := [name for name in names if name not in classes.names]:
            raise ValueError(f"{unknown} are no classes of {classes.name}; name them in words=")
        table = torch.full((256,), IGNORE)
        table[: len(names)] = torch.tensor([classes.names.index(name) for name in names])
        return table[self.labels]

    def __repr__(self) -> str:
        count = torch.bincount(self.labels[self.labels != IGNORE], minlength=len(self.names) + 1)
        share = count / max(count.sum(), 1)
        listed = zip((*self.names, "none of these"), share.tolist(), strict=True)
        return "Segmentation: " + ", ".join(f"{name} {part:.1%}" for name, part in listed)


def segment(
    keyframe: Keyframe,
    queries: Mapping[str, Query],
    features: Features,
    *,
    images: Features | None = None,
    neighbours: int = 0,
    threshold: float | str | None = 0.0,
) -> Segmentation:
    """Give every point to the query with the highest score, or to none of them.

    Args:
        queries: by name.
        features: of this keyframe, usually a student's, which all points have.
        images: a teacher's features of this keyframe, of the same space: where an image sees a
            point, the mean of both scores counts.
        neighbours: average scores over so many nearest points in space; 0 for none.
        threshold: what the best score must exceed. 0 is where each query's own examples and
            counter-examples balance, no label of this keyframe is needed; "otsu" splits the best
            scores of this keyframe in two; None: never "none of these".

    Raises:
        ValueError: no query, another space, another word as threshold, or features of another
            keyframe.

    Source: two sources, OpenScene (arXiv:2211.15654). Differs: OpenScene keeps for each point the
        source with the larger best score; the mean is better on the street and on PandaSet.
    """
    if not queries:
        raise ValueError("segment needs at least one query, got none")
    count = len(keyframe.points)
    scores = _scores(queries, features, count)
    if images is not None:
        seen = _scores(queries, images, count)
        scores = torch.stack([scores, seen]).nanmean(0)
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
    if features.num_points != count:
        raise ValueError(
            f"these features are of a keyframe with {features.num_points} points, this one has "
            f"{count}"
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
    return threshold
