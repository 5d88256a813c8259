"""Choice of an example point of a keyframe, for figures and queries."""

import torch
from jaxtyping import Int
from torch import Tensor

from kit.data.ground import height_above_ground
from kit.data.keyframe import Keyframe


def example_point(
    keyframe: Keyframe,
    among: Int[Tensor, " S"] | None = None,
    name: str = "car",
    distance: float = 12.0,
) -> int:
    """Choose a point of one class at about a given distance.

    Without labels it chooses a point about 1 m above the ground, which often lies on a car.

    Args:
        keyframe: labelled or not.
        among: indices of the points to choose from; None: all.
        name: the class.
        distance: wanted horizontal distance from the lidar, metres.

    Returns:
        index of the point in the keyframe.
    """
    among = torch.arange(len(keyframe.points)) if among is None else among
    points = keyframe.points[among]
    away = points[:, :2].norm(dim=1)
    wanted = torch.zeros(len(among), dtype=torch.bool)
    if keyframe.labels is not None and name in keyframe.classes.names:
        wanted = keyframe.labels[among] == keyframe.classes.names.index(name)
    if not wanted.any():
        height = height_above_ground(keyframe.points)[among]
        wanted = (height > 0.6) & (height < 1.4)
    off = (away - distance).abs()
    if wanted.any():
        off = torch.where(wanted, off, torch.inf)
    return int(among[off.argmin()])
