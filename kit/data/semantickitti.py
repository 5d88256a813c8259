"""KITTI odometry and SemanticKITTI: sequences of scans with images, labels and poses.

    sequences/08/velodyne/000000.bin   scan: rows of x, y, z, intensity
    sequences/08/labels/000000.label   SemanticKITTI: class and instance of every point
    sequences/08/image_2/000000.png    left colour camera; image_3: the right one
    sequences/08/calib.txt             P2, P3, Tr
    sequences/08/times.txt             seconds
    sequences/08/poses.txt             of camera 0; KITTI odometry has them as poses/08.txt

Only the scans are needed. A folder with velodyne/ in it is one sequence.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from kit import geometry
from kit.data.class_maps import SEMANTIC_KITTI
from kit.data.classes import ClassMap
from kit.data.intensity import HDL_64E, PublishedSensor
from kit.data.keyframe import Camera, Dataset
from kit.data.kitti_calibration import CalibrationFile, read_calibration
from kit.data.kitti_files import COLOUR, images_of, make_cameras, scan_numbers
from kit.data.recording import FilesOnDisk, Frame, Recording
from kit.data.scans import Scan, read_scan
from kit.data.text_files import parse_numbers, read_poses, read_text, rigid_from_row
from kit.store.reading import read_regular

LOOKS_FOR = "velodyne/*.bin, here or in sequences/*/ (KITTI odometry, SemanticKITTI)"


def recognises(source: str) -> bool:
    """Return whether `source` has sequences, or is one."""
    return bool(sequences_of(Path(source)))


def open(source: str, **options) -> Dataset:
    """Open sequences; `options` are those of `SemanticKitti`."""
    return SemanticKitti(source, **options)


def sequences_of(root: Path) -> dict[str, Path]:
    """The folders of sequences by name; `root` may also be `sequences`, or one sequence."""
    if (root / "velodyne").is_dir():
        return {root.resolve().name: root}
    for folder in (root / "sequences", root / "dataset" / "sequences", root):
        if folder.is_dir():
            found = sorted(path for path in folder.iterdir() if (path / "velodyne").is_dir())
            # A folder of other names may be a data set of another format.
            if found and (folder != root or root.resolve().name == "sequences"):
                return {path.name: path for path in found}
    return {}


@dataclass(frozen=True)
class SequenceFrame(Frame):
    """A frame of a sequence.

    Attributes:
        folder: of the sequence, below the root; "." for the root itself.
        number: e.g. "000123": its files are named after it.
        images: file by camera, below the root.
        labels: file, below the root; None without one.
    """

    folder: str
    number: str
    images: dict[str, str]
    labels: str | None


class SemanticKitti(Recording):
    """Sequences in the layout of KITTI odometry, with the labels of SemanticKITTI; a `Dataset`.

    The lidar frame is x forward, y left, z up. Rows with the position (0, 0, 0) are empty slots and
    dropped. The global frame is the lidar frame of the first scan.

    Source: J. Behley et al., ICCV 2019; A. Geiger et al., CVPR 2012.
    """

    def __init__(
        self,
        root: str | Path,
        sequences: Iterable[str] | None = None,
        classes: ClassMap = SEMANTIC_KITTI,
        lidar: str = "HDL-64E",
        published: PublishedSensor | None = HDL_64E,
    ):
        """List the files.

        Args:
            root: a folder with `sequences`, that folder, or one sequence.
            sequences: names of sequences to read, e.g. ("08",); None: all that exist.
            classes: of the label ids.
            lidar: its name.
            published: its intensity statistics, used if the scans agree with them.

        Raises:
            FileNotFoundError: there is no such sequence, or it has no scan.
            ValueError: a file of time stamps is broken.
        """
        root = Path(root).expanduser()
        found = sequences_of(root)
        chosen = list(found) if sequences is None else list(sequences)
        if absent := [name for name in chosen if name not in found] or (not found and ["any"]):
            raise FileNotFoundError(
                f"{root}: no sequence {', '.join(absent)}; found {', '.join(found) or 'none'}. "
                "Expected folders such as sequences/08/velodyne"
            )
        disk = FilesOnDisk(root)
        frames = [each for name in chosen for each in _frames_of(disk, name, found[name])]
        if not frames:
            raise FileNotFoundError(f"{found[chosen[0]] / 'velodyne'}: expected scans, *.bin")
        calibrated = {str(found[n].relative_to(root)) for n in chosen if _is_calibrated(found[n])}
        labelled = sum(frame.labels is not None for frame in frames)
        super().__init__(
            root,
            root.resolve().name,
            classes,
            frames,
            lidar=lidar,
            published=published,
            num_labelled=labelled,
            missing={
                "images of image_2": sum("image_2" not in frame.images for frame in frames),
                "label files": len(frames) - labelled,
                "keyframes without calib.txt": sum(f.folder not in calibrated for f in frames),
            },
        )
        self._calibrated = calibrated

    def scan_of(self, frame: SequenceFrame) -> Scan:
        """Read rows of x, y, z, intensity."""
        return read_scan(self.root / frame.scan, 4, zeros_are_empty=True)

    def cameras_of(self, frame: SequenceFrame) -> dict[str, Camera]:
        """The colour cameras; none without calib.txt."""
        if frame.folder not in self._calibrated:
            return {}
        calibration = self._calibration(frame)
        images = {
            name: image
            for name, image in frame.images.items()
            if f"P{name[-1]}" in calibration or name == "image_2"
        }
        return make_cameras(calibration, "P", images, calibration.rigid("Tr"), self.root)

    def labels_of(self, frame: SequenceFrame, scan: Scan) -> Int[Tensor, " N"] | None:
        """Classes: the low 16 bits of the label file."""
        if frame.labels is None:
            return None
        raw = self._raw(frame, scan) & 0xFFFF
        return self.classes.from_raw(raw, str(self.root / frame.labels))

    def instances(self, index: int) -> Int[Tensor, " N"] | None:
        """Instances of the points of a keyframe: the high 16 bits of the label file, 0 for none."""
        frame = self.frames[index]
        return None if frame.labels is None else self._raw(frame, self.scan_of(frame)) >> 16

    def pose_of(self, frame: SequenceFrame) -> Float[Tensor, "4 4"] | None:
        """T_global_lidar from the poses of camera 0; None without poses or calib.txt."""
        file = _pose_file(self.root / frame.folder)
        if file is None or frame.folder not in self._calibrated or not frame.number.isdecimal():
            return None
        poses, line = self.table(file, lambda: read_poses(file)), int(frame.number)
        if line >= len(poses):
            raise ValueError(
                f"{file}: {len(poses)} poses, but the scan {frame.number} needs line {line + 1}"
            )
        T_cam_lidar = self._calibration(frame).rigid("Tr")
        T_first_cam = rigid_from_row(poses[line], f"{file}: line {line + 1}")
        return geometry.invert_rigid(T_cam_lidar) @ T_first_cam @ T_cam_lidar

    def _raw(self, frame: SequenceFrame, scan: Scan) -> Integer[Tensor, " N"]:
        """The label file's values of the valid points."""
        file = self.root / str(frame.labels)
        return torch.from_numpy(read_labels(file, scan.num_rows))[scan.row_in_file]

    def _calibration(self, frame: SequenceFrame) -> CalibrationFile:
        file = self.root / frame.folder / "calib.txt"
        return self.table(file, lambda: read_calibration(file))


