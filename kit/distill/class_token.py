"""The class-token term: a student that also predicts the class token of each image.

    points of an image (M, C) -> mean (C) -> linear layer (D) -- cosine -- class token of the image

Source: D-DITR (VisualComputingInstitute/ditr, `DefaultDistiller`), whose published configuration
    switches the term off. Differs: the mean is over the points that a camera sees, and one linear
    layer serves all cameras, so that their number may vary. There the mean is over all voxels of
    the scan, and each camera has its own layer. With `cameras="one"` the scan has only the points
    of one camera.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kit.distill.batches import TrainingBatch
from kit.student.student import Student


class WithClassToken(nn.Module):
    """A student with a layer that predicts class tokens; both are trained together.

    Args:
        student: with the property `bottleneck`, see `Student`.
        dim: channels D of a class token.
        seed: of the layer's first weights.

    Raises:
        ValueError: the student has no `bottleneck`.
    """

    def __init__(self, student: Student, dim: int, seed: int):
        super().__init__()
        if not hasattr(student, "bottleneck"):
            raise ValueError(
                f"class_token: a {type(student).__name__} has no property bottleneck, which names "
                "the layer that is averaged; see kit.student.student.Student"
            )
        self.student = student
        self.layer, channels = student.bottleneck
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.to_class_token = nn.Linear(channels, dim)

    def forward(self, batch: TrainingBatch) -> tuple[Float[Tensor, "N D"], Float[Tensor, "B D"]]:
        """Features of all points, and the class token that is predicted for each image."""
        device = batch.points.feat.device
        last = self.student.layers[-1]
        found = self.student.features(batch.points, (self.layer, last))
        deep = found[self.layer]
        if batch.point_of_pair is not None:
            deep = deep[batch.point_of_pair.to(device)]
        means = mean_by_image(deep, batch.image_of_pair.to(device), len(batch.views))
        return self.student.head(found[last]), self.to_class_token(means)


def mean_by_image(
    feat: Float[Tensor, "M C"], image: Tensor, num_images: int
) -> Float[Tensor, "B C"]:
    """Mean of the features of each image's points; every image has some."""
    total = feat.new_zeros(num_images, feat.shape[1]).index_add(0, image, feat)
    return total / image.bincount(minlength=num_images)[:, None]
