"""Attention of an image network to each point, which FOUND uses to find the background."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit.data.keyframe import Keyframe
from kit.projection import find_pairs
from kit.teacher.attention import attention_map
from kit.teacher.feature_maps import FeatureMaps
from kit.teacher.teacher import Teacher


def attention_of_points(
    teacher: Teacher, keyframe: Keyframe
) -> tuple[Int[Tensor, " S"], Float[Tensor, " S"]]:
    """The attention to each point that a camera sees, the mean over cameras.

    Returns:
        index: indices of the points, ascending: those of `kit.extract(teacher, keyframe)`.
        attention: of each of them.

    Raises:
        ValueError: the network has no class token.
    """
    pairs = find_pairs(keyframe.points, keyframe.cameras)
    values = torch.zeros(len(pairs))
    for index in pairs.camera.unique().tolist():
        camera = keyframe.cameras[pairs.camera_names[index]]
        image = camera.resized(teacher.image_size)[None]
        maps = FeatureMaps((attention_map(teacher, image),), teacher.image_size)
        of_camera = pairs.camera == index
        first = torch.zeros(int(of_camera.sum()), dtype=torch.int64)
        sampled = maps.sample(first, pairs.uv[of_camera], pairs.image_sizes[index])
        values[of_camera] = sampled[:, 0].cpu()
    seen, row = pairs.point.unique(return_inverse=True)
    total = torch.zeros(len(seen)).index_add_(0, row, values)
    return seen, total / torch.bincount(row)
