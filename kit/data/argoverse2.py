"""The Argoverse 2 sensor data set in its own layout: Feather tables, one log after the other.

    val/LOG/sensors/lidar/315966265259836000.feather       x, y, z, intensity, offset_ns
    val/LOG/sensors/cameras/ring_front_left/TIME.jpg       images, at times of their own
    val/LOG/calibration/intrinsics.feather                 of the cameras
    val/LOG/calibration/egovehicle_SE3_sensor.feather      mounts of all sensors
    val/LOG/city_SE3_egovehicle.feather                    poses of the car
    val/LOG/annotations.feather                            boxes

Only the lidar is needed. Names of files are times in nanoseconds.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from kit import geometry
from kit.data.annotations import Box
from kit.data.class_maps import ARGOVERSE2
from kit.data.classes import IGNORE
from kit.data.feather import read_feather
from kit.data.keyframe import Camera, Dataset
from kit.data.recording import FilesOnDisk, Frame, Recording
from kit.data.scans import Scan, valid_scan

LOOKS_FOR = "sensors/lidar/*.feather, here or in sub-folders such as val/LOG (Argoverse 2)"
SPLITS = ("train", "val", "test")
LIDAR = "up_lidar"  # its frame is the lidar frame
MAX_GAP = 50_000_000  # nanoseconds between a scan and an image, or a pose
_QUATERNION = ("qw", "qx", "qy", "qz")
_TRANSLATION = ("tx_m", "ty_m", "tz_m")
_INTRINSICS = ("fx_px", "fy_px", "cx_px", "cy_px", "k1", "k2", "k3", "height_px", "width_px")
_SIZE = ("length_m", "width_m", "height_m")


def recognises(source: str) -> bool:
    """Return whether `source` is a log of Argoverse 2, or a folder with logs or splits."""
    return bool(_logs_of(Path(source)))


def open(source: str, **options) -> Dataset:
    """Open Argoverse 2; `options` are those of `Argoverse2`."""
    return Argoverse2(source, **options)


def _logs_of(root: Path) -> list[Path]:
    """The folders of logs: the root, its sub-folders, or those of its splits."""
    if _is_log(root):
        return [root]
    for folders in ([root], [root / split for split in SPLITS]):
        found = [log for f in folders if f.is_dir() for log in sorted(f.iterdir()) if _is_log(log)]
        if found:
            return found
    return []


def _is_log(folder: Path) -> bool:
    lidar = folder / "sensors" / "lidar"
    return lidar.is_dir() and any(path.suffix == ".feather" for path in lidar.iterdir())


@dataclass(frozen=True)
class SweepFrame(Frame):
    """One sweep of a log.

    Attributes:
        log: its folder below the root, with a / at the end; "" for the root itself.
        nanoseconds: the time of the sweep.
        images: by camera, the file below the root and its time in nanoseconds.
    """

    log: str
    nanoseconds: int
    images: dict[str, tuple[str, int]]


@dataclass(frozen=True)
class DrivenPath:
    """The path of a car: times in nanoseconds, ascending, and T_city_ego."""

    file: Path
    times: Sequence[int]
    rotations: Rotation
    translations: Float[np.ndarray, "P 3"]

    def at(self, time: int) -> Float[Tensor, "4 4"]:
        """The pose at a time; between two poses it is interpolated.

        Raises:
            ValueError: the next pose is more than `MAX_GAP` away.
        """
        after = min(bisect_left(self.times, time), len(self.times) - 1)
        before = after if self.times[after] == time or after == 0 else after - 1
        time_span = (self.times[before], self.times[after])
        if min(abs(time - end) for end in time_span) > MAX_GAP:
            raise ValueError(f"{self.file}: no pose within 50 ms of the time {time} ns")
        if before == after:
            return self._pose(after)
        ratio = min(max((time - time_span[0]) / max(time_span[1] - time_span[0], 1), 0.0), 1.0)
        return geometry.interpolate_rigid(self._pose(before), self._pose(after), ratio)

    def _pose(self, number: int) -> Float[Tensor, "4 4"]:
        T = torch.eye(4, dtype=torch.float64)
        T[:3, :3] = torch.from_numpy(self.rotations[number].as_matrix())
        T[:3, 3] = torch.from_numpy(self.translations[number])
        return T


class Argoverse2(Recording):
    """The sweeps of Argoverse 2 logs, each a keyframe; a `Dataset` without labels of points.

    Points are taken from the frame of the car to that of the upper lidar: x forward, y left, z up.
    Without the mounts they stay in the frame of the car. The image of a camera is the one nearest
    in time, at most 50 ms away; `T_cam_lidar` includes the motion of the car in between.

    Source: B. Wilson et al., NeurIPS Datasets and Benchmarks 2021.
    """

    def __init__(self, root: str | Path, distorted: bool = False):
        """List the files.

        Args:
            root: a folder with splits, a split, or one log.
            distorted: apply k1, k2 and k3 of the intrinsics. The images of the data set are
                without distortion (its user guide); use it for images of another source.

        Raises:
            FileNotFoundError: there is no log.
        """
        root = Path(root).expanduser()
        logs = _logs_of(root)
        if not logs:
            raise FileNotFoundError(f"{root}: no log with sensors/lidar/*.feather")
        self.distorted = distorted
        disk = FilesOnDisk(root)
        frames = [frame for log in logs for frame in _frames_of(disk, log)]
        names = {frame.log for frame in frames}
        self._mounted = {n for n in names if f"{n}{_MOUNTS}" in disk}
        self._calibrated = {n for n in self._mounted if f"{n}{_INTRINSIC}" in disk}
        self._posed = {n for n in names if f"{n}{_POSES}" in disk}
        self._boxed = {n for n in names if f"{n}{_BOXES}" in disk}
        super().__init__(
            root,
            root.resolve().name,
            ARGOVERSE2,
            frames,
            lidar="Argoverse 2, two VLP-32C",
            missing={
                "keyframes without images": sum(not frame.images for frame in frames),
                "logs without calibrated cameras": len(names - self._calibrated),
                "logs without mounts (points in the frame of the car)": len(names - self._mounted),
                "logs without poses (no motion between scan and image)": len(names - self._posed),
                "logs without boxes": len(names - self._boxed),
            },
        )

    def scan_of(self, frame: SweepFrame) -> Scan:
        """Read a sweep and take it from the frame of the car to that of the upper lidar."""
        file = self.root / frame.scan
        table = read_feather(file, ("x", "y", "z", "intensity", "offset_ns"))
        ego = np.stack([table[name].astype(np.float64) for name in "xyz"], axis=1)
        T_lidar_ego = geometry.invert_rigid(self._T_ego_lidar(frame))
        points = geometry.transform_points(T_lidar_ego, torch.from_numpy(ego)).float()
        intensity = torch.from_numpy(table["intensity"].astype(np.float32))
        time = torch.from_numpy((table["offset_ns"] / 1e9).astype(np.float32))
        return valid_scan(points, intensity, file, time=time)

    def pose_of(self, frame: SweepFrame) -> Float[Tensor, "4 4"] | None:
        """T_global_lidar; the global frame is that of the city. None without poses."""
        if frame.log not in self._posed:
            return None
        return self._poses(frame).at(frame.nanoseconds) @ self._T_ego_lidar(frame)

    def cameras_of(self, frame: SweepFrame) -> dict[str, Camera]:
        """The cameras with an image near in time, intrinsics and a mount."""
        if frame.log not in self._calibrated:
            return {}
        mounts, intrinsics = self._mounts(frame), self._intrinsics(frame)
        cameras = {}
        for name, (image, time) in frame.images.items():
            if name not in mounts or name not in intrinsics:
                continue
            T_ego_ego = torch.eye(4, dtype=torch.float64)
            if frame.log in self._posed:
                poses = self._poses(frame)
                T_ego_ego = geometry.invert_rigid(poses.at(time)) @ poses.at(frame.nanoseconds)
            T_cam_ego = geometry.invert_rigid(mounts[name])
            cameras[name] = self._camera(
                frame, name, T_cam_ego @ T_ego_ego @ self._T_ego_lidar(frame), image
            )
        return cameras

    def boxes_of(self, frame: SweepFrame) -> tuple[Box, ...]:
        """The boxes at the time of the sweep."""
        if frame.log not in self._boxed:
            return ()
        file = self.root / f"{frame.log}{_BOXES}"
        rows = self.table(file, lambda: _read_boxes(file)).get(frame.nanoseconds, [])
        T_lidar_ego = geometry.invert_rigid(self._T_ego_lidar(frame))
        try:
            return tuple(_box(row, T_lidar_ego) for row in rows)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error

    def _camera(
        self, frame: SweepFrame, name: str, T_cam_lidar: Float[Tensor, "4 4"], image: str
    ) -> Camera:
        file = self.root / f"{frame.log}{_INTRINSIC}"
        fx, fy, cx, cy, k1, k2, k3, height, width = self._intrinsics(frame)[name]
        K = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)
        lens = {}
        if self.distorted:
            from kit.lens import BrownConrady

            lens["lens"] = BrownConrady(k1, k2, k3=k3)
        try:
            size = (int(height), int(width))
            return Camera(name, T_cam_lidar, K, size, self.root / image, **lens)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error

    def _T_ego_lidar(self, frame: SweepFrame) -> Float[Tensor, "4 4"]:
        mounts = self._mounts(frame) if frame.log in self._mounted else {}
        return mounts.get(LIDAR, torch.eye(4, dtype=torch.float64))

    def _mounts(self, frame: SweepFrame) -> dict[str, Float[Tensor, "4 4"]]:
        file = self.root / f"{frame.log}{_MOUNTS}"
        return self.table(file, lambda: _read_mounts(file))

    def _intrinsics(self, frame: SweepFrame) -> dict[str, tuple[float, ...]]:
        file = self.root / f"{frame.log}{_INTRINSIC}"
        return self.table(file, lambda: _read_intrinsics(file))

    def _poses(self, frame: SweepFrame) -> DrivenPath:
        file = self.root / f"{frame.log}{_POSES}"
        return self.table(file, lambda: _read_poses(file))


_MOUNTS = "calibration/egovehicle_SE3_sensor.feather"
_INTRINSIC = "calibration/intrinsics.feather"
_POSES = "city_SE3_egovehicle.feather"
_BOXES = "annotations.feather"


def _frames_of(disk: FilesOnDisk, log: Path) -> list[SweepFrame]:
    """The sweeps of a log in order of time, each with the nearest image of every camera."""
    below = log.relative_to(disk.root).as_posix()
    start = "" if below == "." else f"{below}/"
    cameras = {}
    for name in sorted(disk.names(f"{start}sensors/cameras")):
        files = disk.names(f"{start}sensors/cameras/{name}")
        cameras[name] = sorted((t, f) for f in files if (t := _time(f, ".jpg", ".png")) is not None)
    name, frames = log.resolve().name, []
    scans = disk.names(f"{start}sensors/lidar")
    for time, scan in sorted((t, f) for f in scans if (t := _time(f, ".feather")) is not None):
        images = {}
        for camera, files in cameras.items():
            if files:
                near, image = min(files, key=lambda each: abs(each[0] - time))
                if abs(near - time) <= MAX_GAP:
                    images[camera] = (f"{start}sensors/cameras/{camera}/{image}", near)
        frames.append(
            SweepFrame(
                token=f"{name}_{time}",
                scene=name,
                timestamp=time // 1000,
                scan=f"{start}sensors/lidar/{scan}",
                log=start,
                nanoseconds=time,
                images=images,
            )
        )
    return frames


def _time(name: str, *endings: str) -> int | None:
    """The time in a name such as 315966265259836000.feather; None of other files."""
    stem, dot, ending = name.rpartition(".")
    good = dot + ending in endings and stem.isascii() and stem.isdecimal() and len(stem) <= 19
    return int(stem) if good else None


def _transforms(table: dict[str, np.ndarray], file: Path) -> list[Float[Tensor, "4 4"]]:
    """The rigid transform of every row."""
    rotations = np.stack([table[name] for name in _QUATERNION], axis=1)
    translations = np.stack([table[name] for name in _TRANSLATION], axis=1)
    rows = zip(rotations.tolist(), translations.tolist(), strict=True)
    try:
        return [geometry.rigid_transform(rotation, position) for rotation, position in rows]
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _read_mounts(file: Path) -> dict[str, Float[Tensor, "4 4"]]:
    """T_ego_sensor by the name of the sensor."""
    table = read_feather(file, (*_QUATERNION, *_TRANSLATION), ("sensor_name",))
    return dict(zip(table["sensor_name"].tolist(), _transforms(table, file), strict=True))


def _read_intrinsics(file: Path) -> dict[str, tuple[float, ...]]:
    """The values of `_INTRINSICS` by the name of the camera."""
    table = read_feather(file, _INTRINSICS, ("sensor_name",))
    rows = zip(*(table[name].astype(float).tolist() for name in _INTRINSICS), strict=True)
    return dict(zip(table["sensor_name"].tolist(), rows, strict=True))


def _read_poses(file: Path) -> DrivenPath:
    table = read_feather(file, ("timestamp_ns", *_QUATERNION, *_TRANSLATION))
    order = np.argsort(table["timestamp_ns"], kind="stable")
    rotations = np.stack([table[name][order] for name in _QUATERNION], axis=1)
    norms = np.linalg.norm(rotations, axis=1)
    if len(order) == 0 or not ((norms > 1e-6) & (norms < 1e6)).all():
        raise ValueError(f"{file}: expected poses with rotations as quaternions of length 1")
    return DrivenPath(
        file,
        table["timestamp_ns"][order].tolist(),
        Rotation.from_quat(rotations, scalar_first=True),
        np.stack([table[name][order] for name in _TRANSLATION], axis=1),
    )


def _read_boxes(file: Path) -> dict[int, list[tuple]]:
    """Category, track, pose in the frame of the car, and size, by time in nanoseconds."""
    columns = ("timestamp_ns", *_SIZE, *_QUATERNION, *_TRANSLATION)
    table = read_feather(file, columns, ("track_uuid", "category"))
    sizes = zip(*(table[name].tolist() for name in _SIZE), strict=True)
    found: dict[int, list[tuple]] = {}
    rows = zip(
        table["timestamp_ns"].tolist(),
        table["category"].tolist(),
        table["track_uuid"].tolist(),
        np.stack([table[name] for name in _QUATERNION], axis=1).tolist(),
        np.stack([table[name] for name in _TRANSLATION], axis=1).tolist(),
        sizes,
        strict=True,
    )
    for time, *row in rows:
        found.setdefault(time, []).append(tuple(row))
    return found


def _box(row: tuple, T_lidar_ego: Float[Tensor, "4 4"]) -> Box:
    category, track, rotation, position, size = row
    known = category in ARGOVERSE2.names
    return Box(
        name=category.replace("_", " ").lower(),
        category=category,
        label=ARGOVERSE2.names.index(category) if known else IGNORE,
        T_lidar_box=T_lidar_ego @ geometry.rigid_transform(rotation, position),
        size=size,
        track=track,
    )
