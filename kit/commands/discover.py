"""Foreground and objects of a whole data set, one file per keyframe: `python -m kit discover`."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kit import store
from kit.data.annotations import Box
from kit.data.keyframe import Dataset, Keyframe
from kit.discover.foreground import all_points, refined_score
from kit.discover.objects import find_objects
from kit.discover.settings import DiscoverConfig
from kit.discover.shape import Geometry
from kit.evaluate.annotated import annotated_foreground
from kit.evaluate.metrics import foreground_metrics
from kit.features.export import scan_digest
from kit.features.extract import extract
from kit.features.spaces import digest_of
from kit.store.progress import progress_bar
from kit.student.student import Student


def discover(
    dataset: Dataset,
    student: Student,
    out: Path,
    config: DiscoverConfig = DiscoverConfig(),  # noqa: B008
) -> dict[str, float] | None:
    """Write the foreground and the objects of every keyframe.

    Each file holds, for all rows of the lidar file in the file's order: `score` (N,), above 0 for
    foreground; `height` (N,) above the ground, metres; `object` (N,), number of the object or -1;
    and `valid` (N,), false where the file has no finite point. Its header has the token, the
    settings, and the boxes of the objects as JSON: position, size (metres) and yaw (radians) in the
    lidar frame. Files are named after the token and end with `.foreground.safetensors`.

    Files of the same student, scan and settings are kept, so an interrupted command goes on.

    Returns:
        AP, F1 and IoU, see `foreground_metrics`; None if no keyframe has annotated foreground.

    Raises:
        ValueError: `out` holds files of another student, or of other settings.
    """
    scores, annotations = [], []
    dataset.prepare()
    for index in progress_bar(range(len(dataset)), desc="discover", unit="keyframe"):
        keyframe = dataset[index]
        file = store.path_for(out, dataset.tokens[index], ".foreground.safetensors")
        score = _stored_or_written(keyframe, file, student, config)
        if keyframe.annotations is None and keyframe.labels is None and not keyframe.boxes:
            continue
        wanted, scored = annotated_foreground(keyframe)
        scores.append(score)
        annotations.append((wanted, scored.nonzero()[:, 0]))
    if not any(wanted[points].any() for wanted, points in annotations):
        return None
    return foreground_metrics(scores, annotations)


def _stored_or_written(
    keyframe: Keyframe, file: Path, student: Student, config: DiscoverConfig
) -> Float[Tensor, " N"]:
    """The score of each point, from the file if it is of the same student, scan and settings."""
    settings = {"student": digest_of(student), "settings": json.dumps(asdict(config))}
    scan = {"scan_sha256": scan_digest(keyframe)}
    if file.exists():
        tensors, meta = store.load_tensors(file)
        if any(meta.get(name) != value for name, value in settings.items()):
            raise ValueError(
                f"{file} was made with another student or other settings; choose another folder"
            )
        if meta.get("scan_sha256") == scan["scan_sha256"]:
            return tensors["score"][keyframe.row_in_file]
    features = extract(student, keyframe)
    geometry = Geometry.of(keyframe.points, config)
    score = all_points(features, refined_score(features, geometry.restrict(features.index)))
    objects = find_objects(keyframe.points, score > 0, config)
    content = {
        "score": keyframe.in_file_order(score),
        "height": keyframe.in_file_order(geometry.height),
        "object": keyframe.in_file_order(objects.object_of_point.int(), -1),
        "valid": keyframe.in_file_order(torch.ones(len(score), dtype=torch.bool)),
    }
    boxes = json.dumps([_plain(box) for box in objects.boxes])
    store.save_tensors(file, content, {**settings, **scan, "token": keyframe.token, "boxes": boxes})
    return score


def _plain(box: Box) -> dict:
    T = box.T_lidar_box
    yaw = float(torch.atan2(T[1, 0], T[0, 0]))
    return {"position": T[:3, 3].tolist(), "size": list(box.size), "yaw": yaw}
