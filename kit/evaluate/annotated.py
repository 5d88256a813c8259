"""Foreground and objects according to the annotations; discovery is compared with them."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from kit.data.classes import IGNORE, NUSCENES
from kit.data.keyframe import Keyframe

THINGS = NUSCENES.names[:10]  # can move or be moved; nuScenes annotates their boxes


def annotated_foreground(
    keyframe: Keyframe,
) -> tuple[Bool[Tensor, " N"], Bool[Tensor, " N"]]:
    """Annotated foreground: points on things that can move or be moved.

    It is read from a simulation's exact annotations if there are any, otherwise from labels
    (`THINGS`), otherwise from boxes.

    Returns:
        foreground: which points are on things.
        scored: which points are annotated.

    Raises:
        ValueError: the keyframe has no annotation.
    """
    everywhere = torch.ones(len(keyframe.points), dtype=torch.bool)
    if keyframe.annotations is not None:
        return keyframe.annotations.foreground, everywhere
    if keyframe.labels is not None:
        things = [i for i, name in enumerate(keyframe.classes.names) if name in THINGS]
        scored = keyframe.labels != IGNORE
        return torch.isin(keyframe.labels, torch.tensor(things)), scored
    if not keyframe.boxes:
        raise ValueError(f"keyframe {keyframe.token} has neither labels nor boxes to compare with")
    return annotated_objects(keyframe) >= 0, everywhere


def annotated_objects(keyframe: Keyframe) -> Int[Tensor, " N"]:
    """The annotated object of each point, -1 for none; of several boxes, the smallest."""
    if keyframe.annotations is not None:
        return keyframe.annotations.object_of_point
    inside = torch.full((len(keyframe.points),), -1)
    largest_first = sorted(
        range(len(keyframe.boxes)), key=lambda i: -torch.tensor(keyframe.boxes[i].size).prod()
    )
    for index in largest_first:
        inside[keyframe.boxes[index].contains(keyframe.points)] = index
    return inside
