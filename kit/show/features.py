"""The features that pictures take: `kit.Features` or arrays, of points or of images' cells."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kit.features.spaces import Features, Space
from kit.show.arrays import check_finite, to_numpy
from kit.teacher.feature_maps import FeatureMaps

FeatureArray = Float[Tensor, "_ _"] | Float[np.ndarray, "_ _"]
Given = Features | FeatureArray
MapGiven = FeatureMaps | Float[Tensor, "_ _ _"] | Float[np.ndarray, "_ _ _"]


def check_features(value: Features | Tensor | np.ndarray, count: int, name: str) -> Features:
    """Return features of a keyframe with `count` points; an array is taken for all its points.

    Raises:
        ValueError: features of a keyframe with another number of points, an index that does not
            ascend, an array that is not (N, D), or NaN; the message begins with `name`.
    """
    if isinstance(value, Features):
        if value.num_points != count:
            raise ValueError(
                f"{name}: features of a keyframe with {value.num_points:,} points, this one has "
                f"{count:,}; extract them from this keyframe"
            )
        index = value.index
        if len(index) and (index[0] < 0 or index[-1] >= count or (index.diff() <= 0).any()):
            raise ValueError(f"{name}: index must ascend from 0 to {count - 1}, each point once")
        return value
    array = to_numpy(value)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{name}: features must be (N, D) or kit.Features, got {array.shape}")
    if len(array) != count:
        raise ValueError(
            f"{name}: {len(array):,} rows of features for {count:,} points; give kit.Features "
            "where only some points have one"
        )
    check_finite(array, name)
    feat = torch.as_tensor(array, dtype=torch.float32)
    return Features(Space(name, array.shape[1], f"array {name}"), feat, torch.arange(count), count)


def named_features(features: Given | Mapping[str, Given], count: int) -> dict[str, Features]:
    """Check one set of features, or several by name; a single one gets the name "".

    Raises:
        ValueError: no features, or as `check_features`.
    """
    if not isinstance(features, Mapping):
        return {"": check_features(features, count, "features")}
    if not features:
        raise ValueError('features: give at least one set, e.g. {"teacher": kit.Features}')
    return {
        name: check_features(value, count, f"features of {name}")
        for name, value in features.items()
    }


def check_map(feature_map: MapGiven) -> Float[Tensor, "D h w"]:
    """Return one feature for each cell: an array as it is, `FeatureMaps` at their finest cells.

    Args:
        feature_map: (D, h, w), or the maps of one image, read at the middle of each cell of the
            finest map.

    Raises:
        ValueError: an array that is not (D, h, w).
    """
    if not isinstance(feature_map, FeatureMaps):
        cells = torch.as_tensor(to_numpy(feature_map), dtype=torch.float32)
        if cells.ndim != 3 or not cells.numel():
            raise ValueError(f"a feature map must be (D, h, w), got {tuple(cells.shape)}")
        return cells
    height, width = feature_map.image_size
    rows, columns = max((m.shape[-2:] for m in feature_map.maps), key=math.prod)
    v, u = torch.meshgrid(
        (torch.arange(rows) + 0.5) * height / rows,
        (torch.arange(columns) + 0.5) * width / columns,
        indexing="ij",
    )
    uv = torch.stack([u, v], dim=-1).reshape(-1, 2)  # (rows * columns, 2) px
    image = torch.zeros(len(uv), dtype=torch.int64)
    feat = feature_map.sample(image, uv, feature_map.image_size).cpu()
    return feat.T.reshape(-1, rows, columns)
