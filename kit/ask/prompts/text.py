"""Text prompts: a text becomes a direction in the space of CLIP's patches."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kit.teacher.clip import ClipTeacher

PROMPTS = (
    "{}",
    "a photo of {}",
    "a photo of {} on a street",
    "a blurry photo of {}",
    "a small photo of {} in the distance",
    "a part of {}",
)


# What is everywhere and nobody asks for: a text must fit better than these.
ANYTHING = ("something", "a photo of a street", "the background", "the sky", "a texture")


def text_direction(teacher: ClipTeacher, text: str) -> tuple[Float[Tensor, " D"], float]:
    """Weight and bias of a text: its mean embedding over `PROMPTS`, less that of `ANYTHING`.

    The score is above 0 where a patch is nearer to the text than to anything.

    Source: prompt ensembles, CLIP (arXiv:2103.00020). Differs: six prompts of our own; the
        comparison with generic texts is ours.
    """
    wanted = teacher.encode_text([prompt.format(text.strip()) for prompt in PROMPTS])
    anything = teacher.encode_text(list(ANYTHING))
    direction = F.normalize(wanted.mean(0), dim=0) - F.normalize(anything.mean(0), dim=0)
    return direction, 0.0
