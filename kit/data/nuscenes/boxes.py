"""Annotated boxes of a data set in the nuScenes schema."""

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kit import geometry
from kit.data.annotations import Box
from kit.data.classes import CATEGORIES, IGNORE, NUSCENES, ClassMap
from kit.data.nuscenes.schema import Category, Instance, Sample, SampleAnnotation
from kit.data.nuscenes.tables import Table, refers_to
from kit.data.untrusted import read_records, shown

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


@dataclass(frozen=True, slots=True)
class Annotation:
    """A row of sample_annotation, with the name of its category."""

    row: SampleAnnotation
    category: str


def read_boxes(folder: Path, samples: Collection[str]) -> dict[str, list[Annotation]]:
    """Read the annotated boxes of samples.

    Args:
        folder: the version folder.
        samples: tokens of the samples to read; rows of other samples are dropped while parsing.

    Returns:
        annotations by sample token.

    Raises:
        ValueError: a table is broken, or refers to a record that another table lacks; names the
            table and the record.
    """
    file, known = folder / "sample_annotation.json", Table(folder, "sample", Sample).rows
    is_wanted, lost = refers_to("sample_token", set(samples)), []

    def keep(row: dict) -> bool:
        wanted = is_wanted(row)
        if not wanted and row["sample_token"] not in known:
            lost.append(row["sample_token"])
        return wanted

    rows = read_records(file, SampleAnnotation, keep)
    if lost:
        warnings.warn(
            f"{file}: {len(lost):,} boxes are left out, because sample.json has no record of their "
            f"sample_token, e.g. {shown(lost[0])}",
            stacklevel=2,
        )
    instances, categories = Table(folder, "instance", Instance), Table(folder, "category", Category)
    found: dict[str, list[Annotation]] = {}
    for row in rows:
        instance = instances.get(row.instance_token, "sample_annotation")
        category = categories.get(instance.category_token, "instance")
        found.setdefault(row.sample_token, []).append(Annotation(row, category.name))
    return found


def boxes_of(
    annotations: list[Annotation],
    T_global_lidar: Float[Tensor, "4 4"],
    classes: ClassMap = NUSCENES,
) -> tuple[Box, ...]:
    """Make the boxes of one keyframe in its lidar frame; nuScenes stores width before length."""
    own = classes.names if classes.names != NUSCENES.names else ()
    T_lidar_global = geometry.invert_rigid(torch.as_tensor(T_global_lidar))
    boxes = []
    for annotation in annotations:
        row, category = annotation.row, annotation.category
        width, length, height = row.size
        box = Box(
            name=_name(category),
            category=category,
            label=own.index(category) if category in own else _label(category, bool(own)),
            T_lidar_box=T_lidar_global @ geometry.rigid_transform(row.rotation, row.translation),
            size=(length, width, height),
            track=row.instance_token,
        )
        boxes.append(box)
    return tuple(boxes)


def _label(category: str, is_other: bool = False) -> int:
    """Class index of a category; IGNORE if it has none, or the classes are not nuScenes'."""
    if is_other or category not in CATEGORIES:
        return IGNORE
    return NUSCENES.class_of_raw[CATEGORIES.index(category)]


def _name(category: str) -> str:
    """Name for people: the class's, else the last part of the category."""
    label = _label(category)
    name = category.split(".")[-1] if label == IGNORE else NUSCENES.names[label]
    return name.replace("_", " ")
