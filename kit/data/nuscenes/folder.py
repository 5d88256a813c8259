"""Reader of data sets in the nuScenes schema: nuScenes itself, or a data set converted to it.

Partial downloads are supported. Files that the tables list and the disk lacks are skipped and
counted; a broken file raises an error with its name.
"""

import operator
import os
from collections.abc import Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import SupportsIndex

import numpy as np
import torch
from torch import Tensor

from kit import geometry
from kit.data import classes
from kit.data.annotations import Box
from kit.data.class_maps import numbered_classes
from kit.data.classes import ClassMap
from kit.data.clocks import Poses
from kit.data.keyframe import Camera, Sensor
from kit.data.nuscenes import boxes as nuscenes_boxes
from kit.data.nuscenes.intensity import lidar_of
from kit.data.nuscenes.records import Calibration, Contents, Record, SensorFile
from kit.data.nuscenes.scans import read_scan
from kit.data.nuscenes.turns import poses_around, turns_by_scene
from kit.data.recording import FilesOnDisk, Recording, spaced
from kit.data.scans import Scan
from kit.data.sweeps import Sweep
from kit.store.image_reader import read_image_size
from kit.store.reading import read_regular

T4 = "annotation"  # the folder of tables in data sets of TIER IV


def version_folders(root: Path) -> list[str]:
    """List the sub-folders with tables of keyframes, v1.0-trainval and v1.0-mini first."""
    order = {"v1.0-trainval": 0, "v1.0-mini": 1}
    found = [folder.name for folder in root.iterdir() if has_tables(folder)]
    return sorted(found, key=lambda name: (order.get(name, 2), name))


def revisions(root: Path) -> list[Path]:
    """List the revisions of a T4 data set: sub-folders with tables in `annotation`, latest first.

    Source: https://tier4.github.io/t4-devkit/latest/schema
    """
    found = [each for each in root.iterdir() if has_tables(each / T4)]
    return sorted(found, key=lambda each: (len(each.name), each.name), reverse=True)


def has_tables(folder: Path) -> bool:
    """Return whether `folder` is a version folder: it has the tables of keyframes."""
    return (folder / "sample.json").is_file() and (folder / "sample_data.json").is_file()


