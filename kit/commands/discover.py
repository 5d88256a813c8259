"""Foreground and objects of a whole data set, one file per keyframe: `python -m kit discover`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from kit import store
from kit.data.annotations import Box
from kit.data.keyframe import Dataset, Keyframe
from kit.discover.foreground import refined_score
from kit.discover.objects import find_objects
from kit.discover.settings import DiscoverConfig
from kit.discover.shape import Geometry
from kit.evaluate.annotated import annotated_foreground
from kit.evaluate.metrics import average_precision, overlap
from kit.features.extract import extract
from kit.store.progress import progress_bar
from kit.student.student import Student


@dataclass(frozen=True)
class Agreement:
    """Discovered foreground compared with annotations, over the points of all keyframes together.

    Attributes:
        keyframes: number of keyframes with annotations.
        ap: average precision of the score.
        f1, iou: of the points with a score above 0.
    """

    keyframes: int
    ap: float
    f1: float
    iou: float


def discover(
    dataset: Dataset,
    student: Student,
    out: Path,
    config: DiscoverConfig = DiscoverConfig(),  # noqa: B008
) -> Agreement | None:
    """Write the foreground and the objects of every keyframe.

    Each file holds, for all rows of the lidar file in the file's order: `score` (N,), above 0 for
    foreground; `height` (N,) above the ground, metres; `object` (N,), number of the object or -1;
    and `valid` (N,), false where the file has no finite point. Its header has the token, the
    settings, and the boxes of the objects as JSON: position, size (metres) and yaw (radians) in the
    lidar frame. Files are named after the token and end with `.foreground.safetensors`.

    Returns:
        Agreement with labels or boxes; None if no keyframe has any.
    """
    scores, wanted, count = [], [], 0
    dataset.prepare()
    for index in progress_bar(range(len(dataset)), desc="discover", unit="keyframe"):
        keyframe = dataset[index]
        score = _write(keyframe, dataset.tokens[index], student, out, config)
        if keyframe.annotations is None and keyframe.labels is None and not keyframe.boxes:
            continue
        foreground, known = annotated_foreground(keyframe)
        scores.append(score[known])
        wanted.append(foreground[known])
        count += 1
    if not count or not torch.cat(wanted).any():
        return None
    score, truth = torch.cat(scores), torch.cat(wanted)
    found = overlap(score > 0, truth)
    return Agreement(count, average_precision(score, truth), found.f1, found.iou)


def _write(
    keyframe: Keyframe, token: str, student: Student, out: Path, config: DiscoverConfig
) -> Tensor:
    """Write the file of one keyframe; returns the score of each point."""
    features = extract(student, keyframe)
    geometry = Geometry.of(keyframe.points, config)
    score = torch.full((len(keyframe.points),), -torch.inf)
    score[features.index] = refined_score(features, geometry.restrict(features.index))
    score = score.clamp(min=float(score[features.index].min()))  # points without a feature
    objects = find_objects(keyframe.points, score > 0, config)
    content = {
        "score": keyframe.in_file_order(score),
        "height": keyframe.in_file_order(geometry.height),
        "object": keyframe.in_file_order(objects.object_of_point.int(), -1),
        "valid": keyframe.in_file_order(torch.ones(len(score), dtype=torch.bool)),
    }
    boxes = json.dumps([_plain(box) for box in objects.boxes])
    meta = {"token": token, "settings": json.dumps(asdict(config)), "boxes": boxes}
    store.save_tensors(store.path_for(out, token, ".foreground.safetensors"), content, meta)
    return score


def _plain(box: Box) -> dict:
    T = box.T_lidar_box
    yaw = float(torch.atan2(T[1, 0], T[0, 0]))
    return {"position": T[:3, 3].tolist(), "size": list(box.size), "yaw": yaw}
