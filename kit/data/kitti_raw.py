"""KITTI raw recordings: synchronised and rectified drives.

    2011_09_26/calib_cam_to_cam.txt                        R_rect_00, P_rect_02, P_rect_03
    2011_09_26/calib_velo_to_cam.txt                       R, T: lidar to camera 0
    2011_09_26/calib_imu_to_velo.txt                       R, T: inertial unit to lidar
    2011_09_26/2011_09_26_drive_0001_sync/
        velodyne_points/data/0000000005.bin                scan; timestamps.txt beside data
        image_02/data/0000000005.png                       left colour camera; image_03: the right
        oxts/data/0000000005.txt                           GPS and inertial unit

Only the scans are needed.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from kit import geometry
from kit.data.class_maps import KITTI_OBJECTS
from kit.data.intensity import HDL_64E
from kit.data.keyframe import Camera, Dataset
from kit.data.kitti_calibration import CalibrationFile, read_calibration
from kit.data.kitti_files import images_of, make_cameras, scan_numbers
from kit.data.recording import FilesOnDisk, Frame, Recording
from kit.data.scans import Scan, read_scan
from kit.data.text_files import parse_numbers, read_text

LOOKS_FOR = "velodyne_points/data/*.bin, here or in DATE/DRIVE_sync (KITTI raw)"
CAMERAS = ("image_02", "image_03")  # of the projection matrices P_rect_02 and P_rect_03
_SCANS = "velodyne_points/data"
_EARTH = 6_378_137.0  # metres, radius at the equator
_OXTS = 30  # numbers in a file of the inertial unit


def recognises(source: str) -> bool:
    """Return whether `source` is a drive of KITTI raw, a date, or a folder with dates."""
    return bool(_drives_of(Path(source)))


def open(source: str, **options) -> Dataset:
    """Open KITTI raw; `options` are those of `KittiRaw`."""
    return KittiRaw(source, **options)


def _drives_of(root: Path) -> list[Path]:
    """The folders of drives: the root, its sub-folders, or those of its dates."""
    root = Path(os.path.abspath(root))
    if _is_drive(root):
        return [root]
    inner = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    drives = [path for path in inner if _is_drive(path)]
    if drives:
        return drives
    dates = [path for path in inner if path.name[:2] == "20"]
    return [drive for date in dates for drive in sorted(date.iterdir()) if _is_drive(drive)]


def _is_drive(folder: Path) -> bool:
    return (folder / _SCANS).is_dir()


@dataclass(frozen=True)
class DriveFrame(Frame):
    """A frame of a drive.

    Attributes:
        date, drive: folders below the root, with a / at the end.
        number: e.g. "0000000005": its files are named after it.
        images: file by camera, below the root.
    """

    date: str
    drive: str
    number: str
    images: dict[str, str]


class KittiRaw(Recording):
    """The frames of KITTI raw drives; a `Dataset` without labels and boxes.

    The lidar frame is x forward, y left, z up. The cameras are triggered when the lidar looks
    forward, so the calibration has no motion between scan and image. The global frame is x east, y
    north, z up, with the origin at the first position of the drive.

    Source: A. Geiger et al., Vision meets Robotics: The KITTI Dataset (IJRR 2013); the poses are
        those of its development kit (convertOxtsToPose), a Mercator projection.
    """

    def __init__(self, root: str | Path, cameras: Sequence[str] = CAMERAS):
        """List the files.

        Args:
            root: a folder with dates, a date, or one drive.
            cameras: "image_02" and "image_03" have colours, "image_00" and "image_01" are grey.

        Raises:
            FileNotFoundError: there is no drive with a scan.
            ValueError: a file of time stamps is broken.
        """
        drives = _drives_of(Path(root).expanduser())
        if not drives:
            raise FileNotFoundError(f"{root}: no drive with {_SCANS}")
        base = drives[0].parent.parent
        self._disk = FilesOnDisk(base)
        frames = [f for drive in drives for f in _frames_of(self._disk, drive, tuple(cameras))]
        if not frames:
            raise FileNotFoundError(f"{drives[0] / _SCANS}: expected scans, *.bin")
        dates = {frame.date for frame in frames}
        self._calibrated = {d for d in dates if self._has(d, "cam_to_cam", "velo_to_cam")}
        self._mounted = {d for d in dates if self._has(d, "imu_to_velo")}
        first = str(next(iter(cameras), ""))
        super().__init__(
            base,
            Path(root).expanduser().resolve().name,
            KITTI_OBJECTS,
            frames,
            lidar="HDL-64E",
            published=HDL_64E,
            missing={
                f"images of {first}": sum(first not in frame.images for frame in frames),
                "dates without calib_cam_to_cam.txt or calib_velo_to_cam.txt": len(dates)
                - len(self._calibrated),
                "keyframes without oxts": sum(not self._is_posed(frame) for frame in frames),
            },
        )

    def scan_of(self, frame: DriveFrame) -> Scan:
        """Read rows of x, y, z, intensity."""
        return read_scan(self.root / frame.scan, 4)

    def cameras_of(self, frame: DriveFrame) -> dict[str, Camera]:
        """The cameras; none without both calibration files."""
        if frame.date not in self._calibrated:
            return {}
        to_cam = self._calibration(frame, "cam_to_cam")
        T_cam_lidar = _transform(self._calibration(frame, "velo_to_cam"))
        T_rect_lidar = to_cam.rigid("R_rect_00") @ T_cam_lidar
        return make_cameras(to_cam, "P_rect_", frame.images, T_rect_lidar, self.root)

    def pose_of(self, frame: DriveFrame) -> Float[Tensor, "4 4"] | None:
        """T_global_lidar from the inertial unit; None without its file or calibration."""
        if not self._is_posed(frame):
            return None
        folder = f"{frame.drive}oxts/data"
        first = min(name for name in self._disk.names(folder) if name.endswith(".txt"))
        start = self.table((folder, first), lambda: _read_oxts(self.root / folder / first))
        here = _read_oxts(self.root / folder / f"{frame.number}.txt")
        T_lidar_imu = _transform(self._calibration(frame, "imu_to_velo"))
        return _pose(here, start) @ geometry.invert_rigid(T_lidar_imu)

    def _is_posed(self, frame: DriveFrame) -> bool:
        file = f"{frame.drive}oxts/data/{frame.number}.txt"
        return frame.date in self._mounted and file in self._disk

    def _has(self, date: str, *names: str) -> bool:
        return all(f"{date}calib_{name}.txt" in self._disk for name in names)

    def _calibration(self, frame: DriveFrame, name: str) -> CalibrationFile:
        file = self.root / f"{frame.date}calib_{name}.txt"
        return self.table(file, lambda: read_calibration(file))


def _frames_of(disk: FilesOnDisk, folder: Path, cameras: tuple[str, ...]) -> list[DriveFrame]:
    """The frames of one drive, in order of time."""
    date = f"{folder.parent.name}/"
    drive = f"{date}{folder.name}/"
    times = _timestamps(folder / "velodyne_points" / "timestamps.txt")
    folders = {camera: f"{drive}{camera}/data" for camera in cameras}
    frames = []
    for number in scan_numbers(disk, f"{drive}{_SCANS}"):
        index = int(number) if number.isdecimal() else -1
        frames.append(
            DriveFrame(
                token=f"{folder.name}_{number}",
                scene=folder.name,
                timestamp=times[index] if 0 <= index < len(times) else 0,
                scan=f"{drive}{_SCANS}/{number}.bin",
                date=date,
                drive=drive,
                number=number,
                images=images_of(disk, number, folders),
            )
        )
    return frames


def _timestamps(file: Path) -> list[int]:
    """Microseconds by frame, from lines such as 2011-09-26 13:02:25.951199337 (UTC)."""
    if not file.is_file():
        return []
    times = []
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        text = line.strip()
        try:
            moment = datetime.fromisoformat(text[:26]).replace(tzinfo=UTC)
            times.append(round(1e6 * moment.timestamp()))
        except (ValueError, OverflowError) as error:
            raise ValueError(
                f"{file}: line {number}: expected a time such as 2011-09-26 13:02:25.951199337, "
                f"got {text[:50]!r}"
            ) from error
    return times


def _transform(calibration: CalibrationFile) -> Float[Tensor, "4 4"]:
    """The rigid transform of the lines R and T."""
    T = calibration.rigid("R")
    T[:3, 3] = torch.from_numpy(calibration.matrix("T", 3, 1)[:, 0])
    return T


def _read_oxts(file: Path) -> list[float]:
    """Latitude, longitude (degrees), altitude (m), roll, pitch, yaw (rad), and 24 more numbers."""
    values = parse_numbers(read_text(file), str(file), _OXTS)
    if not (abs(values[0]) < 89 and abs(values[1]) <= 360):
        raise ValueError(
            f"{file}: expected a latitude and a longitude in degrees, got {values[:2]}"
        )
    return values


def _pose(here: list[float], start: list[float]) -> Float[Tensor, "4 4"]:
    """T_global_imu: Mercator coordinates, scaled for the latitude at the start of the drive."""
    scale = math.cos(math.radians(start[0]))
    places = []
    for latitude, longitude, altitude in (here[:3], start[:3]):
        east = scale * _EARTH * math.radians(longitude)
        north = scale * _EARTH * math.log(math.tan(math.radians(90 + latitude) / 2))
        places.append((east, north, altitude))
    T = torch.eye(4, dtype=torch.float64)
    roll, pitch, yaw = here[3:6]
    T[:3, :3] = torch.from_numpy(Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix())
    T[:3, 3] = torch.tensor([a - b for a, b in zip(*places, strict=True)], dtype=torch.float64)
    return T
