"""Distillation losses: the table `LOSSES` by name, and how each loss gets its inputs.

In: the features of pairs of a point and a pixel, and more where a loss asks for it. Out: a number.
A loss is a pure function: each of its parameters is filled with the field of `LossInputs` that has
the same name, for example `loss(student_feat, teacher_feat)` or `loss(student_feat, teacher_feat,
superpixels)`. A parameter with a default value is a setting of the loss. A new loss is one function
in a file of this folder, and one line in `LOSSES`. Read `pointwise.py` first.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields

from jaxtyping import Float, Int
from torch import Tensor

from kit.distill.losses.classwise import (
    class_mean_loss,
    class_spread_loss,
    olivine_loss,
    superflow_loss,
)
from kit.distill.losses.contrastive import ppkt_loss
from kit.distill.losses.patchwise import pearson_loss
from kit.distill.losses.pointwise import (
    cosine_loss,
    distillation_loss,
    smooth_l1_loss,
    squared_l2_loss,
)
from kit.distill.losses.relational import relational_loss
from kit.distill.losses.superpixelwise import slidr_loss, st_slidr_loss

LOSSES: dict[str, Callable[..., Tensor]] = {
    "l2": distillation_loss,
    "cosine": cosine_loss,
    "squared_l2": squared_l2_loss,
    "smooth_l1": smooth_l1_loss,
    "pearson": pearson_loss,
    "ppkt": ppkt_loss,
    "slidr": slidr_loss,
    "st_slidr": st_slidr_loss,
    "relational": relational_loss,
    "class_mean": class_mean_loss,
    "class_spread": class_spread_loss,
    "olivine": olivine_loss,
    "superflow": superflow_loss,
}


@dataclass(frozen=True, eq=False)
class LossInputs:
    """Everything that a loss can ask for, of M pairs of a point and a pixel.

    Attributes:
        student_feat: the student's features of the points.
        teacher_feat: the teacher's features at the pixels; row i belongs to the same pair.
        image_of_pair: which image of the batch the pixel is in.
        superpixels: the superpixel that the pixel is in, unique over the images of the batch.
        superpixel_feat: mean of the unit teacher features of all pixels of each superpixel.
        patches: the cell of the teacher's map that the pixel is in, unique over the images.
        ranges: distance of the point to the sensor, metres.
        classes: the class of the point, -1 where it has no label; None: no labels are known.
        moments: the moment of the pair, -1, 0 or 1; None: the batch is of one moment.
        dense_feat: the student's features of K points of several scans in one frame.
        dense_classes: the classes of these points, -1 where a point has no label.
    """

    student_feat: Float[Tensor, "M D"]
    teacher_feat: Float[Tensor, "M D"]
    image_of_pair: Int[Tensor, " M"]
    superpixels: Int[Tensor, " M"] | None = None
    superpixel_feat: Float[Tensor, "S D"] | None = None
    patches: Int[Tensor, " M"] | None = None
    ranges: Float[Tensor, " M"] | None = None
    classes: Int[Tensor, " M"] | None = None
    moments: Int[Tensor, " M"] | None = None
    dense_feat: Float[Tensor, "K D"] | None = None
    dense_classes: Int[Tensor, " K"] | None = None


ADVICE = {
    "superpixels": "make the batches with superpixels: TrainingBatches(..., needs=needs(loss))",
    "superpixel_feat": "make the batches with superpixels: TrainingBatches(..., needs=needs(loss))",
    "moments": "make the batches with other moments: TrainingBatches(..., needs=needs(loss))",
    "dense_feat": "make the batches with other moments: TrainingBatches(..., needs=needs(loss))",
    "dense_classes": "they belong to dense_feat, and the data set needs labels",
    "classes": "the data set has no labels, choose a data set with labels or another loss",
}


def needs(name: str) -> frozenset[str]:
    """The inputs that a loss needs, as names of fields of `LossInputs`.

    Raises:
        ValueError: there is no such loss; lists those there are.
    """
    if name not in LOSSES:
        raise ValueError(f"there is no loss {name!r}; choose one of {', '.join(LOSSES)}")
    parameters = inspect.signature(LOSSES[name]).parameters.values()
    return frozenset(each.name for each in parameters if each.default is inspect.Parameter.empty)


def compute_loss(name: str, inputs: LossInputs) -> Float[Tensor, ""]:
    """Compute a loss from those inputs that it needs.

    Raises:
        ValueError: an input that the loss needs is missing; says which, and what to try.
    """
    wanted = {each: getattr(inputs, each, None) for each in needs(name)}
    missing = sorted(each for each, value in wanted.items() if value is None)
    if missing:
        known = ", ".join(field.name for field in fields(LossInputs))
        advice = "; ".join(
            ADVICE.get(each, f"{each} is no field of LossInputs, it has {known}")
            for each in missing
        )
        raise ValueError(
            f"the loss {name!r} needs {', '.join(missing)}, which is not there: {advice}"
        )
    return LOSSES[name](**wanted)
