"""A student's features of whole data sets, one file per keyframe."""

from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from kit.data import open_dataset
from kit.data.keyframe import Keyframe
from kit.features.extract import extract_layers
from kit.store import files as store
from kit.student.checkpoints import load_student
from kit.student.student import HEAD


def write_features(data: str | Path, checkpoint: str | Path, out: str | Path) -> list[Path]:
    """Write `<token>.safetensors` for every keyframe; those already there are skipped.

    Each file holds, for ALL rows of the lidar file in its order: `point_feat` (N, C) of the
    backbone, `head_feat` (N, D) in the teacher's space, and `valid` (N,), which is false (and the
    features zero) where the file has no finite point.

    Args:
        data: "street" or the root of a data set.
        checkpoint: a student written by `save_student`.
        out: folder; the token is nuScenes' LIDAR_TOP sample_data token.

    Raises:
        ValueError: `out` holds features of another checkpoint.
    """
    dataset, student, out = open_dataset(data), load_student(checkpoint), Path(out)
    student.to("cuda" if torch.cuda.is_available() else "cpu")
    dataset.prepare()
    digest = store.sha256_of(checkpoint)
    written = []
    for index, token in enumerate(tqdm(dataset.tokens, desc="features", unit="keyframe")):
        path = out / f"{token}.safetensors"
        if not _is_done(path, digest):
            keyframe = dataset[index]
            last = student.layers[-1]
            found = extract_layers(student, keyframe, [last, HEAD])
            point_feat, head_feat = found[last].feat, found[HEAD].feat
            tensors = {
                "point_feat": _in_file_order(point_feat, keyframe),
                "head_feat": _in_file_order(head_feat, keyframe),
                "valid": _in_file_order(torch.ones(len(point_feat), dtype=torch.bool), keyframe),
            }
            store.save_tensors(path, tensors, {"checkpoint_sha256": digest, "token": token})
        written.append(path)
    return written


def _is_done(path: Path, digest: str) -> bool:
    if not path.exists():
        return False
    _, meta = store.load_tensors(path)
    if meta.get("checkpoint_sha256") != digest:
        raise ValueError(f"{path} holds features of another checkpoint; choose another folder")
    return True


def _in_file_order(values: Tensor, keyframe: Keyframe) -> Tensor:
    rows = values.new_zeros(keyframe.num_rows_in_file, *values.shape[1:])
    rows[keyframe.row_in_file] = values
    return rows
