"""Foreground and objects according to the annotations: what answers are compared with."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from kit.data.classes import IGNORE, NUSCENES
from kit.data.keyframe import Keyframe

THINGS = NUSCENES.names[:10]  # what can move or be moved; nuScenes puts boxes around them


def annotated_foreground(
    keyframe: Keyframe,
) -> tuple[Bool[Tensor, " N"], Bool[Tensor, " N"]]:
    """Points on things, and the points whose annotation is known.

    From the simulation where there is one, else from labels (`THINGS`), else from boxes.

    Raises:
        ValueError: the keyframe has none of them.
    """
    everywhere = torch.ones(len(keyframe.points), dtype=torch.bool)
    if keyframe.truth is not None:
        return keyframe.truth.foreground, everywhere
    if keyframe.labels is not None:
        things = [i for i, name in enumerate(keyframe.classes.names) if name in THINGS]
        scored = keyframe.labels != IGNORE
        return torch.isin(keyframe.labels, torch.tensor(things)), scored
    if not keyframe.boxes:
        raise ValueError(f"keyframe {keyframe.token} has neither labels nor boxes to compare with")
    return annotated_objects(keyframe) >= 0, everywhere


def annotated_objects(keyframe: Keyframe) -> Int[Tensor, " N"]:
    """The annotated object of each point, -1 for none; in several boxes, the smallest counts."""
    if keyframe.truth is not None:
        return keyframe.truth.object_of_point
    inside = torch.full((len(keyframe.points),), -1)
    largest_first = sorted(
        range(len(keyframe.boxes)), key=lambda i: -torch.tensor(keyframe.boxes[i].size).prod()
    )
    for index in largest_first:
        inside[keyframe.boxes[index].contains(keyframe.points)] = index
    return inside
