"""What a loss compares: made from a batch, the teacher's maps and the student's features."""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit.distill.batches import TrainingBatch, View
from kit.distill.losses import LossInputs
from kit.distill.superpixels import superpixel_means
from kit.teacher.feature_maps import FeatureMaps


def loss_inputs(
    batch: TrainingBatch,
    maps: Sequence[FeatureMaps],
    student_feat: Float[Tensor, "M D"],
    needed: Collection[str],
) -> LossInputs:
    """Put together what a loss needs, on the device of the student's features.

    Args:
        batch: the views of one step.
        maps: the teacher's, one per view.
        student_feat: of the batch's points.
        needed: names of fields of `LossInputs`; others than these may be None.
    """
    device = student_feat.device
    made = {"superpixels": batch.superpixels, "classes": batch.classes}
    if "superpixel_feat" in needed and batch.regions is not None:
        made["superpixel_feat"] = superpixel_means(batch.regions, maps)
    if "patches" in needed:
        made["patches"] = patches_of_pairs(batch.views, maps)
    if "ranges" in needed:
        made["ranges"] = batch.points.feat[:, 4]
    made = {name: None if value is None else value.to(device) for name, value in made.items()}
    teacher_feat = teacher_feat_of(batch.views, maps).to(device)
    image = batch.points.batch_of_point.to(device)
    return LossInputs(student_feat, teacher_feat, image, **made)


def patches_of_pairs(views: Sequence[View], maps: Sequence[FeatureMaps]) -> Int[Tensor, " M"]:
    """The cell of the teacher's first map that each pair's pixel is in, unique over the images."""
    found, first = [], 0
    for view, of_teacher in zip(views, maps, strict=True):
        rows, columns = of_teacher.maps[0].shape[-2:]
        height, width = view.camera.image_size
        column, row = view.uv.long().unbind(1)
        found.append(first + row * rows // height * columns + column * columns // width)
        first += rows * columns
    return torch.cat(found)


def teacher_feat_of(views: Sequence[View], maps: Sequence[FeatureMaps]) -> Float[Tensor, "M D"]:
    """The teacher's features at the pixels of all views' pairs, one view after the other."""
    feat = []
    for view, of_teacher in zip(views, maps, strict=True):
        image = torch.zeros(len(view.uv), dtype=torch.int64)
        feat.append(of_teacher.sample(image, view.uv, view.camera.image_size))
    return torch.cat(feat)
