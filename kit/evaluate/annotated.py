"""Foreground, objects and common classes of points according to the annotations."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from kit.data.class_maps import KITTI_OBJECTS
from kit.data.classes import IGNORE, NUSCENES, ClassMap
from kit.data.keyframe import Keyframe
from kit.evaluate.common_classes import GROUPS, MOVABLE, OTHER, group_of_class, plain_name
from kit.projection import find_pairs

THINGS = NUSCENES.names[:10]  # can move or be moved; nuScenes annotates their boxes
OWN_RADIUS = 2.5  # metres around the lidar's axis: points on the vehicle that carries it
_THINGS = {plain_name(name) for name in THINGS}


def annotated_foreground(
    keyframe: Keyframe,
) -> tuple[Bool[Tensor, " N"], Bool[Tensor, " N"]]:
    """Annotated foreground: points on things that can move or be moved.

    It is read from a simulation's exact annotations if there are any, otherwise from labels
    (`THINGS`, and classes of other data sets that are in one of the groups `MOVABLE`), otherwise
    from boxes.

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
        scored = keyframe.labels != IGNORE
        return _is_movable(keyframe.classes)[keyframe.labels], scored
    if not keyframe.boxes:
        raise ValueError(f"keyframe {keyframe.token} has neither labels nor boxes to compare with")
    return annotated_objects(keyframe) >= 0, everywhere


def _is_movable(classes: ClassMap) -> Bool[Tensor, " 256"]:
    """By label, whether it is a class of things that can move or be moved."""
    movable = torch.tensor([GROUPS.index(group) for group in MOVABLE])
    table = torch.isin(group_of_class(classes), movable)
    for index, name in enumerate(classes.names):
        table[index] |= plain_name(name) in _THINGS
    return table


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


def common_labels(keyframe: Keyframe) -> Int[Tensor, " N"]:
    """The group of each point of a keyframe, from its labels or else from its boxes.

    Boxes say nothing about the scenery: points outside of all boxes are `OTHER`. The boxes of KITTI
    are annotated in one image; points that its camera does not see are IGNORE.

    Returns:
        Index into `GROUPS`, `OTHER` for annotated points of no group, IGNORE without annotation.

    Raises:
        ValueError: the keyframe has neither labels nor boxes.
    """
    table = group_of_class(keyframe.classes)
    if keyframe.labels is not None:
        return table[keyframe.labels]
    if not keyframe.boxes:
        raise ValueError(f"keyframe {keyframe.token} has neither labels nor boxes to compare with")
    which = annotated_objects(keyframe)
    of_box = torch.tensor([box.label for box in keyframe.boxes])
    labels = torch.where(which >= 0, table[of_box[which.clamp(min=0)]], OTHER)
    labels[labels == IGNORE] = OTHER
    labels[~annotated(keyframe)] = IGNORE
    return labels


def annotated(keyframe: Keyframe) -> Bool[Tensor, " N"]:
    """Mask of annotated points: those that have a label, or all where boxes were drawn."""
    if keyframe.labels is not None:
        return keyframe.labels != IGNORE
    annotated = keyframe.points[:, :2].norm(dim=1) > OWN_RADIUS
    if keyframe.classes == KITTI_OBJECTS:
        seen = torch.zeros_like(annotated)
        seen[find_pairs(keyframe.points, keyframe.cameras).seen_points()] = True
        annotated &= seen
    return annotated


def groups_to_find(keyframe: Keyframe) -> tuple[str, ...]:
    """The groups that the annotation of a keyframe can tell from everything else."""
    if keyframe.labels is None:
        return MOVABLE
    there = set(group_of_class(keyframe.classes)[: len(keyframe.classes)].tolist())
    return tuple(group for index, group in enumerate(GROUPS) if index in there)
