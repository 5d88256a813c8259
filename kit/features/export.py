"""Write a student's features of a whole data set, one file per keyframe."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from kit import store
from kit.data import open_dataset
from kit.data.keyframe import Keyframe
from kit.features.extract import SECOND_PASS, extract_layers
from kit.store.engines import run_all
from kit.store.processes import own_device
from kit.store.progress import progress_bar
from kit.student.checkpoints import load_student
from kit.student.student import HEAD, Student


def write_features(
    data: str | Path,
    checkpoint: str | Path,
    out: str | Path,
    *,
    half: bool = False,
    engine: str = "loky",
    workers: int = 1,
    scheduler: str | None = None,
) -> list[Path]:
    """Write a file of features for every keyframe; existing files of the same scans are kept.

    Each file holds all rows of the lidar file, in the file's order: `point_feat` (N, C) of the last
    layer before the head, `head_feat` (N, D) in the teacher's feature space, and `valid` (N,).
    Where the file has no finite point, `valid` is false and the features are zero. The header has
    the digests of the checkpoint and of the scan, so a scan that was replaced is computed again. It
    also has the mean and the deviation of the data set's intensities, by which they were
    normalised, and those of the data set that the student learned from, if its file says so.

    Args:
        data: "street" or the root of a data set.
        checkpoint: a student written by `save_student`.
        out: folder; files are named after the token, see `kit.store.path_for`. The token is
            nuScenes' LIDAR_TOP sample_data token.
        half: store float16. Features above its range (65,504) are clamped.
        engine, workers, scheduler: processes that write, see `kit.store.engines.run_all`.

    Returns:
        The file of every keyframe.

    Raises:
        ValueError: `out` holds features of another checkpoint, or two keyframes have one token.
    """
    dataset, out = open_dataset(data), Path(out)
    _check_tokens(dataset.name, dataset.tokens)
    dataset.prepare()
    digest = store.sha256_of(checkpoint)
    files = [store.path_for(out, token, ".safetensors") for token in dataset.tokens]
    tokens = list(dataset.tokens)
    if workers == 1 and engine == "loky":
        student = _loaded(str(checkpoint), digest)
        made = (
            _write_file(dataset[index], tokens[index], file, student, digest, half)
            for index, file in enumerate(files)
        )
    else:
        jobs = [
            (_write_job, (str(data), str(checkpoint), index, str(file), digest, half))
            for index, file in enumerate(files)
        ]
        made = run_all(jobs, engine, workers, scheduler)
    replaced = sum(progress_bar(made, desc="features", unit="keyframe", total=len(files)))
    if replaced:
        print(f"{replaced} files in {out} were made again: the scans or the kit have changed since")
    return files


@lru_cache(1)
def _loaded(checkpoint: str, digest: str) -> Student:  # the digest: a file may be replaced
    return load_student(checkpoint).to(own_device())


_opened = lru_cache(1)(open_dataset)  # once in each process


def _write_job(data: str, checkpoint: str, index: int, file: str, digest: str, half: bool) -> bool:
    dataset, student = _opened(data), _loaded(checkpoint, digest)
    token = dataset.tokens[index]
    return _write_file(dataset[index], token, Path(file), student, digest, half)


def _write_file(
    keyframe: Keyframe, token: str, file: Path, student: Student, digest: str, half: bool
) -> bool:
    """Write one file unless it is there; returns whether one of another scan was replaced."""
    made_from = {"checkpoint_sha256": digest, "scan_sha256": scan_digest(keyframe)}
    made_from["outside"] = SECOND_PASS
    if half:
        made_from["dtype"] = "float16"
    replaces = file.exists()
    if replaces and _is_done(file, made_from):
        return False
    sensor = keyframe.sensor
    scale = {"intensity_mean": sensor.intensity_mean, "intensity_std": sensor.intensity_std}
    if student.distilled_from is not None and (lidar := student.distilled_from.lidar):
        scale |= {f"training_{name}": value for name, value in asdict(lidar).items()}
    meta = {**made_from, **scale, "token": token}
    content = _file_content(student, keyframe)
    if half:
        content = {name: _halved(each) for name, each in content.items()}
    store.save_tensors(file, content, meta)
    return replaces


def _halved(values: Tensor) -> Tensor:
    if not values.is_floating_point():
        return values
    limit = torch.finfo(torch.float16).max
    return values.clamp(-limit, limit).half()


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
    return {name: keyframe.in_file_order(each) for name, each in values.items()}


def _is_done(file: Path, made_from: dict[str, str]) -> bool:
    """Whether a file holds the features of this checkpoint and scan."""
    _, meta = store.load_tensors(file)
    if meta.get("checkpoint_sha256") != made_from["checkpoint_sha256"]:
        raise ValueError(f"{file} holds features of another checkpoint; choose another folder")
    if meta.get("dtype") != made_from.get("dtype"):
        raise ValueError(
            f"{file} holds {meta.get('dtype', 'float32')} features; choose another folder, or the "
            "same precision"
        )
    # Files of earlier versions do not say how points outside of the field of view were treated.
    return all(meta.get(name) == made_from[name] for name in ("scan_sha256", "outside"))
