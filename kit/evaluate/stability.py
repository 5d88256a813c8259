"""Stability of features: how much they change when the same scan is turned, moved or thinned."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit import geometry
from kit.data.keyframe import Keyframe
from kit.evaluate.corruptions import find_beams
from kit.features.extract import Source
from kit.features.spaces import Features

Changed = tuple[Keyframe, Int[Tensor, " M"]]
Change = Callable[[Keyframe], Changed]


def moved(keyframe: Keyframe, T_new_old: Float[Tensor, "4 4"]) -> Keyframe:
    """The same keyframe in another lidar frame; images, labels and the global pose stay right.

    Args:
        T_new_old: rigid transform from the old to the new lidar frame.
    """
    T_old_new = geometry.invert_rigid(T_new_old)
    cameras = {
        name: replace(camera, T_cam_lidar=camera.T_cam_lidar @ T_old_new)
        for name, camera in keyframe.cameras.items()
    }
    pose = keyframe.T_global_lidar
    return replace(
        keyframe,
        points=geometry.transform_points(T_new_old, keyframe.points).float(),
        cameras=cameras,
        T_global_lidar=None if pose is None else pose @ T_old_new,
        boxes=(),
        annotations=None,
    )


def _turned(degrees: float) -> Change:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    T = torch.eye(4, dtype=torch.float64)
    T[:2, :2] = torch.tensor([[c, -s], [s, c]])
    return lambda keyframe: (moved(keyframe, T), torch.arange(len(keyframe.points)))


def _shifted(metres: float) -> Change:
    T = torch.eye(4, dtype=torch.float64)
    T[0, 3] = metres
    return lambda keyframe: (moved(keyframe, T), torch.arange(len(keyframe.points)))


def _brighter(decibel: float) -> Change:
    def change(keyframe: Keyframe) -> Changed:
        scaled = replace(keyframe, intensity=keyframe.intensity * 10 ** (decibel / 10))
        return scaled, torch.arange(len(keyframe.points))

    return change


def _every_second_beam(keyframe: Keyframe) -> Changed:
    kept = (find_beams(keyframe.points) % 2 == 0).nonzero()[:, 0]
    return keyframe.select(kept), kept


# Each returns the changed keyframe, and which point of the old one each of its points is.
CHANGES: Mapping[str, Change] = {
    "turned by 30 degrees": _turned(30.0),
    "turned by 90 degrees": _turned(90.0),
    "turned by 180 degrees": _turned(180.0),
    "moved by 1 m": _shifted(1.0),
    "1 dB more intensity": _brighter(1.0),
    "every second beam": _every_second_beam,
}


def self_similarity(
    source: Source,
    keyframe: Keyframe,
    changes: Mapping[str, Change] = CHANGES,
) -> dict[str, float]:
    """Mean cosine between the features of each point before and after a change of the scan.

    Args:
        source: of features, see `kit.source`.
        keyframe: stays as it is.
        changes: by name.

    Returns:
        by name of the change, over the points that have a feature both times; NaN without any.
    """
    before = source(keyframe)
    found = {}
    for name, change in changes.items():
        changed, old_point = change(keyframe)
        after = source(changed)
        cosine = cosine_to_before(before, after, old_point)
        found[name] = float(cosine.mean())
    return found


def cosine_to_before(
    before: Features, after: Features, old_point: Int[Tensor, " M"]
) -> Float[Tensor, " K"]:
    """Cosine of each point's feature before and after a change, where there are both.

    Args:
        old_point: for each point after the change, which point it was.
    """
    row = before.row_of(old_point[after.index])
    both = row >= 0
    return (before.unit[row[both]] * after.unit[both]).sum(1)
