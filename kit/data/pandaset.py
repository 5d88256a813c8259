"""PandaSet in its own layout: pandas pickles in the world frame, two lidars, six cameras.

    002/lidar/08.pkl.gz                  x, y, z, i, t, d: world frame, intensity, seconds, lidar
    002/lidar/poses.json                 poses of the car, one for each scan; needed
    002/lidar/timestamps.json            seconds
    002/camera/front_camera/08.jpg       image; with intrinsics.json and poses.json beside it
    002/annotations/semseg/08.pkl.gz     label id of every row of the scan
    002/annotations/cuboids/08.pkl.gz    boxes

The pickles are read without executing anything, see `data_frames.py`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit import geometry
from kit.data.annotations import Box
from kit.data.class_maps import PANDASET
from kit.data.classes import IGNORE
from kit.data.data_frames import read_data_frame
from kit.data.intensity import PANDAR64, PANDARGT
from kit.data.keyframe import Camera, Dataset
from kit.data.limits import MAX_TIMESTAMP
from kit.data.point_times import LONGEST
from kit.data.recording import FilesOnDisk, Frame, Recording
from kit.data.scans import Scan, valid_scan
from kit.data.untrusted import numbers, quaternion, shown
from kit.store.image_reader import read_image_size
from kit.store.reading import read_regular

LOOKS_FOR = "lidar/*.pkl.gz, here or in sub-folders such as 002 (PandaSet)"
LIDARS = {"pandar64": (0, PANDAR64), "pandargt": (1, PANDARGT), "both": (None, None)}
# The Pandar64 in the frame of the poses (x right, y forward, z up, origin on the ground). Derived
# from the poses of 12 keyframes of sequence 002, where it is constant; all sequences have one car.
T_EGO_LIDAR = geometry.rigid_transform(
    [0.9998432055851202, 0.007833395051795115, -0.0001353515706459578, 0.015880297452688083],
    [0.0006515886727670706, 0.7985228804501219, 1.8469539416606273],
)
# Names of boxes: those of the label ids 1 to 42.
_NAMES = (
    "Smoke|Exhaust|Spray or rain|Reflection|Vegetation|Ground|Road|Lane Line Marking|"
    "Stop Line Marking|Other Road Marking|Sidewalk|Driveway|Car|Pickup Truck|Medium-sized Truck|"
    "Semi-truck|Towed Object|Motorcycle|Other Vehicle - Construction Vehicle|"
    "Other Vehicle - Uncommon|Other Vehicle - Pedicab|Emergency Vehicle|Bus|"
    "Personal Mobility Device|Motorized Scooter|Bicycle|Train|Trolley|Tram / Subway|Pedestrian|"
    "Pedestrian with Object|Animals - Bird|Animals - Other|Pylons|Road Barriers|Signs|Cones|"
    "Construction Signs|Temporary Construction Barriers|Rolling Containers|Building|"
    "Other Static Object"
).split("|")
_BOX = ("position.x", "position.y", "position.z", "yaw")
_SIZE = ("dimensions.y", "dimensions.x", "dimensions.z")  # length, width, height


def recognises(source: str) -> bool:
    """Return whether `source` is a sequence of PandaSet, or a folder with sequences."""
    return bool(_sequences_of(Path(source)))


def open(source: str, **options) -> Dataset:
    """Open PandaSet; `options` are those of `PandaSet`."""
    return PandaSet(source, **options)


def _sequences_of(root: Path) -> dict[str, Path]:
    """The folders of sequences by name."""
    if _is_sequence(root):
        return {root.resolve().name: root}
    if not root.is_dir():
        return {}
    return {path.name: path for path in sorted(root.iterdir()) if _is_sequence(path)}


def _is_sequence(folder: Path) -> bool:
    lidar = folder / "lidar"
    return lidar.is_dir() and any(_number(path.name) for path in lidar.iterdir())


def _number(name: str) -> str:
    """ "08" of the file 08.pkl.gz or 08.pkl; "" of other files."""
    stem, _, ending = name.partition(".")
    return stem if stem.isdecimal() and ending in ("pkl", "pkl.gz") else ""


@dataclass(frozen=True)
class PandaSetFrame(Frame):
    """A frame of a sequence.

    Attributes:
        sequence: its folder below the root, with a / at the end; "" for the root itself.
        index: of its poses and time stamps.
        images: file by camera, below the root.
        semseg, cuboids: files, below the root; None without one.
    """

    sequence: str
    index: int
    images: dict[str, str]
    semseg: str | None
    cuboids: str | None


class PandaSet(Recording):
    """The frames of PandaSet; a `Dataset`.

    Points are taken from the world frame to the frame of the Pandar64 by the poses: x right, y
    forward, z up. The points of the PandarGT are given in the same frame. `row_in_file` counts the
    rows of both lidars. `Keyframe.time` holds the time of each point; without lidar/timestamps.json
    it is None, and `Keyframe.timestamp` is 0.

    Source: P. Xiao et al., ITSC 2021; the classes are ScaLR's (arXiv:2310.17504).
    """

    def __init__(self, root: str | Path, lidar: str = "pandar64"):
        """List the files.

        Args:
            root: a folder with sequences such as 002, or one sequence.
            lidar: "pandar64" (turns), "pandargt" (looks forward), or "both".

        Raises:
            FileNotFoundError: there is no sequence, or a sequence lacks the poses of the lidar.
            ValueError: the lidar is unknown, or a file of time stamps is broken.
        """
        root = Path(root).expanduser()
        if lidar not in LIDARS:
            raise ValueError(f"lidar must be one of {', '.join(LIDARS)}, got {shown(lidar)}")
        sequences = _sequences_of(root)
        if not sequences:
            raise FileNotFoundError(f"{root}: no sequence with lidar/*.pkl.gz")
        disk = FilesOnDisk(root)
        frames = [f for name, path in sequences.items() for f in _frames_of(disk, name, path)]
        cameras = {(frame.sequence, name) for frame in frames for name in frame.images}
        self._calibrated = {each for each in cameras if _is_calibrated(disk, *each)}
        labelled = sum(frame.semseg is not None for frame in frames)
        self._number_of_lidar, published = LIDARS[lidar]
        super().__init__(
            root,
            root.resolve().name,
            PANDASET,
            frames,
            lidar=lidar if published is None else published.sensor.name,
            published=published,
            num_labelled=labelled,
            missing={
                "keyframes without images": sum(not frame.images for frame in frames),
                "cameras without intrinsics.json or poses.json": len(cameras)
                - len(self._calibrated),
                "label files": len(frames) - labelled,
                "time stamps": sum(not frame.timestamp for frame in frames),
                "box files": sum(frame.cuboids is None for frame in frames),
            },
        )

    def scan_of(self, frame: PandaSetFrame) -> Scan:
        """Read the points of the chosen lidar and take them to the frame of the Pandar64."""
        file = self.root / frame.scan
        table = _read_table(file, ("x", "y", "z", "i", "d", "t"))
        world = torch.from_numpy(np.stack([table[name] for name in "xyz"], axis=1))
        T_lidar_world = geometry.invert_rigid(self.pose_of(frame))
        points = geometry.transform_points(T_lidar_world, world).float()
        chosen = None
        if self._number_of_lidar is not None:
            chosen = torch.from_numpy(table["d"] == self._number_of_lidar)
        intensity = torch.from_numpy(table["i"].astype(np.float32))
        return valid_scan(points, intensity, file, chosen, _time_of(table, frame, file))

    def labels_of(self, frame: PandaSetFrame, scan: Scan) -> Int[Tensor, " N"] | None:
        """Classes of the points; None without a label file."""
        if frame.semseg is None:
            return None
        file = self.root / frame.semseg
        raw = _read_table(file, ("class",))["class"].astype(np.int64)
        if len(raw) != scan.num_rows:
            raise ValueError(f"{file}: {len(raw)} labels for the {scan.num_rows} rows of its scan")
        return self.classes.from_raw(torch.from_numpy(raw)[scan.row_in_file], str(file))

    def pose_of(self, frame: PandaSetFrame) -> Float[Tensor, "4 4"]:
        """T_global_lidar from lidar/poses.json."""
        return self._pose(f"{frame.sequence}lidar", frame.index) @ T_EGO_LIDAR

    def cameras_of(self, frame: PandaSetFrame) -> dict[str, Camera]:
        """The cameras with an image, intrinsics and poses. Images are without distortion."""
        cameras, T_global_lidar = {}, self.pose_of(frame)
        for name, image in frame.images.items():
            if (frame.sequence, name) not in self._calibrated:
                continue
            folder = f"{frame.sequence}camera/{name}"
            T_cam_global = geometry.invert_rigid(self._pose(folder, frame.index))
            file, image_file = self.root / folder / "intrinsics.json", self.root / image
            size = read_image_size(image_file)
            K = self.table(file, lambda file=file: _intrinsics(file))
            try:
                cameras[name] = Camera(name, T_cam_global @ T_global_lidar, K, size, image_file)
            except ValueError as error:
                raise ValueError(f"{file}, with the image {image_file}: {error}") from error
        return cameras

    def boxes_of(self, frame: PandaSetFrame) -> tuple[Box, ...]:
        """The boxes. Where both lidars have a box of one object, that of the chosen lidar."""
        if frame.cuboids is None:
            return ()
        file = self.root / frame.cuboids
        table = _read_table(file, (*_BOX, *_SIZE), ("uuid", "label"))
        sensors = table.get("cuboids.sensor_id", np.full(len(table["label"]), -1))
        wanted = {-1, self._number_of_lidar} if self._number_of_lidar is not None else {-1, 0}
        T_lidar_world = geometry.invert_rigid(self.pose_of(frame))
        chosen = [row for row, sensor in enumerate(sensors.tolist()) if sensor in wanted]
        try:
            return tuple(_box(table, row, T_lidar_world) for row in chosen)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error

    def _pose(self, folder: str, index: int) -> Float[Tensor, "4 4"]:
        """The pose T_global_sensor number `index` in the poses.json of a folder."""
        file = self.root / folder / "poses.json"
        poses = self.table(file, lambda: _read_list(file))
        if index >= len(poses):
            raise ValueError(f"{file}: {len(poses)} poses, but the frame {index:02d} needs one")
        try:
            position = numbers(3, geometry.MAX_TRANSLATION, " m")(_values(poses[index], "xyz", 0))
            return geometry.rigid_transform(quaternion(_values(poses[index], "wxyz", 1)), position)
        except ValueError as error:
            raise ValueError(f"{file}: entry {index}: {error}") from error


def _time_of(
    table: Mapping[str, np.ndarray], frame: PandaSetFrame, file: Path
) -> Float[Tensor, " R"] | None:
    """Seconds of every row relative to the time stamp of the frame; None if that is unknown."""
    if not frame.timestamp:
        return None
    time = table["t"] - frame.timestamp / 1e6
    if np.abs(time[np.isfinite(time)]).max(initial=0) > LONGEST:
        raise ValueError(
            f"{file}: column 't': the times of points are up to {np.nanmax(np.abs(time)):,.0f} s "
            f"from the time stamp in timestamps.json, at most {LONGEST:.0f} s are expected"
        )
    return torch.from_numpy(time.astype(np.float32))


def _values(pose: Any, names: str, part: int) -> list | None:
    """The values of "position" or "heading" of a pose; None if one is missing."""
    content = pose.get(("position", "heading")[part]) if isinstance(pose, dict) else None
    return [content.get(name) for name in names] if isinstance(content, dict) else None


def _frames_of(disk: FilesOnDisk, name: str, folder: Path) -> list[PandaSetFrame]:
    """The frames of one sequence, in order of time."""
    start = "" if folder == disk.root else f"{folder.name}/"
    if "poses.json" not in disk.names(f"{start}lidar"):
        raise FileNotFoundError(
            f"{folder / 'lidar' / 'poses.json'}: missing. The points are in the world frame, "
            "and only these poses take them to the lidar frame"
        )
    times = _timestamps(folder / "lidar" / "timestamps.json")
    cameras = sorted(disk.names(f"{start}camera"))
    frames = []
    for scan in sorted(file for file in disk.names(f"{start}lidar") if _number(file)):
        number = _number(scan)
        images = {camera: f"{start}camera/{camera}/{number}.jpg" for camera in cameras}
        annotated = {
            kind: next(
                (
                    file
                    for ending in (".pkl.gz", ".pkl")
                    if (file := f"{start}annotations/{kind}/{number}{ending}") in disk
                ),
                None,
            )
            for kind in ("semseg", "cuboids")
        }
        frames.append(
            PandaSetFrame(
                token=f"{name}_{number}",
                scene=name,
                timestamp=times[int(number)] if int(number) < len(times) else 0,
                scan=f"{start}lidar/{scan}",
                sequence=start,
                index=int(number),
                images={camera: file for camera, file in images.items() if file in disk},
                **annotated,
            )
        )
    return frames


def _is_calibrated(disk: FilesOnDisk, sequence: str, camera: str) -> bool:
    return {"intrinsics.json", "poses.json"} <= disk.names(f"{sequence}camera/{camera}")


def _read_json(file: Path) -> Any:
    try:
        return json.loads(read_regular(file))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not valid JSON ({error}). Is the download complete?") from error


def _read_list(file: Path) -> list:
    content = _read_json(file)
    if not isinstance(content, list):
        raise ValueError(f"{file}: expected a list, got a {type(content).__name__}")
    return content


def _timestamps(file: Path) -> list[int]:
    """Microseconds by frame; none without the file."""
    if not file.is_file():
        return []
    seconds = _read_list(file)
    good = all(isinstance(s, int | float) and 0 <= s <= MAX_TIMESTAMP / 1e6 for s in seconds)
    if not good:
        raise ValueError(f"{file}: expected a list of seconds")
    return [round(1e6 * value) for value in seconds]


def _intrinsics(file: Path) -> Float[Tensor, "3 3"]:
    content = _read_json(file)
    values = (
        [content.get(name) for name in ("fx", "fy", "cx", "cy")]
        if isinstance(content, Mapping)
        else None
    )
    try:
        fx, fy, cx, cy = numbers(4, 1e9, " px")(values)
    except ValueError as error:
        raise ValueError(f"{file}: expected fx, fy, cx and cy: {error}") from error
    return torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)


def _read_table(
    file: Path, columns: tuple[str, ...], texts: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Read a data frame that has columns of numbers, and columns of texts."""
    table = read_data_frame(file)
    if absent := [name for name in (*columns, *texts) if name not in table]:
        raise ValueError(
            f"{file}: expected the columns {', '.join((*columns, *texts))}, without "
            f"{', '.join(absent)}; found {', '.join(map(str, table))[:200]}"
        )
    wrong = [name for name in columns if table[name].dtype.kind not in "fiu"]
    wrong += [name for name in texts if not all(isinstance(v, str) for v in table[name].tolist())]
    if wrong:
        raise ValueError(
            f"{file}: column {wrong[0]!r}: expected {'numbers' if wrong[0] in columns else 'texts'}"
        )
    return table


def _box(table: dict[str, np.ndarray], row: int, T_lidar_world: Float[Tensor, "4 4"]) -> Box:
    """Make a box; PandaSet's yaw is that of its width, x."""
    x, y, z, yaw = (float(table[name][row]) for name in _BOX)
    if not all(map(math.isfinite, (x, y, z, yaw))):
        raise ValueError(f"row {row}: the position or yaw of the box is not finite")
    c, s = math.cos(yaw), math.sin(yaw)
    T_world_box = torch.tensor(
        [[-s, -c, 0, x], [c, -s, 0, y], [0, 0, 1, z], [0, 0, 0, 1]], dtype=torch.float64
    )
    category = table["label"][row]
    label = IGNORE
    if category in _NAMES:
        label = PANDASET.class_of_raw[_NAMES.index(category) + 1]
    return Box(
        name=category.lower(),
        category=category,
        label=label,
        T_lidar_box=T_lidar_world @ T_world_box,
        size=tuple(float(table[name][row]) for name in _SIZE),
        track=table["uuid"][row],
    )
