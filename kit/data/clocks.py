"""Clock offsets: correct the time stamps of cameras whose clock differs from the lidar's.

`T_cam_lidar` includes the motion of the car between the time stamps of scan and image. If a camera
has another clock, its image was taken earlier or later than its time stamp says, and the car was at
another place.
"""

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, SupportsIndex, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit import geometry
from kit.data.keyframe import Camera, Dataset, Keyframe
from kit.data.wrapped import Wrapped

MAX_OFFSET = 10.0  # seconds
_CHECKED = 5  # keyframes in which the named cameras are looked for
LONGEST_GAP = 2.0  # seconds between two poses; the car may turn in between


@dataclass(frozen=True, eq=False)
class Poses:
    """Poses of the lidar by time.

    Attributes:
        timestamps: (P,) int64 microseconds.
        T_global_lidar: (P, 4, 4) float64.
    """

    timestamps: Int[Tensor, " P"]
    T_global_lidar: Float[Tensor, "P 4 4"]

    def at(self, timestamp: float | int) -> Float[Tensor, "4 4"]:
        """The pose at a time in microseconds.

        Between two poses, the position is interpolated linearly and the rotation on the shortest
        arc. Outside, the motion of the two nearest poses is continued.

        Raises:
            ValueError: there are fewer than two times, the two nearest poses are more than
                `LONGEST_GAP` apart, or they are farther than that from the time.
        """
        times, first = self.timestamps.unique(return_inverse=True)
        if len(times) < 2:
            raise ValueError(f"expected the poses of at least two times, got {len(times)}")
        place = {int(number): row for row, number in enumerate(first)}
        after = int(torch.searchsorted(times, timestamp, right=True).clamp(1, len(times) - 1))
        gap = float(times[after] - times[after - 1]) / 1e6
        if gap > LONGEST_GAP:
            raise ValueError(f"the nearest poses are {gap:.1f} s apart, at most {LONGEST_GAP:.0f}")
        outside = max(float(times[0]) - timestamp, timestamp - float(times[-1])) / 1e6
        if outside > LONGEST_GAP:
            raise ValueError(
                f"the time is {outside:.1f} s outside of the poses, at most {LONGEST_GAP:.0f}"
            )
        ratio = (timestamp - float(times[after - 1])) / 1e6 / gap
        return geometry.interpolate_rigid(
            self.T_global_lidar[place[after - 1]], self.T_global_lidar[place[after]], ratio
        )


@runtime_checkable
class HasPoses(Protocol):
    """A data set that knows where the lidar was between its keyframes."""

    def poses(self, index: SupportsIndex) -> Poses:
        """Poses around the time of keyframe `index`."""


def find_poses(dataset: Dataset, index: SupportsIndex) -> Poses:
    """Find the poses of the lidar around a keyframe.

    Args:
        dataset: with the method `poses`; otherwise the poses of the keyframe and its two neighbours
            in the scene are used.
        index: of the keyframe.
    """
    if isinstance(dataset, HasPoses):
        return dataset.poses(index)
    position, scenes = operator.index(index) % len(dataset), dataset.scenes
    near = (each for each in (position - 1, position, position + 1) if 0 <= each < len(dataset))
    keyframes = [dataset[each] for each in near if scenes[each] == scenes[position]]
    known = [keyframe for keyframe in keyframes if keyframe.T_global_lidar is not None]
    T = [keyframe.T_global_lidar for keyframe in known]
    return Poses(
        torch.tensor([keyframe.timestamp for keyframe in known], dtype=torch.int64),
        torch.stack(T) if T else torch.zeros(0, 4, 4, dtype=torch.float64),
    )


def shift_camera(camera: Camera, keyframe: Keyframe, poses: Poses, offset: float) -> Camera:
    """A camera whose image was taken `offset` seconds after its time stamp.

    The car is taken to move evenly between the time of the scan and that of the image.

    Raises:
        ValueError: the poses do not say where the lidar was then.
    """
    T_now, T_then = (poses.at(keyframe.timestamp + 1e6 * shift) for shift in (0.0, offset))
    moved = geometry.invert_rigid(T_then) @ T_now
    return replace(camera, T_cam_lidar=camera.T_cam_lidar @ moved)


def _check_names(dataset: Dataset, offsets: Mapping[str, float]) -> None:
    """Check that the cameras exist; images may be missing on disk, so several keyframes count."""
    known: set[str] = set()
    for index in range(min(len(dataset), _CHECKED)):
        known |= set(dataset[index].cameras)
        if known >= set(offsets):
            return
    unknown = sorted(set(offsets) - known)
    raise ValueError(
        f"clock_offsets: {dataset.name} has no camera {', '.join(unknown)}; it has "
        f"{', '.join(sorted(known)) or 'none'}"
    )


class ClockOffsets(Wrapped):
    """A data set with corrected clocks of cameras; a `Dataset`.

    Args:
        dataset: knows poses by time, see `find_poses`.
        offsets: seconds to add to the time stamps of a camera to get the clock of the lidar, by
            camera name. A camera that was triggered 50 ms later than its time stamps say has 0.05.

    Raises:
        ValueError: an offset is not a number of at most 10 s, or no keyframe among the first has a
            camera of that name; or, when a keyframe is read, the poses of the lidar around it are
            not known.
    """

    def __init__(self, dataset: Dataset, offsets: Mapping[str, float]):
        for name, offset in offsets.items():
            if not (math.isfinite(offset) and abs(offset) <= MAX_OFFSET):
                raise ValueError(
                    f"clock_offsets[{name!r}]: expected seconds, at most {MAX_OFFSET:.0f}, got "
                    f"{offset}; are these milliseconds?"
                )
        super().__init__(dataset)
        self.offsets = dict(offsets)
        _check_names(dataset, offsets)

    def content(self) -> str:
        """Identify the content and the offsets."""
        return f"{super().content()} clock_offsets {sorted(self.offsets.items())}"

    def sweeps(self, index: SupportsIndex, count: int) -> list:
        """The turns before a keyframe; they have no images."""
        from kit.data.sweeps import find_sweeps

        return find_sweeps(self.dataset, index, count)

    def poses(self, index: SupportsIndex) -> Poses:
        """Poses of the lidar around the time of a keyframe."""
        return find_poses(self.dataset, index)

    def __getitem__(self, index: SupportsIndex) -> Keyframe:
        keyframe = self.dataset[index]
        poses = find_poses(self.dataset, index)
        cameras = dict(keyframe.cameras)
        for name, offset in self.offsets.items():
            if name not in cameras:
                continue  # its image is not on disk
            try:
                cameras[name] = shift_camera(cameras[name], keyframe, poses, offset)
            except ValueError as error:
                raise ValueError(
                    f"keyframe {keyframe.token}: clock_offsets need to know where the lidar was "
                    f"{offset} s after the scan: {error}"
                ) from error
        return replace(keyframe, cameras=cameras)

    def __repr__(self) -> str:
        listed = ", ".join(f"{name} {offset:+.3f} s" for name, offset in self.offsets.items())
        return f"{self.dataset!r}\n  clocks     {listed}"
