"""Frames of a robot: the tree of /tf_static and /tf, and poses by time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kit import geometry
from kit.data.clocks import Poses


def transform_of(message: Any) -> Float[Tensor, "4 4"]:
    """A geometry_msgs/Transform or Pose as T_parent_child, float64."""
    place = getattr(message, "translation", None)
    place = message.position if place is None else place
    turn = getattr(message, "rotation", None)
    turn = message.orientation if turn is None else turn
    return geometry.rigid_transform([turn.w, turn.x, turn.y, turn.z], [place.x, place.y, place.z])


@dataclass
class Frames:
    """The tree of frames.

    Attributes:
        parents: the parent of each frame.
        fixed: T_parent_frame of frames that do not move against their parent.
        moving: poses of the others by microseconds.
    """

    parents: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, Tensor] = field(default_factory=dict)
    moving: dict[str, dict[int, Tensor]] = field(default_factory=dict)

    def add(self, parent: str, child: str, T: Tensor, timestamp: int | None) -> None:
        """Add T_parent_child at a time in microseconds; None: it holds at all times.

        The first parent of a frame counts.
        """
        parent, child = parent.lstrip("/"), child.lstrip("/")
        if parent == child or self.parents.setdefault(child, parent) != parent:
            return
        if timestamp is None:
            self.fixed[child] = T
        else:
            self.moving.setdefault(child, {})[timestamp] = T

    def settle(self) -> None:
        """Make frames fixed that have a single pose; prepare the poses of the others."""
        for child, poses in list(self.moving.items()):
            if len(poses) == 1 and child not in self.fixed:
                self.fixed[child] = next(iter(poses.values()))
            if len(poses) == 1 or child in self.fixed:
                del self.moving[child]
        self._poses = {
            child: Poses(torch.tensor(sorted(p)), torch.stack([p[time] for time in sorted(p)]))
            for child, p in self.moving.items()
        }

    def path(self, frame: str) -> list[str]:
        """A frame and its ancestors."""
        found = [frame.lstrip("/")]
        while (parent := self.parents.get(found[-1])) is not None and parent not in found:
            found.append(parent)
        return found

    def moves(self, frame: str) -> bool:
        """Whether a frame moves relative to the last of its ancestors, so that it has poses."""
        return any(each in self.moving for each in self.path(frame))

    def pose(self, frame: str, timestamp: int) -> Float[Tensor, "4 4"]:
        """T_root_frame at a time in microseconds; the root is the last ancestor.

        Raises:
            ValueError: the poses do not reach to this time.
        """
        return self._below(self.path(frame)[-1], frame, timestamp)

    def _edge(self, child: str, timestamp: int) -> Tensor:
        if child in self.fixed:
            return self.fixed[child]
        try:
            return self._poses[child].at(timestamp)
        except ValueError as error:
            raise ValueError(f"/tf of {child}: {error}") from error

    def between(
        self, target: str, target_time: int, source: str, source_time: int
    ) -> Float[Tensor, "4 4"] | None:
        """T_target_source, with the motion of the robot between the two times.

        Returns:
            None if the frames have no common ancestor.

        Raises:
            ValueError: the poses do not reach to one of the times.
        """
        ancestors = self.path(source)
        common = next((each for each in self.path(target) if each in ancestors), None)
        if common is None:
            return None
        T_common_target = self._below(common, target, target_time)
        T = geometry.invert_rigid(T_common_target) @ self._motion(common, target_time, source_time)
        return T @ self._below(common, source, source_time)

    def _motion(self, frame: str, target_time: int, source_time: int) -> Tensor:
        """The motion of a frame: from itself at one time to itself at another."""
        if target_time == source_time or not self.moves(frame):
            return torch.eye(4, dtype=torch.float64)
        T_root_frame = self.pose(frame, target_time)
        return geometry.invert_rigid(T_root_frame) @ self.pose(frame, source_time)

    def _below(self, ancestor: str, frame: str, timestamp: int) -> Tensor:
        """T_ancestor_frame."""
        T, path = torch.eye(4, dtype=torch.float64), self.path(frame)
        for each in path[: path.index(ancestor)]:
            T = self._edge(each, timestamp) @ T
        return T


def describe(frames: Mapping[str, str]) -> str:
    """The tree of frames in one line, for messages."""
    edges = [f"{parent} -> {child}" for child, parent in sorted(frames.items())]
    return ", ".join(edges[:8]) + (", ..." if len(edges) > 8 else "") or "none"
