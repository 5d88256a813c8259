"""What an `Explorer` shows, checked on entry: keyframes, features, predictions, scores.

Nothing here knows a browser. Whatever is given per point is brought to one form: a list with one
array per keyframe, a row per point.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit.data.classes import IGNORE, ClassMap
from kit.data.keyframe import Keyframe
from kit.show import arrays
from kit.show.explorer.quantisation import Packing, check_features, fit_packing, unit_rows
from kit.show.pca import PcaBasis, fit_basis

NUM_COMPONENTS = 12  # of the colours' basis, to choose red, green and blue from
OWN_MODES = (
    "height",
    "intensity",
    "colour",
    "features",
    "similarity",
    "labels",
    "predictions",
    "errors",
)


@dataclass(frozen=True)
class PartFeatures:
    """Features of some points of one keyframe: `rows` (M,) of its points, `feat` (M, D)."""

    rows: Int[np.ndarray, " M"]
    feat: Float[Tensor, "M D"]

    def of(self, points: np.ndarray) -> Float[Tensor, "P D"]:
        """Features of these points, zeros for those without one."""
        place = np.searchsorted(self.rows, points).clip(max=max(len(self.rows) - 1, 0))
        feat = torch.zeros(len(points), self.feat.shape[1])
        if len(self.rows):
            has = self.rows[place] == points
            feat[torch.from_numpy(has)] = self.feat[torch.from_numpy(place[has])]
        return feat


@dataclass(frozen=True, eq=False)
class Content:
    """Everything that can be shown; lists run over the keyframes.

    Attributes:
        features: by name of the feature set.
        predictions: (N,) class indices, by name of the feature set they were made from.
        scores: (N,) float32, by name.
        grids: per keyframe and camera (D, h, w) features of the first set, or empty.
        rows: of each keyframe's points, those that are drawn.
    """

    keyframes: list[Keyframe]
    features: dict[str, list[PartFeatures]]
    predictions: dict[str, list[np.ndarray]]
    scores: dict[str, list[np.ndarray]]
    classes: ClassMap
    grids: list[dict[str, Tensor]]
    rows: list[np.ndarray]
    channels: int | None = None

    @cached_property
    def sets(self) -> list[str]:
        """Names of the feature sets, and of predictions that have none."""
        return list(dict.fromkeys([*self.features, *self.predictions]))

    @cached_property
    def labels(self) -> list[np.ndarray | None]:
        return [None if k.labels is None else k.labels.numpy() for k in self.keyframes]

    @cached_property
    def packings(self) -> dict[str, Packing]:
        """One packing per feature set, for all its keyframes."""
        return {
            name: fit_packing(torch.cat([part.feat for part in parts]), self.channels)
            for name, parts in self.features.items()
        }

    @cached_property
    def bases(self) -> dict[str, PcaBasis]:
        """The colours' basis of each set: the first set's, where the width is the same."""
        found: dict[int, PcaBasis] = {}
        return {
            name: found.setdefault(parts[0].feat.shape[1], _colour_basis(parts))
            for name, parts in self.features.items()
        }

    @cached_property
    def modes(self) -> list[str]:
        """Modes that have something to show."""
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
        return [mode for mode in OWN_MODES if mode in there] + list(self.scores)


def check_content(
    keyframes: Keyframe | Sequence[Keyframe],
    features: Mapping[str, Any] | None,
    predictions: Mapping[str, Any] | None,
    scores: Mapping[str, Any] | None,
    classes: ClassMap | None,
    grids: Any,
    max_points: int,
    channels: int | None,
) -> Content:
    """Bring what a user gives to one form; see `Explorer` for what may be given.

    Raises:
        ValueError: other counts than points, NaN, labels that are no class, an unusable name;
            says which set of which keyframe.
    """
    listed = [keyframes] if isinstance(keyframes, Keyframe) else list(keyframes)
    if not listed or not all(isinstance(keyframe, Keyframe) for keyframe in listed):
        raise ValueError("Explorer needs a keyframe or a list of at least one, as dataset[0]")
    classes = classes or listed[0].classes
    counts = [len(keyframe.points) for keyframe in listed]
    for name in scores or {}:
        if name in OWN_MODES:
            raise ValueError(f"a score cannot be called {name!r}: that is a mode of its own")

    def each(kind: str, given: Mapping[str, Any] | None, check) -> dict[str, list]:
        checked = {}
        for name, values in (given or {}).items():
            if not isinstance(name, str) or not name:
                raise ValueError(f"{kind} need names that are text, got {name!r}")
            listed_values = _per_keyframe(values, len(listed), f"{kind}[{name!r}]")
            checked[name] = [
                check(value, counts[i], f"{kind}[{name!r}]" + (f" of keyframe {i}" if i else ""))
                for i, value in enumerate(listed_values)
            ]
        return checked

    parts = each("features", features, _check_part)
    for name, sets in parts.items():
        if len({part.feat.shape[1] for part in sets}) > 1:
            raise ValueError(f"features[{name!r}]: keyframes differ in the number of channels")
    return Content(
        keyframes=listed,
        features=parts,
        predictions=each("predictions", predictions, _label_check(classes)),
        scores=each("scores", scores, _check_score),
        classes=classes,
        grids=_check_grids(grids, listed, parts),
        rows=[arrays.choose(count, max_points) for count in counts],
        channels=channels,
    )


def _per_keyframe(values: Any, count: int, name: str) -> list:
    if isinstance(values, list):
        if len(values) != count:
            raise ValueError(f"{name}: {len(values)} entries for {count} keyframes")
        return values
    if count > 1:
        raise ValueError(f"{name}: give a list with one entry for each of the {count} keyframes")
    return [values]


def _check_part(value: Any, count: int, name: str) -> PartFeatures:
    rows, feat = value if isinstance(value, tuple) else (None, value)
    check_features(feat, name)
    if rows is None:
        if len(feat) != count:
            raise ValueError(
                f"{name}: {len(feat):,} rows of features for {count:,} points; give a tuple "
                "(rows, feat) where only some points have one"
            )
        rows = np.arange(count)
    rows = arrays.to_numpy(rows)
    arrays.check_rows(feat, len(rows), name, "rows")
    if rows.dtype.kind not in "iu" or rows.ndim != 1:
        raise ValueError(f"{name}: rows must be (M,) whole numbers, got {rows.shape} {rows.dtype}")
    if len(rows) and not (0 <= rows.min() and rows.max() < count):
        raise ValueError(
            f"{name}: rows {rows.min()} to {rows.max()} are not among {count:,} points"
        )
    order = np.argsort(rows, kind="stable")
    if len(rows) and (np.diff(rows[order]) == 0).any():
        raise ValueError(f"{name}: a point is named twice in rows")
    feat = torch.as_tensor(arrays.to_numpy(feat), dtype=torch.float32)
    return PartFeatures(rows[order].astype(np.int64), feat[torch.from_numpy(order)])


def _check_score(value: Any, count: int, name: str) -> np.ndarray:
    array = np.asarray(arrays.to_numpy(value), dtype=np.float32)
    if array.ndim != 1:
        raise ValueError(f"{name} must be (N,) numbers, got {array.shape}")
    arrays.check_rows(array, count, name)
    arrays.check_finite(array, name)
    return array


def _label_check(classes: ClassMap):
    def check(value: Any, count: int, name: str) -> np.ndarray:
        array = np.asarray(arrays.to_numpy(value))
        arrays.check_rows(array, count, name)
        known = ((array >= 0) & (array < len(classes))) | (array == IGNORE)
        if array.ndim != 1 or array.dtype.kind not in "iu" or not known.all():
            raise ValueError(
                f"{name} must be (N,) class indices 0 to {len(classes) - 1}, or {IGNORE} where "
                f"nothing is predicted; got {array.shape} {array.dtype}"
            )
        return array.astype(np.int64)

    return check


def _check_grids(grids: Any, keyframes: list[Keyframe], parts: dict) -> list[dict[str, Tensor]]:
    """Each camera's grid of the first feature set as (D, h, w)."""
    if grids is None:
        return [{} for _ in keyframes]
    if not parts:
        raise ValueError("grids colour the images by the first feature set: give features too")
    name, (first, *_) = next(iter(parts.items()))
    checked = []
    for keyframe, given in zip(
        keyframes, _per_keyframe(grids, len(keyframes), "grids"), strict=True
    ):
        cells = {camera: cells_of(grid) for camera, grid in given.items()}
        for camera, grid in cells.items():
            if camera not in keyframe.cameras:
                raise ValueError(f"grids: no camera {camera!r}, there are {list(keyframe.cameras)}")
            if grid.ndim != 3 or grid.shape[0] != first.feat.shape[1]:
                raise ValueError(
                    f"grids[{camera!r}] must be (D, h, w) with the {first.feat.shape[1]} channels "
                    f"of {name!r}, got {tuple(grid.shape)}"
                )
            check_features(grid.flatten(1).T, f"grids[{camera!r}]")
        checked.append(cells)
    return checked


def cells_of(grid: Any) -> Tensor:
    """(D, h, w) of a camera's `FeatureMaps`, read at the cells of its finest map; or as given."""
    if not hasattr(grid, "maps"):
        return torch.as_tensor(arrays.to_numpy(grid), dtype=torch.float32)
    rows, columns = max((m.shape[-2:] for m in grid.maps), key=lambda size: size[0] * size[1])
    height, width = grid.image_size
    v, u = torch.meshgrid(
        (torch.arange(rows) + 0.5) * height / rows,
        (torch.arange(columns) + 0.5) * width / columns,
        indexing="ij",
    )
    uv = torch.stack([u, v], dim=-1).reshape(-1, 2)  # (rows * columns, 2) px
    feat = grid.sample(torch.zeros(len(uv), dtype=torch.int64), uv, grid.image_size).cpu()
    return feat.T.reshape(-1, rows, columns)


def _colour_basis(parts: list[PartFeatures]) -> PcaBasis:
    feat = unit_rows(torch.cat([part.feat for part in parts]))
    feat = feat[(feat != 0).any(1)]
    if not len(feat):
        feat = torch.zeros(1, parts[0].feat.shape[1])
    return fit_basis(feat, num_components=min(NUM_COMPONENTS, feat.shape[1]))
