"""Logs of py123d: Waymo, KITTI-360, nuPlan and other data sets that were converted with it.

py123d is an optional package. Points of its logs are in the frame of the IMU (x forward, y left,
z up), which is the lidar frame of these keyframes.

Source: py123d 0.7 (https://github.com/kesai-labs/py123d), `SceneAPI`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit import geometry
from kit.data.class_maps import numbered_classes
from kit.data.classes import NUSCENES, ClassMap
from kit.data.keyframe import Camera, Dataset
from kit.data.point_times import has_position, seconds_of
from kit.data.recording import Frame, Recording
from kit.data.scans import Scan, valid_scan
from kit.lens import PINHOLE, Lens, make_lens

LOOKS_FOR = "logs of py123d (folders with sync.arrow)"
_DEPTH = 4  # of folders below the root: logs/<split>/<log>/sync.arrow
_MERGED, _TOP = "lidar_merged", "lidar_top"


def recognises(source: str) -> bool:
    """Return whether there are logs of py123d at or below `source`."""
    return Path(source).is_dir() and _has_log(Path(source), _DEPTH)


def _has_log(folder: Path, depth: int) -> bool:
    """Whether there is a log at or below a folder; looks into a few sub-folders of each only."""
    if (folder / "sync.arrow").is_file():
        return True
    below = islice((each for each in folder.iterdir() if each.is_dir()), 3 if depth > 1 else 0)
    return any(_has_log(each, depth - 1) for each in below)


def open(source: str, **options) -> Dataset:
    """Open the logs at or below a folder; `options` are those of `Py123dLogs`."""
    return Py123dLogs(Path(source), **options)


def _logs(folder: Path, depth: int) -> list[Path]:
    """Folders of logs at or below a folder, sorted."""
    if (folder / "sync.arrow").is_file():
        return [folder]
    below = sorted(each for each in folder.iterdir() if each.is_dir()) if depth > 1 else []
    return [log for each in below for log in _logs(each, depth - 1)]


def _scenes(logs: Sequence[Path]) -> list[Any]:
    """One scene for each log, from its beginning to its end."""
    try:
        from py123d.api.scene.arrow.arrow_scene_builder import ArrowSceneBuilder
        from py123d.api.scene.scene_filter import SceneFilter
        from py123d.common.execution import SequentialExecutor
    except ImportError as error:
        raise ImportError(
            f"{logs[0]}: a log of py123d, which is read with that package. Install it with "
            f"pip install -e '.[py123d]' in the folder of the kit ({error})"
        ) from error
    found = []
    for log in logs:
        builder = ArrowSceneBuilder(logs_root=log.parent.parent, maps_root=log.parent.parent)
        wanted = SceneFilter(
            split_names=[log.parent.name], log_names=[log.name], iteration_threshold=1e9
        )
        found += builder.get_scenes(wanted, SequentialExecutor())
    return found


@dataclass(frozen=True)
class LogFrame(Frame):
    """A moment of a log: number of the scene, and of the iteration in it."""

    number: int
    iteration: int


class Py123dLogs(Recording):
    """The keyframes of logs of py123d; a `Dataset`.

    Attributes:
        other_cameras: cameras that are left out, because the kit has no model of their lenses.
    """

    def __init__(self, root: Path, *, lidar: str | None = None):
        """Find the logs and their times.

        Args:
            root: folder at or above logs.
            lidar: name of a lidar in py123d, e.g. "lidar_top". None: all lidars of the car
                together, else the one on top, else the first.

        Raises:
            ImportError: py123d is not installed.
            ValueError: a log has no lidar of that name.
        """
        self._paths = _logs(root, _DEPTH)
        self._open = _scenes(self._paths)
        if not self._open:
            raise ValueError(f"{root}: py123d finds no scene in {len(self._paths)} logs")
        frames = [
            LogFrame(f"{scene.log_name}_{i:06d}", scene.log_name, _microseconds(scene, i),
                     "sync.arrow", number, i)
            for number, scene in enumerate(self._open)
            for i in range(scene.number_of_iterations)
        ]  # fmt: skip
        self._lidar_id = _chosen_lidar(self._open[0], lidar, root)
        metadatas = self._open[0].get_camera_metadatas().values()
        self.other_cameras = [m.camera_name for m in metadatas if _model(m) is None]
        labels = self._label_class()
        super().__init__(
            self._paths[0],
            root.resolve().name,
            NUSCENES if labels is None else _classes(labels),
            frames,
            lidar=self._lidar_id,
            num_labelled=0 if labels is None else len(frames),
            missing={"cameras with an unknown lens (left out)": len(self.other_cameras)},
        )

    def __getstate__(self) -> dict:
        return {**vars(self), "_open": None}

    def _scene(self, frame: LogFrame) -> Any:
        """The scene of a frame; every process opens the logs again."""
        if self._open is None:
            self._open = _scenes(self._paths)
        return self._open[frame.number]

    def _label_class(self) -> Any:
        """The enumeration of the classes of points; None without labels."""
        metadatas = self._open[0].get_lidar_metadatas().values()
        found = (getattr(each, "segmentation_label_class", None) for each in metadatas)
        return next((each for each in found if each is not None), None)

    def scan_of(self, frame: LogFrame) -> Scan:
        """Read the scan of a frame, in the frame of the IMU."""
        lidar = self._lidar_at(frame)
        points = torch.from_numpy(np.array(lidar.point_cloud_3d, np.float32))
        intensity = torch.zeros(len(points))
        if lidar.intensity is not None:
            intensity = torch.from_numpy(np.array(lidar.intensity, np.float32))
        source = f"{self._paths[frame.number]}: {frame.token}"
        return valid_scan(points, intensity, source, time=_times(lidar, points, frame))

    def _lidar_at(self, frame: LogFrame) -> Any:
        lidar = self._scene(frame).get_lidar_at_iteration(frame.iteration, self._lidar_id)
        if lidar is None:
            raise ValueError(f"{self._paths[frame.number]}: no scan at {frame.token}")
        return lidar

    def labels_of(self, frame: LogFrame, scan: Scan) -> Int[Tensor, " N"] | None:
        """Class indices of the points; None if this scan has no labels."""
        semantic = self._lidar_at(frame).semantic if self.has_labels else None
        if semantic is None:
            return None
        raw = torch.from_numpy(np.array(semantic, np.int64))[scan.row_in_file]
        return self.classes.from_raw(raw, f"{self._paths[frame.number]}: {frame.token}")

    def pose_of(self, frame: LogFrame) -> Float[Tensor, "4 4"] | None:
        """The pose of the IMU in the global frame."""
        state = self._scene(frame).get_ego_state_se3_at_iteration(frame.iteration)
        return None if state is None else _matrix(state.imu_se3)

    def cameras_of(self, frame: LogFrame) -> dict[str, Camera]:
        """The cameras with an image, with the motion between scan and image."""
        scene, T_global_lidar, cameras = self._scene(frame), self.pose_of(frame), {}
        for which, metadata in scene.get_camera_metadatas().items():
            model = _model(metadata)
            taken = model and scene.get_camera_at_iteration(frame.iteration, which)
            if not taken:
                continue
            T_lidar_cam = _matrix(metadata.camera_to_imu_se3)
            if T_global_lidar is not None:
                T_global_cam = _matrix(taken.camera_to_global_se3)
                T_lidar_cam = geometry.invert_rigid(T_global_lidar) @ T_global_cam
            cameras[metadata.camera_name] = Camera(
                name=metadata.camera_name,
                T_cam_lidar=geometry.invert_rigid(T_lidar_cam),
                K=model[0],
                image_size=(int(metadata.height), int(metadata.width)),
                source=partial(self._pixels, frame, which),
                lens=model[1],
            )
        return cameras

    def _pixels(self, frame: LogFrame, which: Any) -> np.ndarray:
        return self._scene(frame).get_camera_at_iteration(frame.iteration, which).rgb_image

    def content(self) -> str:
        """Return the names of the logs: they identify a recording."""
        return " ".join(path.name for path in self._paths)


def _matrix(pose: Any) -> Float[Tensor, "4 4"]:
    return torch.from_numpy(np.array(pose.transformation_matrix, np.float64))


def _times(lidar: Any, points: Float[Tensor, "R 3"], frame: LogFrame) -> Tensor | None:
    """Seconds of every point relative to the frame; None if the log has no times of points."""
    if lidar.timestamps is None:
        return None
    try:
        since = np.asarray(lidar.timestamps, np.int64).reshape(-1) - frame.timestamp
        return seconds_of(since, has_position(points), 0, "us")
    except ValueError:
        return None


def _microseconds(scene: Any, iteration: int) -> int:
    return int(scene.get_timestamp_at_iteration(iteration).time_us)


def _chosen_lidar(scene: Any, wanted: str | None, root: Path) -> str:
    """The name of the lidar to read."""
    names = [each.name.lower() for each in scene.get_lidar_metadatas()]
    if wanted is None:
        has_merged = len(names) > 1 and scene.get_lidar_at_iteration(0, _MERGED) is not None
        wanted = _MERGED if has_merged else _TOP if _TOP in names else next(iter(names), None)
    if wanted is None or wanted not in (*names, _MERGED):
        raise ValueError(f"{root}: no lidar {wanted!r}; there are {', '.join(names) or 'none'}")
    return wanted


def _classes(labels: Any) -> ClassMap:
    """Every label is a class, by its name; those that py123d ignores are not scored."""
    ignored = {member for member in labels if member.to_default().name == "IGNORE"}
    names = {int(m): None if m in ignored else m.name.lower() for m in labels}
    return numbered_classes(names, "py123d", labels.__name__)


def _pinhole(metadata: Any) -> tuple[Float[Tensor, "3 3"], Lens] | None:
    if metadata.intrinsics is None:
        return None
    found, distortion = metadata.intrinsics, metadata.distortion
    K = [[found.fx, found.skew, found.cx], [0, found.fy, found.cy], [0, 0, 1]]
    lens = PINHOLE
    if distortion is not None and not metadata.is_undistorted:
        names = ("k1", "k2", "p1", "p2", "k3")
        lens = make_lens("brown-conrady", [float(getattr(distortion, name)) for name in names])
    return torch.tensor(K, dtype=torch.float64), lens


def _mei(metadata: Any) -> tuple[Float[Tensor, "3 3"], Lens] | None:
    found, distortion = metadata.projection, metadata.distortion
    if found is None or metadata.mirror_parameter is None:
        return None
    K = [[found.gamma1, 0, found.u0], [0, found.gamma2, found.v0], [0, 0, 1]]
    names = ("k1", "k2", "p1", "p2")
    rest = [0.0] * 4 if distortion is None else [float(getattr(distortion, n)) for n in names]
    lens = make_lens("mei", [float(metadata.mirror_parameter), *rest])
    return torch.tensor(K, dtype=torch.float64), lens


_MODELS: dict[str, Callable] = {"PINHOLE": _pinhole, "FISHEYE_MEI": _mei}


def _model(metadata: Any) -> tuple[Float[Tensor, "3 3"], Lens] | None:
    """K and the lens of a camera; None if its model is not known."""
    reader = _MODELS.get(metadata.camera_model.name)
    return None if reader is None else reader(metadata)
