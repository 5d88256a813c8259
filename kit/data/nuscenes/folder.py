"""Reader of data sets in the nuScenes schema: nuScenes itself, or a data set converted to it.

Partial downloads are supported. Files that the tables list and the disk lacks are skipped and
counted; a broken file raises an error with its name.
"""

import operator
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import SupportsIndex

import numpy as np
import torch
from torch import Tensor

from kit import geometry
from kit.data import classes
from kit.data.keyframe import Camera, Keyframe, Sensor
from kit.data.nuscenes import boxes as nuscenes_boxes
from kit.data.nuscenes.intensity import lidar_of
from kit.data.nuscenes.records import SensorFile
from kit.data.nuscenes.scans import read_scan
from kit.store.image_reader import read_image_size
from kit.store.reading import read_regular


def version_folders(root: Path) -> list[str]:
    """List the sub-folders with tables of keyframes, v1.0-trainval and v1.0-mini first."""
    order = {"v1.0-trainval": 0, "v1.0-mini": 1}
    found = [folder.name for folder in root.iterdir() if has_tables(folder)]
    return sorted(found, key=lambda name: (order.get(name, 2), name))


def has_tables(folder: Path) -> bool:
    """Return whether `folder` is a version folder: it has the tables of keyframes."""
    return (folder / "sample.json").is_file() and (folder / "sample_data.json").is_file()


class NuScenesFolder:
    """The keyframes of a data set in the nuScenes schema; a `Dataset`.

    It keeps small records instead of the devkit's tables, so pickling it for worker processes is
    fast. Points, labels and images are read when they are requested.

    Attributes:
        name: the name of the root folder and the version.
        version: the version folder in use.
        other_versions: the other version folders of this root.
        classes: the 16 classes of nuScenes lidarseg, by this root's category names.
        lidar: channel of the lidar in use.
        tokens: the sample_data token of every keyframe's scan.
        scenes: the scene name of every keyframe; scenes in the table's order.
        has_labels: whether at least one keyframe has a lidarseg file.
        num_missing: number of keyframes that were skipped because their lidar file is missing.
        num_without_scan: number of samples that were skipped because the tables list no scan of
            the lidar.
        num_missing_images, num_missing_labels: numbers of files that the other keyframes lack.

    Source: the nuScenes schema, https://www.nuscenes.org/nuscenes#data-format; 32 categories are
        merged into 16 classes by name, as in the lidarseg challenge.
    """

    def __init__(
        self,
        root: str | Path,
        version: str | None = None,
        boxes: bool | None = None,
        lidar: str = "LIDAR_TOP",
    ):
        """Read the tables and check which files exist.

        Args:
            root: folder that contains the version folder and `samples/`. A version folder is
                accepted too.
            version: e.g. "v1.0-mini". None takes v1.0-trainval, else v1.0-mini, else the first
                other one in alphabetical order.
            boxes: read the annotated boxes. None reads them if the table is smaller than 100 MB,
                so not for all of nuScenes (1 GB).
            lidar: channel of the lidar to use.

        Raises:
            FileNotFoundError: the version, a table or every lidar file is missing.
            ValueError: a table is broken, contains an invalid calibration, or lists no keyframe of
                the lidar.
        """
        from kit.data.nuscenes.tables import read_contents

        self.root, self.version, self.other_versions = _choose_version(Path(root), version)
        self.name = f"{self.root.resolve().name} {self.version}"
        self.lidar = lidar
        contents = read_contents(self.root, self.version, lidar)
        self._calibrations, self._vehicles = contents.calibrations, contents.vehicles
        self.classes = _label_classes(self.root / self.version, contents.categories)
        present = _FilesOnDisk(self.root)
        self._records = [record for record in contents.records if record.lidar.file in present]
        if not self._records:
            raise FileNotFoundError(
                f"{self.root / contents.records[0].lidar.file}: missing, as are all "
                f"{len(contents.records)} lidar files that {self.version} lists. Is the archive "
                f"of sensor files unpacked into {self.root}?"
            )
        self.num_missing = len(contents.records) - len(self._records)
        self.num_without_scan = contents.num_without_scan
        files = [image.file for record in self._records for image in record.cameras]
        labels = [record.labels for record in self._records if record.labels]
        self._absent = {file for file in (*files, *labels) if file not in present}
        self.num_missing_images = sum(file in self._absent for file in files)
        self.num_missing_labels = sum(file in self._absent for file in labels)
        self.has_labels = self.num_missing_labels < len(labels)
        self.tokens = [record.lidar.token for record in self._records]
        self._wants_boxes = boxes
        if boxes:
            nuscenes_boxes.check_tables(self.root / self.version)
        self.scenes = [record.scene for record in self._records]

    def prepare(self, keyframes: Sequence[int] | None = None) -> None:
        """Do nothing: all files are on disk."""

    def content(self) -> str:
        """Return "": a token of nuScenes identifies one recording."""
        return ""

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: SupportsIndex) -> Keyframe:
        """Read one keyframe; its images are decoded when they are requested.

        Raises:
            IndexError: there is no such keyframe.
            ValueError: a file is broken or contradicts another one; the message has its name.
        """
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"keyframe {position} of {self.name}, which has {len(self)}")
        record = self._records[position]
        file = self.root / record.lidar.file
        points, intensity, row_in_file, num_rows = read_scan(file)
        T_global_lidar = self._pose(record.lidar)
        return Keyframe(
            token=record.lidar.token,
            scene=record.scene,
            points=points,
            intensity=intensity,
            cameras=self._cameras(record.cameras, T_global_lidar),
            sensor=self.sensor,
            classes=self.classes,
            labels=self._labels(record.labels, row_in_file, num_rows),
            timestamp=record.lidar.timestamp,
            T_global_lidar=T_global_lidar,
            row_in_file=row_in_file,
            num_rows_in_file=num_rows,
            boxes=nuscenes_boxes.boxes_of(
                self._annotations.get(record.sample, []),
                T_global_lidar,
            ),
        )

    @cached_property
    def _annotations(self) -> dict[str, list[nuscenes_boxes.Annotation]]:
        """Annotations by sample token; read on first use, again in every worker process."""
        folder, wanted = self.root / self.version, self._wants_boxes
        if wanted is False or not (wanted or nuscenes_boxes.are_quick_to_read(folder)):
            return {}
        return nuscenes_boxes.read_boxes(folder, [record.sample for record in self._records])

    def __getstate__(self) -> dict:
        return {name: value for name, value in vars(self).items() if name != "_annotations"}

    @cached_property
    def sensor(self) -> Sensor:
        """The lidar, with its intensity statistics.

        The nuScenes cars have ScaLR's constants, if the scans agree with them. Otherwise the
        statistics are measured on up to 8 evenly spaced keyframes; broken files among them are
        skipped.

        Raises:
            ValueError: all of these files are broken.
        """
        chosen = torch.linspace(0, len(self) - 1, min(8, len(self))).round().long().tolist()
        files = [self.root / self._records[index].lidar.file for index in chosen]
        return lidar_of(files, self._vehicles, self.lidar)

    def _cameras(self, images: Iterable[SensorFile], T_global_lidar: Tensor) -> dict[str, Camera]:
        """The cameras whose images are on disk, by channel."""
        cameras = {}
        for image in images:
            if image.file in self._absent:
                continue
            calibration, file = self._calibrations[image.calibration], self.root / image.file
            try:
                cameras[calibration.channel] = Camera(
                    name=calibration.channel,
                    T_cam_lidar=geometry.invert_rigid(self._pose(image)) @ T_global_lidar,
                    K=calibration.K,
                    image_size=image.image_size or read_image_size(file),
                    source=file,
                )
            except ValueError as error:
                if str(file) in str(error):
                    raise
                table = self.root / self.version / "calibrated_sensor.json"
                raise ValueError(
                    f"{table}: record {image.calibration}, with the image {file}: {error}"
                ) from error
        return cameras

    def _pose(self, taken: SensorFile) -> Tensor:
        """T_global_sensor when the file was recorded: (4, 4) float64."""
        T_global_ego = geometry.rigid_transform(taken.rotation, taken.translation)
        return T_global_ego @ self._calibrations[taken.calibration].T_ego_sensor

    def _labels(self, file: str | None, row_in_file: Tensor, num_rows: int) -> Tensor | None:
        """Class indices of the kept points; None without a label file."""
        if file is None or file in self._absent:
            return None
        raw = np.frombuffer(bytearray(read_regular(self.root / file)), dtype=np.uint8)
        if len(raw) != num_rows:
            raise ValueError(
                f"{self.root / file}: {len(raw)} labels (one byte each) for the {num_rows} points "
                "of its scan. Is the download complete?"
            )
        return self.classes.from_raw(torch.from_numpy(raw), str(self.root / file))[row_in_file]

    def __repr__(self) -> str:
        scenes = len(set(self.scenes))
        labelled = sum(bool(r.labels) and r.labels not in self._absent for r in self._records)
        counts = {
            "keyframes without their lidar file (left out)": self.num_missing,
            f"keyframes without {self.lidar} in the tables (left out)": self.num_without_scan,
            "images": self.num_missing_images,
            "label files": self.num_missing_labels,
        }
        missing = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        others = f" (also here: {', '.join(self.other_versions)})" if self.other_versions else ""
        return (
            f"NuScenesFolder {self.name}{others}\n"
            f"  keyframes  {len(self):,} in {scenes:,} scene{'s' * (scenes != 1)}\n"
            f"  labelled   {labelled:,}, {self.classes.name}\n"
            f"  missing    {missing or 'nothing'}"
        )