class NuScenesFolder(Recording):
    """The keyframes of a data set in the nuScenes schema; a `Dataset`.

    It keeps small records instead of the devkit's tables, so pickling it for worker processes is
    fast. Points, labels and images are read when they are requested. Its name is that of the root
    folder and the version; its tokens are the sample_data tokens of the scans.

    Attributes:
        version: the version folder in use.
        other_versions: the other version folders of this root.
        num_missing: number of keyframes that were skipped because their lidar file is missing.
        num_without_scan: number of samples that were skipped because the tables list no scan of
            the lidar.
        num_missing_images, num_missing_labels: numbers of files that the other keyframes lack.

    T4, the format of TIER IV, has the same tables in the folder `annotation`. If its categories
    are not those of nuScenes, each is a class of its own.

    Source: the nuScenes schema, https://www.nuscenes.org/nuscenes#data-format; 32 categories are
        merged into 16 classes by name, as in the lidarseg challenge.
    """

    def __init__(
        self,
        root: str | Path,
        version: str | None = None,
        boxes: bool | None = None,
        lidar: str | None = None,
    ):
        """Read the tables and check which files exist.

        Args:
            root: folder that contains the version folder and `samples/`. A version folder is
                accepted too.
            version: e.g. "v1.0-mini". None takes v1.0-trainval, else v1.0-mini, else the first
                other one in alphabetical order.
            boxes: read the annotated boxes. None reads them if the table is smaller than 100 MB,
                so not for all of nuScenes (1 GB).
            lidar: channel of the lidar to use; None: LIDAR_TOP, or LIDAR_CONCAT of T4.

        Raises:
            FileNotFoundError: the version, a table or every lidar file is missing.
            ValueError: a table is broken, contains an invalid calibration, or lists no keyframe of
                the lidar.
        """
        from kit.data.nuscenes.tables import read_contents

        self.root, self.version, self.other_versions = _choose_version(Path(root), version)
        contents = read_contents(self.root, self.version, lidar)
        lidar = contents.lidar
        self._calibrations, self._vehicles = contents.calibrations, contents.vehicles
        present = FilesOnDisk(self.root)
        records = [record for record in contents.records if record.scan in present]
        if not records:
            raise FileNotFoundError(
                f"{self.root / contents.records[0].scan}: missing, as are all "
                f"{len(contents.records)} lidar files that {self.version} lists. Is the archive "
                f"of sensor files unpacked into {self.root}?"
            )
        self.num_missing = len(contents.records) - len(records)
        self.num_without_scan = contents.num_without_scan
        labelled = self._find_absent(records, present)
        self._wants_boxes = boxes
        if boxes:
            nuscenes_boxes.check_tables(self.root / self.version)
        super().__init__(
            self.root,
            _name(self.root, self.version),
            _label_classes(self.root / self.version, contents),
            records,
            lidar=lidar,
            num_labelled=labelled,
            missing=self._counts_of_missing(lidar),
        )

    def _find_absent(self, records: list, present: FilesOnDisk) -> int:
        """Find the images and label files that are not on disk; returns the labelled keyframes."""
        files = [image.file for record in records for image in record.cameras]
        labels = [record.labels for record in records if record.labels]
        self._absent = {file for file in (*files, *labels) if file not in present}
        self.num_missing_images = sum(file in self._absent for file in files)
        self.num_missing_labels = sum(file in self._absent for file in labels)
        return len(labels) - self.num_missing_labels

    def _counts_of_missing(self, lidar: str) -> dict[str, int]:
        return {
            "keyframes without their lidar file (left out)": self.num_missing,
            f"keyframes without {lidar} in the tables (left out)": self.num_without_scan,
            "images": self.num_missing_images,
            "label files": self.num_missing_labels,
        }

    def content(self) -> str:
        """Return "": a token of nuScenes identifies one recording."""
        return ""

    def scan_of(self, record: Record) -> Scan:
        """Read the scan of a keyframe."""
        return read_scan(self.root / record.scan)

    def pose_of(self, record: Record) -> Tensor:
        """T_global_lidar at the time of the scan: (4, 4) float64."""
        return self._pose(record.lidar)

    def boxes_of(self, record: Record) -> tuple[Box, ...]:
        """The annotated boxes of a keyframe."""
        annotations = self._annotations.get(record.sample, [])
        return nuscenes_boxes.boxes_of(annotations, self.pose_of(record), self.classes)

    @cached_property
    def _annotations(self) -> dict[str, list[nuscenes_boxes.Annotation]]:
        """Annotations by sample token; read on first use, again in every worker process."""
        folder, wanted = self.root / self.version, self._wants_boxes
        if wanted is False or not (wanted or nuscenes_boxes.are_quick_to_read(folder)):
            return {}
        return nuscenes_boxes.read_boxes(folder, [record.sample for record in self.frames])

    def sweeps(self, index: SupportsIndex, count: int) -> list[Sweep]:
        """Up to `count` turns of the lidar before keyframe `index`, the latest first.

        Earlier keyframes are among them. Turns whose files are not on disk are skipped: without
        the archive of sweeps, only keyframes are left.
        """
        record = self.frames[index]
        (turns, calibrations), present = self._turns, self._files_of_turns
        earlier = [t for t in turns[record.scene] if t.timestamp < record.lidar.timestamp]
        chosen = islice((turn for turn in reversed(earlier) if turn.file in present), count)
        return [self._sweep(turn, calibrations) for turn in chosen]

    def _sweep(self, turn: SensorFile, calibrations: Mapping[str, Calibration]) -> Sweep:
        scan = read_scan(self.root / turn.file)
        T_global_ego = geometry.rigid_transform(turn.rotation, turn.translation)
        T = T_global_ego @ calibrations[turn.calibration].T_ego_sensor
        return Sweep(scan.points, scan.intensity, T, turn.timestamp)

    @cached_property
    def _turns(self) -> tuple[dict[str, list[SensorFile]], dict[str, Calibration]]:
        """All turns of the lidar by scene; read on first use, again in every worker process."""
        return turns_by_scene(self.root, self.version, self.lidar, self.frames)

    @cached_property
    def _files_of_turns(self) -> FilesOnDisk:
        """The files on disk; a folder of sweeps has hundreds of thousands, and is listed once."""
        return FilesOnDisk(self.root)

    def poses(self, index: SupportsIndex) -> Poses:
        """Poses of the lidar at the time stamps of the scans and images around a keyframe."""
        position = operator.index(index) % len(self)
        calibration = self._calibrations[self.frames[position].lidar.calibration]
        return poses_around(self.frames, position, calibration.T_ego_sensor)

    def __getstate__(self) -> dict:
        large = ("_annotations", "_turns", "_files_of_turns")
        return {name: value for name, value in vars(self).items() if name not in large}

    @cached_property
    def sensor(self) -> Sensor:
        """The lidar, with its intensity statistics.

        The nuScenes cars have ScaLR's constants, if the scans agree with them. Otherwise the
        statistics are measured on up to 8 evenly spaced keyframes; broken files among them are
        skipped.

        Raises:
            ValueError: all of these files are broken.
        """
        files = [self.root / self.frames[index].scan for index in spaced(len(self))]
        return lidar_of(files, self._vehicles, self.lidar)

    def cameras_of(self, record: Record) -> dict[str, Camera]:
        """The cameras whose images are on disk, by channel."""
        cameras, T_global_lidar = {}, self.pose_of(record)
        for image in record.cameras:
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
                    lens=calibration.lens,
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

    def labels_of(self, record: Record, scan: Scan) -> Tensor | None:
        """Class indices of the kept points; None without a label file."""
        if record.labels is None or record.labels in self._absent:
            return None
        file = self.root / record.labels
        raw = np.frombuffer(bytearray(read_regular(file)), dtype=np.uint8)
        if len(raw) != scan.num_rows:
            raise ValueError(
                f"{file}: {len(raw)} labels (one byte each) for the {scan.num_rows} points of its "
                "scan. Is the download complete?"
            )
        return self.classes.from_raw(torch.from_numpy(raw), str(file))[scan.row_in_file]

    @property
    def _also_here(self) -> str:
        return f" (also here: {', '.join(self.other_versions)})" if self.other_versions else ""


