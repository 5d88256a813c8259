"""Assemble the inputs of a loss from a batch, the teacher's feature maps and student features."""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit.data.classes import IGNORE
from kit.distill.batches import TrainingBatch
from kit.distill.losses import LossInputs
from kit.distill.superpixels import clusters_of_pairs, superpixel_means
from kit.distill.views import View
from kit.teacher.feature_maps import FeatureMaps


def loss_inputs(
    batch: TrainingBatch,
    maps: Sequence[FeatureMaps],
    student_feat: Float[Tensor, "N D"],
    needed: Collection[str],
    superpixels: str = "slic",
) -> LossInputs:
    """Put together what a loss needs, on the device of the student's features.

    Args:
        batch: the views of one step.
        maps: the teacher's, one per view.
        student_feat: of the batch's N points.
        needed: names of fields of `LossInputs`; others than these may be None.
        superpixels: "teacher" makes them from the maps; other kinds are in the batch.
    """
    device = student_feat.device
    made = {"superpixels": batch.superpixels, "classes": _known_classes(batch.classes)}
    if superpixels == "teacher" and "superpixels" in needed:
        pixels, sizes = zip(*((v.uv, v.camera.image_size) for v in batch.views), strict=True)
        made["superpixels"], made["superpixel_feat"] = clusters_of_pairs(maps, pixels, sizes)
    elif "superpixel_feat" in needed and batch.regions is not None:
        made["superpixel_feat"] = superpixel_means(batch.regions, maps)
    if "patches" in needed:
        made["patches"] = patches_of_pairs(batch.views, maps)
    point_of_pair = slice(None) if batch.point_of_pair is None else batch.point_of_pair
    if "ranges" in needed:
        made["ranges"] = batch.points.feat[point_of_pair, 4]
    if batch.dense is not None:
        made |= _of_moments(batch, student_feat)
    made = {name: None if value is None else value.to(device) for name, value in made.items()}
    teacher_feat = teacher_feat_of(batch.views, maps).to(device)
    if batch.point_of_pair is not None:
        student_feat = student_feat[batch.point_of_pair.to(device)]
    return LossInputs(student_feat, teacher_feat, batch.image_of_pair.to(device), **made)


def _of_moments(batch: TrainingBatch, student_feat: Float[Tensor, "N D"]) -> dict:
    """The inputs of losses that compare moments."""
    moments = [torch.full((len(view.uv),), view.moment) for view in batch.views]
    return {
        "moments": torch.cat(moments),
        "dense_feat": student_feat[batch.dense.to(student_feat.device)],
        "dense_classes": _known_classes(batch.dense_classes),
    }


def _known_classes(classes: Int[Tensor, " M"] | None) -> Int[Tensor, " M"] | None:
    """Classes with -1 for points without a label, which losses leave out."""
    return None if classes is None else classes.where(classes != IGNORE, -1)


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
    """The targets of all views' pairs, one view after the other: teacher features at pixels.

    A pair that borrows its target gets the mean of others, see `View`.
    """
    feat = []
    for view, of_teacher in zip(views, maps, strict=True):
        image = torch.zeros(len(view.uv), dtype=torch.int64)
        own = of_teacher.sample(image, view.uv, view.camera.image_size)
        feat.append(own if view.borrowed is None else own[view.borrowed.to(own.device)].mean(1))
    return torch.cat(feat)