class _FilesOnDisk:
    """The set of files on disk; lists each folder once, as stat is slow on network drives."""

    def __init__(self, root: Path):
        self.root, self.listed = root, {}

    def __contains__(self, file: str) -> bool:
        folder, _, name = file.rpartition("/")
        if folder not in self.listed:
            path = self.root / folder
            self.listed[folder] = (
                {entry.name for entry in path.iterdir()} if path.is_dir() else set()
            )
        return name in self.listed[folder]


def _choose_version(root: Path, version: str | None) -> tuple[Path, str, list[str]]:
    """Return the root, the version to read, and the other versions of the root."""
    root = root.expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; expected the root of a nuScenes data set")
    if version is None and has_tables(root):
        # Not resolved: a version folder may be a link, and the files lie beside the link.
        root, version = Path(os.path.abspath(root)).parent, Path(os.path.abspath(root)).name
    found = version_folders(root)
    version = version or (found[0] if found else "v1.0-mini")
    if not (root / version).is_dir():
        raise FileNotFoundError(
            f"{root / version}: no such version folder; found {', '.join(found) or 'none'}. "
            "Expected e.g. v1.0-mini with sample.json in it"
        )
    return root, version, [name for name in found if name != version]


def _label_classes(folder: Path, categories: dict[str, int] | None) -> classes.ClassMap:
    """The class map for the label ids of this root."""
    if categories is None:
        return classes.NUSCENES
    try:
        return classes.nuscenes_classes(categories)
    except ValueError as error:
        raise ValueError(f"{folder / 'category.json'}: {error}") from error
