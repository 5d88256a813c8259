"""Content of an `Explorer`: keyframes, features, predictions, scores; checked when it is made.

Nothing here depends on the browser. All values per point are stored as lists with one entry per
keyframe.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit.data.classes import IGNORE, ClassMap
from kit.data.keyframe import Keyframe
from kit.features.pca import PcaBasis, fit_basis
from kit.features.spaces import Features
from kit.show import arrays
from kit.show.explorer.modes import MODES
from kit.show.explorer.order import drawn_points
from kit.show.explorer.quantisation import MAX_ROWS as QUANTISER_ROWS
from kit.show.explorer.quantisation import Quantiser, fit_quantiser, unit_rows
from kit.show.explorer.steps import Step, spread_steps, with_signs_of
from kit.show.features import check_features, check_map

NUM_COMPONENTS = 12  # of the colours' basis, to choose red, green and blue from
MAX_ROWS = 6_000  # for the fit of the colours' basis


@dataclass(frozen=True, eq=False)
class Content:
    """Everything that can be shown; lists have one entry per keyframe.

    Attributes:
        features: by name of the feature set.
        predictions: (N,) class indices, by name of the feature set they were made from.
        scores: (N,) float32, by name.
        feature_maps: by camera, (D, h, w) features of the first set; empty without maps.
        drawn: index of the points that are drawn, in the order of drawing, see `order.py`.
        channels: kept per feature; None: chosen by the error of cosines.
        queries: names of the scores that answer words.
        steps: the feature sets that are steps, by name.
    """

    keyframes: list[Keyframe]
    features: dict[str, list[Features]]
    predictions: dict[str, list[np.ndarray]]
    scores: dict[str, list[np.ndarray]]
    classes: ClassMap
    feature_maps: list[dict[str, Tensor]]
    drawn: list[np.ndarray]
    channels: int | None = None
    queries: list[str] = field(default_factory=list)
    steps: dict[str, Step] = field(default_factory=dict)

    def without_data(self) -> "Content":
        """A copy without keyframes and arrays, for a closed explorer."""
        none: list = [{}]
        return replace(
            self,
            features={},
            predictions={},
            scores={},
            feature_maps=none,
            drawn=[np.zeros(1, dtype=np.int64)],
            keyframes=[],
        )

    @cached_property
    def sets(self) -> list[str]:
        """Names of the feature sets, and of predictions that have none."""
        return list(dict.fromkeys([*self.features, *self.predictions]))

    @cached_property
    def labels(self) -> list[np.ndarray | None]:
        """Labels (N,) of each keyframe; None without labels."""
        return [None if k.labels is None else k.labels.numpy() for k in self.keyframes]

    @cached_property
    def quantisers(self) -> dict[str, Quantiser]:
        """One quantiser per feature set, for all its keyframes."""
        return {
            name: fit_quantiser(some_rows(sets, QUANTISER_ROWS), self.channels)
            for name, sets in self.features.items()
        }

    @cached_property
    def bases(self) -> dict[str, PcaBasis]:
        """The colours' basis of each set: the first set's, where the width is the same.

        Steps of other spaces, such as layers, have bases of their own.
        """
        bases: dict[str, PcaBasis] = {}
        before = ""
        for name, sets in self.features.items():
            shared = next((other for other in bases if self._share_basis(name, other)), None)
            bases[name] = bases[shared] if shared else _colour_basis(sets)
            if not shared and self._follow(before, name):
                last = self.features[before][0]
                bases[name] = with_signs_of(bases[name], sets[0], bases[before], last)
            before = name
        return bases

    def _share_basis(self, name: str, other: str) -> bool:
        """Whether sets are coloured alike: one width, and for steps also one space."""
        spaces = [self.features[each][0].space for each in (name, other)]
        if spaces[0].dim != spaces[1].dim:
            return False
        return spaces[0].key == spaces[1].key or not {name, other} & self.steps.keys()

    def _follow(self, name: str, other: str) -> bool:
        """Whether two sets are steps of one group."""
        both = [self.steps.get(each) for each in (name, other)]
        return all(both) and both[0].group == both[1].group

    def panels(self, feature_set: str) -> list[str]:
        """Sets that stand side by side: of steps the one that is shown, or the last one."""
        groups: dict[str, str] = {}
        for name in self.sets:
            group = self.steps[name].group if name in self.steps else f"set {name}"
            groups[group] = feature_set if self._follow(name, feature_set) else name
        return list(groups.values())

    def set_called(self, name: str) -> str:
        """The set of this name; of a group of steps, the last one."""
        return next((s for s in reversed(self.steps) if self.steps[s].group == name), name)

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Numbers of the feature sets that can be compared: of one width, no steps of a group."""
        widths = {
            number: self.features[name][0].space.dim
            for number, name in enumerate(self.sets)
            if name in self.features
        }
        pairs = combinations(widths, 2)
        names = self.sets
        return [
            (a, b)
            for a, b in pairs
            if widths[a] == widths[b] and not self._follow(names[a], names[b])
        ]

    @property
    def modes(self) -> list[str]:
        """Names of the modes that have something to show."""
        there = {"height", "intensity"}
        if any(keyframe.cameras for keyframe in self.keyframes):
            there.add("colour")
        if self.features:
            there |= {"features", "similarity"}
        if any(labels is not None for labels in self.labels):
            there.add("labels")
        if self.predictions:
            there.add("predictions")
        if {"labels", "predictions"} <= there:
            there.add("errors")
        if self.pairs:
            there.add("agreement")
        if self.queries:
            there.add("segments")
        return [mode for mode in MODES if mode in there] + list(self.scores)


