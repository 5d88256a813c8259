"""Augmentations of a scan, applied to its points before any feature is computed from them."""

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor


def rotate_flip_scale(points: Float[Tensor, "N 3"], generator: Generator) -> Float[Tensor, "N 3"]:
    """Rotate about z by any angle, flip x or y in two of three scans, scale by 0.9 to 1.1.

    Args:
        points: lidar frame, metres.
        generator: draws the angle, the flip and the scale.

    Source: ScaLR (arXiv:2310.17504), augmentations of the pretraining.
    """
    angle, flip, scale = torch.rand(3, generator=generator).tolist()
    axis = int(torch.randint(2, (1,), generator=generator))
    angle = (2 * angle - 1) * math.pi
    c, s = math.cos(angle), math.sin(angle)
    rotated = points @ torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]).T
    if flip < 2 / 3:
        rotated[:, axis] *= -1
    return rotated * (0.9 + 0.2 * scale)
