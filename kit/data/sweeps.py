"""Sweeps: turns of the lidar before a keyframe, brought into the frame of the keyframe.

A data set may offer the method `sweeps(index, count)`: the turns between its keyframes, which have
no labels. If it has none, its earlier keyframes take their place, as in KITTI odometry, where every
turn is a keyframe.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, SupportsIndex, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kit import geometry
from kit.data.classes import IGNORE
from kit.data.clocks import Poses, find_poses
from kit.data.keyframe import Dataset, Keyframe
from kit.data.limits import is_valid, to_tensor
from kit.data.wrapped import Wrapped

MOST_TRIED = 20  # keyframes in which sweeps are looked for, before a data set is refused


@dataclass(frozen=True, eq=False)
class Sweep:
    """One turn of the lidar with its pose.

    Attributes:
        points: (N, 3) float32, metres, in the lidar frame at `timestamp`.
        intensity: (N,) float32.
        T_global_lidar: (4, 4) float64 pose of the lidar at `timestamp`.
        timestamp: microseconds, on the clock of the keyframes.
        time: (N,) float32 seconds of each point relative to `timestamp`; None if unknown: every
            point then has the time of the turn.
        labels: (N,) int64 classes of the data set; None: the turn has no labels, as usual.

    Raises:
        ValueError: lengths or shapes differ, or the pose is not rigid.
    """

    points: Float[Tensor, "N 3"]
    intensity: Float[Tensor, " N"]
    T_global_lidar: Float[Tensor, "4 4"]
    timestamp: int
    time: Float[Tensor, " N"] | None = None
    labels: Int[Tensor, " N"] | None = None

    def __post_init__(self):
        of = f"of the sweep at {self.timestamp}"
        count = len(self.points)
        wanted = {
            "points": (torch.float32, (count, 3)),
            "intensity": (torch.float32, (count,)),
            "T_global_lidar": (torch.float64, (4, 4)),
            "time": (torch.float32, (count,)),
            "labels": (torch.int64, (count,)),
        }
        for name, (dtype, shape) in wanted.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, to_tensor(value, dtype, shape, f"{name} {of}"))
        geometry.check_rigid(self.T_global_lidar, f"T_global_lidar {of}")


@runtime_checkable
class HasSweeps(Protocol):
    """A data set with unlabelled turns between its keyframes."""

    def sweeps(self, index: SupportsIndex, count: int) -> list[Sweep]:
        """Up to `count` turns before keyframe `index`, the latest first; none is normal."""


def find_sweeps(dataset: Dataset, index: SupportsIndex, count: int) -> list[Sweep]:
    """Find the turns of the lidar before a keyframe.

    Args:
        dataset: with the method `sweeps`; otherwise its earlier keyframes of the same scene that
            have poses are the sweeps.
        index: of the keyframe.
        count: at most this many.

    Returns:
        the latest first. Fewer than `count`, or none, if the data set has no more.
    """
    position = operator.index(index) % len(dataset)
    if isinstance(dataset, HasSweeps):
        return dataset.sweeps(position, count)
    found: list[Sweep] = []
    for earlier in range(position - 1, -1, -1):
        if len(found) == count or dataset.scenes[earlier] != dataset.scenes[position]:
            break
        keyframe = dataset[earlier]
        if keyframe.T_global_lidar is not None:
            found.append(sweep_of(keyframe))
    return found


def sweep_of(keyframe: Keyframe) -> Sweep:
    """The scan of a keyframe as a sweep.

    Raises:
        ValueError: the keyframe has no pose.
    """
    if keyframe.T_global_lidar is None:
        raise ValueError(f"keyframe {keyframe.token} has no T_global_lidar: a sweep needs a pose")
    return Sweep(
        keyframe.points,
        keyframe.intensity,
        keyframe.T_global_lidar,
        keyframe.timestamp,
        keyframe.time,
    )


def accumulate(
    dataset: Dataset, index: SupportsIndex, count: int, max_age: float | None = None
) -> Keyframe:
    """Bring the turns before a keyframe into its frame: a denser scan of what stands still.

    Objects that move smear: their points of earlier turns are where they were at that time, at a
    distance of their speed times the difference in time.

    Args:
        dataset: see `find_sweeps`.
        index: of the keyframe.
        count: number of turns to add. It is normal that a data set has fewer, or none; the token of
            the result tells how many were added, e.g. "TOKEN + 3 sweeps".
        max_age: seconds; earlier turns are left out. None: no limit.

    Returns:
        the keyframe with all points, its own first. `time` holds the seconds of each point relative
        to the time stamp of the keyframe, negative for earlier turns; None if the turns have no
        time stamps, so that the data set gives all of them one. Points of other turns have
        the label IGNORE. Cameras and boxes are those of the keyframe; it has no annotations of
        hidden points, and `row_in_file` numbers all points.

    Raises:
        ValueError: `count` is below 0, the keyframe has no pose, or `max_age` is given and the
            turns have no time stamps.
    """
    if operator.index(count) < 0:
        raise ValueError(f"count: expected a number of sweeps, 0 or more, got {count}")
    keyframe = dataset[index]
    found = find_sweeps(dataset, index, count) if count else []
    if max_age is not None:
        if not _have_times(keyframe, found):
            raise ValueError(
                f"max_age: keyframe {keyframe.token} and a turn before it have one time stamp, "
                f"{keyframe.timestamp}: the ages of turns are unknown. Give the data set time "
                "stamps, or leave max_age out"
            )
        oldest = keyframe.timestamp - 1e6 * max_age
        found = [sweep for sweep in found if sweep.timestamp >= oldest]
    return join_sweeps(keyframe, found)


def join_sweeps(keyframe: Keyframe, sweeps: Sequence[Sweep]) -> Keyframe:
    """Add sweeps to a keyframe; see `accumulate`. Points of sweeps with labels keep theirs."""
    count = len(keyframe.points)
    own_time = torch.zeros(count) if keyframe.time is None else keyframe.time
    if not sweeps:
        return replace(keyframe, time=own_time)
    if keyframe.T_global_lidar is None:
        raise ValueError(
            f"keyframe {keyframe.token} has no T_global_lidar, the pose of the lidar: without it, "
            "sweeps cannot be brought into its frame"
        )
    own_labels = torch.full((count,), IGNORE) if keyframe.labels is None else keyframe.labels
    parts = [(keyframe.points, keyframe.intensity, own_time, own_labels)]
    parts += [_in_frame_of(keyframe, sweep) for sweep in sweeps]
    points, intensity, time, labels = (torch.cat(column) for column in zip(*parts, strict=True))
    return replace(
        keyframe,
        token=f"{keyframe.token} + {len(sweeps)} sweep{'s' * (len(sweeps) != 1)}",
        points=points,
        intensity=intensity,
        labels=None if keyframe.labels is None else labels,
        time=time if _have_times(keyframe, sweeps) else None,
        row_in_file=None,
        num_rows_in_file=None,
        annotations=None,
    )


def _have_times(keyframe: Keyframe, sweeps: Sequence[Sweep]) -> bool:
    """Whether turns have other time stamps than the keyframe; all are 0 where they are unknown."""
    return all(sweep.timestamp != keyframe.timestamp for sweep in sweeps)


def _in_frame_of(keyframe: Keyframe, sweep: Sweep) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points in the lidar frame of the keyframe, intensities, seconds relative to it, labels."""
    T = geometry.invert_rigid(keyframe.T_global_lidar) @ sweep.T_global_lidar
    points = geometry.transform_points(T, sweep.points).float()
    offset = (sweep.timestamp - keyframe.timestamp) / 1e6
    time = torch.zeros(len(points)) if sweep.time is None else sweep.time
    labels = torch.full((len(points),), IGNORE) if sweep.labels is None else sweep.labels
    kept = is_valid(points, sweep.intensity)
    return points[kept], sweep.intensity[kept], (time + offset)[kept], labels[kept]