def read_labels(file: Path, count: int | None = None) -> Integer[np.ndarray, " R"]:
    """Read a label file: one uint32 per row of the scan, as int64.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has not `count` labels; names the file.
    """
    data = read_regular(file)
    if len(data) % 4 or (count is not None and len(data) != 4 * count):
        points = "whole labels" if count is None else f"the {count} points of its scan"
        raise ValueError(
            f"{file}: expected 4 bytes (uint32) for each of {points}, got {len(data)} bytes. Is "
            "the download complete?"
        )
    return np.frombuffer(data, "<u4").astype(np.int64)


def _frames_of(disk: FilesOnDisk, name: str, folder: Path) -> list[SequenceFrame]:
    """The frames of one sequence, in order."""
    below = folder.relative_to(disk.root).as_posix()
    start = "" if below == "." else f"{below}/"
    folders = {camera: f"{start}{camera}" for camera in COLOUR}
    times = _timestamps(folder / "times.txt")
    frames = []
    for number in scan_numbers(disk, f"{start}velodyne"):
        label = f"{start}labels/{number}.label"
        frames.append(
            SequenceFrame(
                token=f"{name}_{number}",
                scene=name,
                timestamp=times.get(int(number), 0) if number.isdecimal() else 0,
                scan=f"{start}velodyne/{number}.bin",
                folder=below,
                number=number,
                images=images_of(disk, number, folders),
                labels=label if label in disk else None,
            )
        )
    return frames


def _timestamps(file: Path) -> dict[int, int]:
    """Microseconds by line, counted from 0; none without the file."""
    if not file.is_file():
        return {}
    lines = enumerate(read_text(file).split("\n"))
    seconds = {n: parse_numbers(line, f"{file}: line {n + 1}", 1) for n, line in lines if line}
    return {number: round(1e6 * max(value, 0)) for number, (value,) in seconds.items()}


def _is_calibrated(folder: Path) -> bool:
    return (folder / "calib.txt").is_file()


def _pose_file(folder: Path) -> Path | None:
    """poses.txt of SemanticKITTI, or ../../poses/NAME.txt of KITTI odometry."""
    folder = Path(os.path.abspath(folder))  # not resolved: a sequence may be a link
    places = (folder / "poses.txt", folder.parent.parent / "poses" / f"{folder.name}.txt")
    return next((file for file in places if file.is_file()), None)