def _choose_version(root: Path, version: str | None) -> tuple[Path, str, list[str]]:
    """Return the root, the version to read, and the other versions of the root."""
    root = root.expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; expected the root of a nuScenes data set")
    if version is None and not version_folders(root):
        root = next(iter(revisions(root)), root)
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


def _name(root: Path, version: str) -> str:
    """The name of a data set; that of T4 lies in a folder named by the number of its revision."""
    name = root.resolve().name
    if version != T4:
        return f"{name} {version}"
    return f"{root.resolve().parent.name} revision {name}" if name.isdecimal() else f"{name} T4"


def _label_classes(folder: Path, contents: Contents) -> ClassMap:
    """The class map for the label ids of this root; T4 may have categories of its own."""
    file, categories = folder / "category.json", contents.categories
    if folder.name == T4 and not set(contents.names) <= set(classes.CATEGORIES):
        ids = {name: index for index, name in enumerate(dict.fromkeys(contents.names))}
        ids = ids if categories is None else categories
        if len(set(ids.values())) < len(ids):
            raise ValueError(f"{file}: two categories have the same index; each needs its own")
        by_id = {index: name for name, index in sorted(ids.items(), key=lambda item: item[1])}
        return numbered_classes(by_id, str(file), f"{folder.parent.name}, {len(ids)} categories")
    if categories is None:
        return classes.NUSCENES
    try:
        return classes.nuscenes_classes(categories)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
