"""The keyframes of a folder with recording.json, or of one point file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kit import geometry
from kit.data.classes import NUSCENES, ClassMap
from kit.data.clocks import Poses
from kit.data.folder.description import NAME, CameraEntry, Description, read_description
from kit.data.folder.files import (
    is_image,
    label_files,
    list_files,
    match_by_index,
    match_by_name,
    match_by_time,
    poses_of_scans,
    read_stamps,
    stem,
)
from kit.data.keyframe import Camera
from kit.data.point_files import Layout, is_point_file, read_columns, scan_of_columns
from kit.data.recording import Frame, Recording
from kit.data.scans import Scan
from kit.store.image_reader import read_image_size
from kit.store.reading import read_regular

LABEL_ENDINGS = (".label", ".bin", ".npy")


@dataclass(frozen=True)
class FolderFrame(Frame):
    """The files of one scan.

    Attributes:
        number: of the scan.
        images: by camera: the file, and its time stamp in microseconds or None.
        labels: the label file; None without one.
    """

    number: int
    images: dict[str, tuple[str, int | None]]
    labels: str | None


class FolderRecording(Recording):
    """The scans of a folder, with images, labels and poses as recording.json says; a `Dataset`.

    If the scans and the images have time stamps and there are poses, the motion of the car between
    both is in `T_cam_lidar`.

    Attributes:
        description: the content of recording.json.
    """

    def __init__(self, root: Path, description: Description):
        """List the files.

        Raises:
            FileNotFoundError: a folder or file of the description is missing.
            ValueError: files do not belong together; names the folder or the field.
        """
        self.description = description
        scans = list_files(root, description.scans, is_point_file)
        times = None
        if description.timestamps is not None:
            times = read_stamps(root, description.timestamps, scans, description.unit)
        self._poses = None
        if description.poses is not None:
            self._poses = poses_of_scans(root / description.poses, len(scans))
        known = [c for c in description.cameras if c.K is not None and c.T_cam_lidar is not None]
        images = {camera.name: _images(root, description, camera, scans, times) for camera in known}
        classes, labels, num_labelled = _labels(root, description, scans)
        frames = [
            FolderFrame(
                token=token,
                scene=description.name,
                timestamp=0 if times is None else times[number],
                scan=scan,
                number=number,
                images={name: each[number] for name, each in images.items() if each[number]},
                labels=labels.get(scan),
            )
            for number, (scan, token) in enumerate(zip(scans, _tokens(scans), strict=True))
        ]
        super().__init__(
            root,
            description.name,
            classes,
            frames,
            lidar=description.lidar,
            num_labelled=num_labelled,
            missing={
                "cameras without K or T_cam_lidar (left out)": len(description.cameras)
                - len(known),
                "images": sum(each is None for found in images.values() for each in found),
            },
        )
        self._cameras = {camera.name: camera for camera in known}
        self._times = times

    def scan_of(self, frame: FolderFrame) -> Scan:
        """Read the point file."""
        file, layout = self.root / frame.scan, self.description.layout
        stamp = None if self._times is None else frame.timestamp
        return scan_of_columns(read_columns(file, layout), file, layout, stamp)

    def cameras_of(self, frame: FolderFrame) -> dict[str, Camera]:
        """The cameras with an image of this scan, by name."""
        found = {}
        for name, (image, time) in frame.images.items():
            entry, file = self._cameras[name], self.root / image
            T = entry.T_cam_lidar
            if time is not None and self._poses is not None and len(self) > 1:
                T = T @ self._motion(frame, time)
            size = read_image_size(file)
            try:
                found[name] = Camera(name, T, entry.K, size, file, entry.lens)
            except ValueError as error:
                raise ValueError(f"{self.root / NAME}: {error} (image {file})") from error
        return found

    def _motion(self, frame: FolderFrame, time: int) -> Float[Tensor, "4 4"]:
        """From the lidar frame at the time of the scan to that at the time of the image."""
        poses = self.poses(frame.number)
        then, now = poses.at(float(time)), self._poses[frame.number]
        return geometry.invert_rigid(then) @ now

    def poses(self, index: int) -> Poses:
        """Poses of the lidar around a keyframe, for clock offsets of cameras."""
        near = slice(max(index - 1, 0), index + 2)
        if self._poses is None or self._times is None:
            return Poses(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4, 4).double())
        return Poses(torch.tensor(self._times[near]), self._poses[near])

    def pose_of(self, frame: FolderFrame) -> Float[Tensor, "4 4"] | None:
        """The pose of the scan."""
        return None if self._poses is None else self._poses[frame.number]

    def labels_of(self, frame: FolderFrame, scan: Scan) -> Tensor | None:
        """Class indices of the kept points."""
        entry = self.description.labels
        if entry is None or (entry.column is None and frame.labels is None):
            return None
        if entry.column is not None:
            file = self.root / frame.scan
            columns = read_columns(file, self.description.layout)
            if entry.column not in columns:
                raise ValueError(
                    f"{file}: expected the column {entry.column!r} of labels, found "
                    f"{', '.join(columns)}"
                )
            raw = columns[entry.column]
        else:
            file = self.root / frame.labels
            raw = _read_labels(file, entry.dtype)
        raw = np.asarray(raw)
        if raw.ndim != 1 or len(raw) != scan.num_rows:
            raise ValueError(
                f"{file}: labels of the shape {raw.shape} and type {raw.dtype} for the "
                f"{scan.num_rows} points of its scan; expected one integer for each"
            )
        whole = raw.astype(np.int64)
        if not np.array_equal(whole, raw):
            raise ValueError(f"{file}: expected labels that are integers, got {raw.dtype}")
        masked = torch.from_numpy(whole & entry.mask)
        return self.classes.from_raw(masked, str(file))[scan.row_in_file]


def _images(
    root: Path,
    description: Description,
    camera: CameraEntry,
    scans: list[str],
    times: list[int] | None,
) -> list[tuple[str, int | None] | None]:
    """The image and its time stamp for each scan; None where there is none."""
    images = list_files(root, camera.images, is_image)
    stamps = None
    if camera.timestamps is not None:
        stamps = read_stamps(root, camera.timestamps, images, description.unit)
    try:
        if description.match == "time":
            found = match_by_time(times, images, stamps, description.max_gap)
        else:
            match = match_by_index if description.match == "index" else match_by_name
            found = match(scans, images)
    except ValueError as error:
        raise ValueError(f"{root / camera.images}: {error}") from error
    time_of = dict(zip(images, stamps, strict=True)) if stamps and times else {}
    return [None if image is None else (image, time_of.get(image)) for image in found]


def _labels(
    root: Path, description: Description, scans: list[str]
) -> tuple[ClassMap, Mapping[str, str], int]:
    """The classes, the label file by scan, and the number of scans with labels."""
    entry = description.labels
    if entry is None:
        return NUSCENES, {}, 0
    if entry.files is None:
        return entry.classes, {}, len(scans)
    files = label_files(scans, list_files(root, entry.files, _is_label_file))
    return entry.classes, files, len(files)


def _is_label_file(name: str) -> bool:
    return name.endswith(LABEL_ENDINGS) and not name.startswith(".")


def _read_labels(file: Path, dtype: str) -> np.ndarray:
    """Raw label ids of a file, one number per point."""
    if file.suffix == ".npy":
        from kit.data.point_files.plain import read_array

        return read_array(file).squeeze()
    data = read_regular(file)
    size = np.dtype(dtype).itemsize
    if len(data) % size:
        raise ValueError(f"{file}: expected {dtype} numbers, got {len(data)} bytes")
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<"))


def _tokens(scans: list[str]) -> list[str]:
    """The names of the files without ending, if they are different."""
    names = [stem(scan) for scan in scans]
    return names if len(set(names)) == len(names) else [Path(scan).name for scan in scans]


def open_recording(file: Path) -> FolderRecording:
    """Open the recording that a recording.json describes."""
    return FolderRecording(file.parent, read_description(file))


def open_point_file(file: Path, layout: Layout) -> FolderRecording:
    """Open one point file as a recording of a single scan, without cameras."""
    description = Description(file.stem, "lidar", file.name, layout)
    return FolderRecording(file.parent, description)
