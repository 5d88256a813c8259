"""Text prompts: a text becomes a direction in the feature space of CLIP's patches."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kit.teacher.clip import ClipTeacher

TEMPLATES = (
    "{}",
    "a photo of {}",
    "a photo of {} on a street",
    "a blurry photo of {}",
    "a small photo of {} in the distance",
    "a part of {}",
)
# A patch must be more similar to the text than to these generic texts.
GENERIC = ("something", "a photo of a street", "the background", "the sky", "a texture")


def text_direction(teacher: ClipTeacher, text: str) -> tuple[Float[Tensor, " D"], float]:
    """Weight and bias of a text: its mean embedding over `TEMPLATES`, minus that of `GENERIC`.

    The score is above 0 where a patch is more similar to the text than to the generic texts.

    Args:
        teacher: with a text encoder.
        text: what is searched.

    Source: prompt ensembles, CLIP (arXiv:2103.00020). Differs: six templates of our own; the
        comparison with generic texts is ours.
    """
    wanted = teacher.encode_text([template.format(text.strip()) for template in TEMPLATES])
    generic = teacher.encode_text(list(GENERIC))
    direction = F.normalize(wanted.mean(0), dim=0) - F.normalize(generic.mean(0), dim=0)
    return direction, 0.0