def features_at(features: Features, points: Int[np.ndarray, " P"]) -> Float[Tensor, "P D"]:
    """Features of points of the keyframe; zeros for points without one."""
    if len(points) == features.num_points == len(features.feat):
        return features.feat.float()  # all of them, without a copy
    row = features.row_of(torch.from_numpy(points))
    feat = torch.zeros(len(points), features.space.dim)
    feat[row >= 0] = features.feat[row[row >= 0]]
    return feat


def check_content(
    keyframes: Keyframe | Sequence[Keyframe],
    features: Mapping[str, Any] | None,
    predictions: Mapping[str, Any] | None,
    scores: Mapping[str, Any] | None,
    classes: ClassMap | None,
    feature_maps: Any,
    max_points: int,
    channels: int | None,
) -> Content:
    """Check the arguments of `Explorer` and convert them to one form.

    Raises:
        ValueError: other counts than points, NaN, labels that are no class, an unusable name; the
            message names the set and the keyframe.
    """
    listed = [keyframes] if isinstance(keyframes, Keyframe) else list(keyframes)
    if not listed or not all(isinstance(keyframe, Keyframe) for keyframe in listed):
        raise ValueError("Explorer needs a keyframe or a list of at least one, as dataset[0]")
    classes = classes or listed[0].classes
    counts = [len(keyframe.points) for keyframe in listed]
    for name in scores or {}:
        if name in MODES:
            raise ValueError(f"a score cannot be called {name!r}: a mode has this name")
    given, steps = spread_steps(features)
    sets = _each("features", given, counts, check_features)
    for name, of_set in sets.items():
        if len({each.space.dim for each in of_set}) > 1:
            raise ValueError(f"features[{name!r}]: keyframes differ in the number of channels")
    return Content(
        keyframes=listed,
        features=sets,
        predictions=_each("predictions", predictions, counts, _label_check(classes)),
        scores=_each("scores", scores, counts, _check_score),
        classes=classes,
        feature_maps=_check_maps(feature_maps, listed, sets),
        drawn=[drawn_points(keyframe.points.numpy(), max_points) for keyframe in listed],
        channels=channels,
        steps=steps,
    )


