"""Annotated boxes of a data set in the nuScenes schema."""

import json
from collections.abc import Collection
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kit import geometry
from kit.data.annotations import Box
from kit.data.classes import CATEGORIES, IGNORE, NUSCENES

TABLES = ("sample_annotation", "instance", "category")
MAX_SIZE = 100e6  # bytes; reading the annotations of all of nuScenes (1 GB) takes 30 s


def check_tables(folder: Path) -> None:
    """Raise FileNotFoundError if a table that annotated boxes need is missing."""
    missing = [f"{name}.json" for name in TABLES if not (folder / f"{name}.json").is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder}: annotated boxes need {', '.join(missing)} too. Open with boxes=False"
        )


def are_quick_to_read(folder: Path) -> bool:
    """Return whether all tables of annotated boxes exist and are smaller than `MAX_SIZE`."""
    exist = all((folder / f"{name}.json").is_file() for name in TABLES)
    return exist and (folder / "sample_annotation.json").stat().st_size < MAX_SIZE


def read_boxes(folder: Path, samples: Collection[str]) -> dict[str, list[dict]]:
    """Read the rows of sample_annotation, with the category of each.

    Args:
        folder: the version folder.
        samples: tokens of the samples to read; rows of other samples are dropped while parsing.

    Returns:
        rows by sample token.

    Raises:
        ValueError: a table is broken, or refers to a record that another table lacks.
    """
    wanted = set(samples)

    def keep(row: dict) -> dict | None:
        return row if row["sample_token"] in wanted else None

    try:
        rows = _read(folder / "sample_annotation.json", keep)
        instances = {row["token"]: row["category_token"] for row in _read(folder / "instance.json")}
        names = {row["token"]: row["name"] for row in _read(folder / "category.json")}
        found: dict[str, list[dict]] = {}
        for row in rows:
            category = names[instances[row["instance_token"]]]
            found.setdefault(row["sample_token"], []).append({**row, "category": category})
    except KeyError as error:
        raise ValueError(
            f"{folder}: no record or field {error}, which the annotations refer to. Are all tables "
            "from the same download?"
        ) from error
    return found


def to_box(annotation: dict, T_lidar_global: Float[Tensor, "4 4"], file: Path) -> Box:
    """Make a box in the lidar frame from an annotation; nuScenes stores width before length.

    Args:
        annotation: a row as `read_boxes` returns it.
        T_lidar_global: takes global points to the lidar frame.
        file: named in errors.

    Raises:
        ValueError: the pose or the size is invalid.
    """
    try:
        T_global_box = geometry.rigid_transform(annotation["rotation"], annotation["translation"])
        width, length, height = annotation["size"]
        category = annotation["category"]
        return Box(
            name=_name(category),
            category=category,
            label=_label(category),
            T_lidar_box=T_lidar_global @ T_global_box,
            size=(float(length), float(width), float(height)),
            track=annotation["instance_token"],
        )
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file}: annotation {annotation.get('token')}: {error}") from error


def _label(category: str) -> int:
    """Class index of a category; IGNORE if it has none."""
    if category not in CATEGORIES:
        return IGNORE
    return NUSCENES.class_of_raw[CATEGORIES.index(category)]


def _name(category: str) -> str:
    """Name for people: the class's, else the last part of the category."""
    label = _label(category)
    name = category.split(".")[-1] if label == IGNORE else NUSCENES.names[label]
    return name.replace("_", " ")


def _read(file: Path, keep=None) -> list[dict]:
    """Rows of a table; those for which `keep` returns None are dropped while parsing."""

    def hook(row: dict) -> dict | None:
        return row if keep is None else keep(row)

    try:
        rows = json.loads(file.read_bytes(), object_hook=hook)
    except ValueError as error:
        raise ValueError(f"{file}: not valid JSON ({error}). Is the download complete?") from error
    return [row for row in rows if row is not None]


def boxes_of(
    annotations: list[dict], T_global_lidar: Float[Tensor, "4 4"], file: Path
) -> tuple[Box, ...]:
    """Make the boxes of one keyframe in its lidar frame; `file` is named in errors."""
    T_lidar_global = geometry.invert_rigid(torch.as_tensor(T_global_lidar))
    return tuple(to_box(annotation, T_lidar_global, file) for annotation in annotations)