class Accumulated(Wrapped):
    """A data set whose keyframes are joined with the turns before them; a `Dataset`.

    Args:
        dataset: see `find_sweeps`.
        count: number of turns to add to each keyframe; fewer where there are no more, and none to
            a keyframe without a pose.

    Raises:
        ValueError: none of the keyframes that are tried has a turn before it, or the data set is a
            mixture.
    """

    def __init__(self, dataset: Dataset, count: int):
        if count < 1:
            raise ValueError(f"count: expected 1 or more sweeps, got {count}")
        if hasattr(dataset, "parts"):
            raise ValueError(
                f"{dataset.name}: add the sweeps to each data set, then mix: "
                "open_dataset([...], sweeps=...)"
            )
        # Evenly spread, the last one first: it has the most before it.
        tried = range(len(dataset) - 1, -1, -max(1, -(-len(dataset) // MOST_TRIED)))
        if not any(_has_sweeps(dataset, index) for index in tried):
            raise ValueError(
                f"{dataset.name}: no turn of the lidar with a pose was found before any of "
                f"{len(tried)} keyframes, so there are no sweeps to add. The data "
                "set needs poses, and turns between its keyframes or several keyframes a scene"
            )
        super().__init__(dataset, f"{dataset.name} with {count} sweep{'s' * (count != 1)}")
        self.count = count

    def content(self) -> str:
        """Identify the content."""
        return f"{super().content()} with {self.count} sweeps"

    def poses(self, index: SupportsIndex) -> Poses:
        """Poses of the lidar around the time of a keyframe, see `kit.data.clocks`."""
        return find_poses(self.dataset, index)

    def __getitem__(self, index: SupportsIndex) -> Keyframe:
        keyframe = self.dataset[index]
        has_pose = keyframe.T_global_lidar is not None
        found = find_sweeps(self.dataset, index, self.count) if has_pose else []
        return replace(join_sweeps(keyframe, found), token=keyframe.token)

    def __repr__(self) -> str:
        return f"{self.dataset!r}\n  sweeps     up to {self.count} are added to each keyframe"


def _has_sweeps(dataset: Dataset, index: int) -> bool:
    """Whether a keyframe has a pose and a turn before it."""
    return bool(find_sweeps(dataset, index, 1)) and dataset[index].T_global_lidar is not None