def _each(
    kind: str,
    given: Mapping[str, Any] | None,
    counts: list[int],
    check: Callable[[Any, int, str], Any],
) -> dict[str, list]:
    """Check the value of each name and keyframe; `check` takes value, number of points, name."""
    checked = {}
    for name, values in (given or {}).items():
        if not isinstance(name, str) or not name:
            raise ValueError(f"{kind} need names that are text, got {name!r}")
        listed = _per_keyframe(values, len(counts), f"{kind}[{name!r}]")
        checked[name] = [
            check(value, counts[i], f"{kind}[{name!r}]" + (f" of keyframe {i}" if i else ""))
            for i, value in enumerate(listed)
        ]
    return checked


def _per_keyframe(values: Any, count: int, name: str) -> list:
    if isinstance(values, list):
        if len(values) != count:
            raise ValueError(f"{name}: {len(values)} entries for {count} keyframes")
        return values
    if count > 1:
        raise ValueError(f"{name}: give a list with one entry for each of the {count} keyframes")
    return [values]


def _check_score(value: Any, count: int, name: str) -> np.ndarray:
    array = np.asarray(arrays.to_numpy(value), dtype=np.float32)
    if array.ndim != 1:
        raise ValueError(f"{name} must be (N,) numbers, got {array.shape}")
    arrays.check_count(array, count, name)
    arrays.check_finite(array, name)
    return array


def _label_check(classes: ClassMap) -> Callable[[Any, int, str], np.ndarray]:
    def check(value: Any, count: int, name: str) -> np.ndarray:
        array = np.asarray(arrays.to_numpy(value))
        arrays.check_count(array, count, name)
        known = ((array >= 0) & (array < len(classes))) | (array == IGNORE)
        if array.ndim != 1 or array.dtype.kind not in "iu" or not known.all():
            raise ValueError(
                f"{name} must be (N,) class indices 0 to {len(classes) - 1}, or {IGNORE} where "
                f"nothing is predicted; got {array.shape} {array.dtype}"
            )
        return array.astype(np.int64)

    return check


def _check_maps(
    feature_maps: Any, keyframes: list[Keyframe], sets: dict[str, list[Features]]
) -> list[dict[str, Tensor]]:
    """Check the feature maps (D, h, w) of the first feature set, by keyframe and camera."""
    if feature_maps is None:
        return [{} for _ in keyframes]
    if not sets:
        raise ValueError(
            "feature_maps colour the images by the first feature set: give features too"
        )
    name, (first, *_) = next(iter(sets.items()))
    listed = _per_keyframe(feature_maps, len(keyframes), "feature_maps")
    checked = []
    for keyframe, given in zip(keyframes, listed, strict=True):
        cells = {camera: check_map(each) for camera, each in given.items()}
        for camera, each in cells.items():
            known = list(keyframe.cameras)
            if camera not in known:
                raise ValueError(f"feature_maps: no camera {camera!r}, there are {known}")
            if each.shape[0] != first.space.dim:
                raise ValueError(
                    f"feature_maps[{camera!r}] must be (D, h, w) with the {first.space.dim} "
                    f"channels of {name!r}, got {tuple(each.shape)}"
                )
            arrays.check_finite(each.numpy(), f"feature_maps[{camera!r}]")
        checked.append(cells)
    return checked


def some_rows(sets: list[Features], most: int) -> Float[Tensor, "R D"]:
    """Features of all keyframes, or `most` of them drawn at random; the others are not copied."""
    counts = [len(each.feat) for each in sets]
    if not sum(counts):
        return sets[0].feat
    chosen = arrays.choose(sum(counts), most)
    starts = np.cumsum([0, *counts])
    parts = []
    for number, each in enumerate(sets):
        inside = chosen[(chosen >= starts[number]) & (chosen < starts[number + 1])]
        parts.append(each.feat[torch.from_numpy(inside - starts[number])].float())
    return torch.cat(parts)


def _colour_basis(sets: list[Features]) -> PcaBasis:
    """Fit a basis on all features that have a direction."""
    feat = unit_rows(some_rows(sets, MAX_ROWS))
    feat = feat[(feat != 0).any(1)]
    if not len(feat):
        feat = torch.zeros(1, sets[0].space.dim)
    return fit_basis(feat, num_components=min(NUM_COMPONENTS, feat.shape[1]))
