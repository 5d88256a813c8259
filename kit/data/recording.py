"""Base class of data sets whose keyframes are files on disk.

A format makes one record per keyframe (a `Frame`, or a subclass with the files that it needs) when
it is opened. It says how to read the scan of a record, and, as far as the format has them, cameras,
labels, pose and boxes. All of them are read when a keyframe is requested.
"""

import hashlib
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, SupportsIndex

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit.data.annotations import Box
from kit.data.classes import ClassMap
from kit.data.intensity import PublishedSensor, measured_sensor, read_some
from kit.data.keyframe import Camera, Keyframe, Sensor, position_of
from kit.data.scans import Scan
from kit.store.reading import open_regular

_MEASURED_ON = 8  # keyframes
_HEAD = 1 << 16  # bytes of a scan that identify it


@dataclass(frozen=True)
class Frame:
    """The record of one keyframe, small enough to pickle thousands of them.

    Attributes:
        token: unique name of the keyframe.
        scene: name of the recording that it belongs to.
        timestamp: microseconds; 0 if unknown.
        scan: path of the scan below the root.
    """

    token: str
    scene: str
    timestamp: int
    scan: str


def spaced(count: int, most: int = _MEASURED_ON) -> list[int]:
    """Return at most `most` evenly spaced indices of `count` keyframes, the first and last too."""
    return torch.linspace(0, count - 1, min(most, count)).round().long().tolist()


def nearest_in_time(times: Sequence[int], wanted: int) -> int | None:
    """The index of the time nearest to `wanted`, of two equally near ones the earlier.

    Args:
        times: in ascending order.
        wanted: in the same unit.

    Returns:
        None if there are no times.
    """
    after = bisect_left(times, wanted)
    near = [each for each in (after - 1, after) if 0 <= each < len(times)]
    return min(near, key=lambda each: abs(times[each] - wanted), default=None)


class Recording(ABC):
    """The keyframes of a data set on disk; a `Dataset`.

    A subclass implements `scan_of`, and those of `cameras_of`, `labels_of`, `pose_of` and
    `boxes_of` that its format has. It keeps small records only, so pickling it for worker processes
    is fast.

    Attributes:
        root: the folder that all paths of the records start from.
        name: used in messages and names of run folders.
        classes: the classes that labels index.
        frames: the record of every keyframe, in order of time within a scene.
        tokens: the token of every keyframe.
        scenes: the scene name of every keyframe.
        num_labelled: number of keyframes with labels.
        has_labels: whether at least one keyframe has labels.
        lidar: name of the lidar.
        missing: what the disk lacks, as counts by a description, e.g. {"images": 4}.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        classes: ClassMap,
        frames: Sequence[Any],
        *,
        lidar: str = "lidar",
        published: PublishedSensor | None = None,
        num_labelled: int = 0,
        missing: Mapping[str, int] | None = None,
    ):
        """Keep the records of the keyframes.

        Args:
            root, name, classes, lidar, num_labelled, missing: see the attributes.
            frames: records with the attributes of `Frame`; at least one.
            published: statistics of the lidar, used if the scans agree with them.
        """
        self.root, self.name, self.classes, self.lidar = root, name, classes, lidar
        self.frames, self._published = list(frames), published
        self.tokens = [frame.token for frame in self.frames]
        self.scenes = [frame.scene for frame in self.frames]
        self.num_labelled, self.has_labels = num_labelled, num_labelled > 0
        self.missing = dict(missing or {})
        self._tables: dict[Any, Any] = {}

    def table(self, key: Any, read: Callable[[], Any]) -> Any:
        """Return what `read` returns, and keep it by key; a copy in another process reads again."""
        if key not in self._tables:
            self._tables[key] = read()
        return self._tables[key]

    def __getstate__(self) -> dict:
        return vars(self) | {"_tables": {}}

    @abstractmethod
    def scan_of(self, frame: Any) -> Scan:
        """Read the scan of a record; an error names the file."""

    def cameras_of(self, frame: Any) -> dict[str, Camera]:
        """The cameras of a record whose images are on disk, by name."""
        return {}

    def labels_of(self, frame: Any, scan: Scan) -> Int[Tensor, " N"] | None:
        """Class indices of the points of the scan; None if unknown."""
        return None

    def pose_of(self, frame: Any) -> Float[Tensor, "4 4"] | None:
        """The pose T_global_lidar at the time of the scan; None if unknown."""
        return None

    def boxes_of(self, frame: Any) -> tuple[Box, ...]:
        """Annotated objects, in the lidar frame."""
        return ()

    def prepare(self, keyframes: Sequence[int] | None = None) -> None:  # noqa: B027
        """Do nothing: all files are on disk."""

    def content(self) -> str:
        """Identify the recording by the beginnings of up to 8 evenly spaced scans."""
        digest = hashlib.sha256(type(self).__name__.encode())
        for index in spaced(len(self)):
            with open_regular(self.root / self.frames[index].scan) as file:
                digest.update(file.read(_HEAD))
        return digest.hexdigest()[:32]

    @cached_property
    def sensor(self) -> Sensor:
        """The lidar; its intensities are measured on up to 8 evenly spaced keyframes.

        Broken scans among them are skipped. Published statistics are used instead if the scans
        agree with them.

        Raises:
            ValueError: all of these scans are broken.
        """
        frames = {str(self.root / self.frames[i].scan): self.frames[i] for i in spaced(len(self))}
        scans = read_some(frames, lambda file: self.scan_of(frames[file]).intensity)
        return measured_sensor(scans, self.lidar, self._published)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: SupportsIndex) -> Keyframe:
        """Read one keyframe; its images are decoded when they are requested.

        Raises:
            IndexError: there is no such keyframe.
            ValueError: a file is broken or contradicts another one; the message has its name.
        """
        frame = self.frames[position_of(index, len(self), self.name)]
        scan = self.scan_of(frame)
        return Keyframe(
            token=frame.token,
            scene=frame.scene,
            points=scan.points,
            intensity=scan.intensity,
            cameras=self.cameras_of(frame),
            sensor=self.sensor,
            classes=self.classes,
            labels=self.labels_of(frame, scan),
            timestamp=frame.timestamp,
            T_global_lidar=self.pose_of(frame),
            row_in_file=scan.row_in_file,
            num_rows_in_file=scan.num_rows,
            boxes=self.boxes_of(frame),
            time=scan.time,
        )

    def __repr__(self) -> str:
        scenes = len(set(self.scenes))
        missing = ", ".join(f"{count:,} {what}" for what, count in self.missing.items() if count)
        return (
            f"{type(self).__name__} {self.name}{self._also_here}\n"
            f"  keyframes  {len(self):,} in {scenes:,} scene{'s' * (scenes != 1)}\n"
            f"  labelled   {self.num_labelled:,}, {self.classes.name}\n"
            f"  missing    {missing or 'nothing'}"
        )

    _also_here = ""  # what else the root holds, for the first line of `repr`


class FilesOnDisk:
    """The set of files below a root; lists each folder once, as stat is slow on network drives."""

    def __init__(self, root: Path):
        self.root = root
        self._listed: dict[str, set[str]] = {}

    def __contains__(self, file: str) -> bool:
        folder, _, name = file.rpartition("/")
        return name in self.names(folder)

    def names(self, folder: str) -> set[str]:
        """Names of the entries of a folder below the root; none if it is missing."""
        if folder not in self._listed:
            path = self.root / folder
            entries = path.iterdir() if path.is_dir() else ()
            self._listed[folder] = {entry.name for entry in entries}
        return self._listed[folder]
