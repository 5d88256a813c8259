"""Write a student's features of a whole data set, one file per keyframe."""

import hashlib
from collections import Counter
from collections.abc import Sequence
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
    """Write a file of features for every keyframe; existing files of the same scans are kept.

    Each file holds all rows of the lidar file, in the file's order: `point_feat` (N, C) of the last
    layer before the head, `head_feat` (N, D) in the teacher's feature space, and `valid` (N,).
    Where the file has no finite point, `valid` is false and the features are zero. Its header names
    the checkpoint and the scan by their digests, so a scan that was replaced is computed again.

    Args:
        data: "street" or the root of a data set.
        checkpoint: a student written by `save_student`.
        out: folder; files are named after the token, see `kit.store.path_for`. The token is
            nuScenes' LIDAR_TOP sample_data token.

    Returns:
        The file of every keyframe.

    Raises:
        ValueError: `out` holds features of another checkpoint, or two keyframes have one token.
    """
    dataset, student, out = open_dataset(data), load_student(checkpoint), Path(out)
    student.to("cuda" if torch.cuda.is_available() else "cpu")
    _check_tokens(dataset.name, dataset.tokens)
    dataset.prepare()
    digest = store.sha256_of(checkpoint)
    files, replaced = [], 0
    for index, token in enumerate(tqdm(dataset.tokens, desc="features", unit="keyframe")):
        file, keyframe = store.path_for(out, token, ".safetensors"), dataset[index]
        files.append(file)
        made_from = {"checkpoint_sha256": digest, "scan_sha256": scan_digest(keyframe)}
        if file.exists():
            if _is_done(file, made_from, keyframe):
                continue
            replaced += 1
        meta = {**made_from, "token": token}
        store.save_tensors(file, _file_content(student, keyframe), meta)
    if replaced:
        print(f"{replaced} files in {out} were made again: their scans have changed since")
    return files


def _check_tokens(name: str, tokens: Sequence[str]) -> None:
    twice = [token for token, count in Counter(tokens).items() if count > 1]
    if twice:
        raise ValueError(
            f"{name}: {len(twice)} tokens belong to several keyframes, e.g. {twice[0]!r}. The "
            "files of features are named after tokens, so each keyframe needs its own"
        )


def scan_digest(keyframe: Keyframe) -> str:
    """The sha256 digest of all that the features of a keyframe depend on, besides the student."""
    digest, sensor = hashlib.sha256(), keyframe.sensor
    for values in (keyframe.points, keyframe.intensity, keyframe.row_in_file):
        digest.update(values.contiguous().numpy().tobytes())
    numbers = (keyframe.num_rows_in_file, sensor.intensity_mean, sensor.intensity_std)
    digest.update(repr(numbers).encode())
    return digest.hexdigest()


def _file_content(student: Student, keyframe: Keyframe) -> dict[str, Tensor]:
    last = student.layers[-1]
    features = extract_layers(student, keyframe, [last, HEAD])
    values = {
        "point_feat": features[last].feat,
        "head_feat": features[HEAD].feat,
        "valid": torch.ones(len(keyframe.points), dtype=torch.bool),
    }
    return {name: _in_file_order(each, keyframe) for name, each in values.items()}


def _is_done(file: Path, made_from: dict[str, str], keyframe: Keyframe) -> bool:
    """Whether a file holds the features of this checkpoint and scan.

    Files of earlier versions do not name their scan; their number of rows is compared.
    """
    tensors, meta = store.load_tensors(file)
    if meta.get("checkpoint_sha256") != made_from["checkpoint_sha256"]:
        raise ValueError(f"{file} holds features of another checkpoint; choose another folder")
    if "scan_sha256" in meta:
        return meta["scan_sha256"] == made_from["scan_sha256"]
    return "valid" in tensors and len(tensors["valid"]) == keyframe.num_rows_in_file


def _in_file_order(values: Tensor, keyframe: Keyframe) -> Tensor:
    in_file = values.new_zeros(keyframe.num_rows_in_file, *values.shape[1:])
    in_file[keyframe.row_in_file] = values
    return in_file
