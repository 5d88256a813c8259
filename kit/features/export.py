"""Write a student's features of a whole data set, one file per keyframe."""

from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from kit import store
from kit.data import open_dataset
from kit.data.keyframe import Keyframe
from kit.features.extract import extract_layers
from kit.student.checkpoints import load_student
from kit.student.student import HEAD, Student


def write_features(data: str | Path, checkpoint: str | Path, out: str | Path) -> list[Path]:
    """Write `<token>.safetensors` for every keyframe; existing files are kept.

    Each file holds all rows of the lidar file, in the file's order: `point_feat` (N, C) of the last
    layer before the head, `head_feat` (N, D) in the teacher's feature space, and `valid` (N,).
    Where the file has no finite point, `valid` is false and the features are zero.

    Args:
        data: "street" or the root of a data set.
        checkpoint: a student written by `save_student`.
        out: folder; the token is nuScenes' LIDAR_TOP sample_data token.

    Returns:
        The file of every keyframe.

    Raises:
        ValueError: `out` holds features of another checkpoint.
    """
    dataset, student, out = open_dataset(data), load_student(checkpoint), Path(out)
    student.to("cuda" if torch.cuda.is_available() else "cpu")
    dataset.prepare()
    digest = store.sha256_of(checkpoint)
    files = []
    for index, token in enumerate(tqdm(dataset.tokens, desc="features", unit="keyframe")):
        file = out / f"{token}.safetensors"
        if not _is_done(file, digest):
            tensors = _file_content(student, dataset[index])
            store.save_tensors(file, tensors, {"checkpoint_sha256": digest, "token": token})
        files.append(file)
    return files


def _file_content(student: Student, keyframe: Keyframe) -> dict[str, Tensor]:
    last = student.layers[-1]
    features = extract_layers(student, keyframe, [last, HEAD])
    values = {
        "point_feat": features[last].feat,
        "head_feat": features[HEAD].feat,
        "valid": torch.ones(len(keyframe.points), dtype=torch.bool),
    }
    return {name: _in_file_order(each, keyframe) for name, each in values.items()}


def _is_done(file: Path, digest: str) -> bool:
    if not file.exists():
        return False
    _, meta = store.load_tensors(file)
    if meta.get("checkpoint_sha256") != digest:
        raise ValueError(f"{file} holds features of another checkpoint; choose another folder")
    return True


def _in_file_order(values: Tensor, keyframe: Keyframe) -> Tensor:
    in_file = values.new_zeros(keyframe.num_rows_in_file, *values.shape[1:])
    in_file[keyframe.row_in_file] = values
    return in_file
