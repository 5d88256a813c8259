"""Scans for training a probe or a whole student with labels: augmented, in batches.

Two protocols. "clean": points are augmented, then all inputs are computed from them, as in
distillation. "scalr": what the published code of ScaLR does, which produced the published figures.
There, coordinates and input features are augmented independently of each other.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from kit.data.keyframe import Dataset, Keyframe
from kit.student.augment import rotate_flip_scale
from kit.student.point_batch import PointBatch, collate
from kit.student.scans import (
    InputConfig,
    Scan,
    inside_fov,
    limit_points,
    nearest_neighbours,
    plane_cells,
    point_features,
    prepare_scan,
    voxel_subsample,
)

PROTOCOLS = ("clean", "scalr")


def training_scans(
    dataset: Dataset,
    keyframes: Sequence[int],
    inputs: InputConfig,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    protocol: str = "clean",
) -> Iterator[tuple[PointBatch, Int[Tensor, " N"]]]:
    """Batches of whole scans with the label of each point, in a new random order every epoch.

    Args:
        dataset: with labels.
        keyframes: indices.
        inputs: the student's input settings.
        epochs: passes over the keyframes.
        batch_size: scans of a batch; the last one of an epoch may have fewer.
        seed: of the order and of the augmentation.
        protocol: "clean" or "scalr".

    Raises:
        ValueError: an unknown protocol, or a keyframe without labels.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}")
    prepare = _clean_scan if protocol == "clean" else scalr_scan
    generator = Generator().manual_seed(seed)
    for _ in range(epochs):
        order = torch.randperm(len(keyframes), generator=generator)
        for batch in order.split(batch_size):
            found = [dataset[keyframes[i]] for i in batch.tolist()]
            for keyframe in found:
                if keyframe.labels is None:
                    raise ValueError(f"keyframe {keyframe.token} has no labels to train with")
            scans = [prepare(keyframe, inputs, generator) for keyframe in found]
            pairs = zip(found, scans, strict=True)
            labels = torch.cat([keyframe.labels[scan.kept] for keyframe, scan in pairs])
            yield collate(scans, inputs), labels


def _clean_scan(keyframe: Keyframe, inputs: InputConfig, generator: Generator) -> Scan:
    return prepare_scan(
        keyframe.points,
        keyframe.intensity,
        keyframe.sensor,
        inputs,
        augment=rotate_flip_scale,
        generator=generator,
    )


def scalr_scan(keyframe: Keyframe, inputs: InputConfig, generator: Generator) -> Scan:
    """A scan augmented as in the published code, for its figures.

    Input features are computed before the augmentation. Then coordinates are rotated about z and
    in two of three scans flipped. The x, y, z among the features are rotated by an angle of their
    own and not flipped, and they and the range are scaled by 0.9 to 1.1. Cells and neighbours come
    from the coordinates.

    Source: ScaLR (arXiv:2310.17504), data sets of the downstream tasks in its code.
    """
    kept = voxel_subsample(keyframe.points, inputs.voxel_size, generator)
    kept = kept[limit_points(keyframe.points[kept], inputs.max_points, generator)]
    feat = point_features(keyframe.points[kept], keyframe.intensity[kept], keyframe.sensor)
    turn, other_turn, flip, scale = torch.rand(4, generator=generator).tolist()
    axis = int(torch.randint(2, (1,), generator=generator))
    points = keyframe.points[kept] @ _about_z(turn)
    if flip < 2 / 3:
        points[:, axis] *= -1
    feat[:, 1:4] = feat[:, 1:4] @ _about_z(other_turn)
    feat[:, 1:] *= 0.9 + 0.2 * scale
    inside = inside_fov(points, inputs)
    points = points[inside]
    return Scan(
        feat=feat[inside],
        neighbours=nearest_neighbours(points, inputs.num_neighbours),
        cells=plane_cells(points, inputs),
        kept=kept[inside],
    )


def _about_z(turn: float) -> Float[Tensor, "3 3"]:
    angle = (2 * turn - 1) * math.pi
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
