"""Annotations of a keyframe beside its labels: boxes, and the exact annotations of a simulation."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int32, UInt8
from torch import Tensor

from kit import geometry
from kit.data.limits import MAX_BOX


@dataclass(frozen=True, eq=False)
class Box:
    """The oriented bounding box of one object.

    Attributes:
        name: in plain language, e.g. "red car".
        category: the nuScenes category, e.g. "vehicle.car".
        label: class index.
        T_lidar_box: (4, 4) float64 pose in the lidar frame: origin in the middle of the box, x
            along its length, y along its width, z up.
        size: length, width, height in metres.
        track: identity of the object; the same in all keyframes of a scene.
        speed: m/s along x.

    Raises:
        ValueError: the pose is not rigid, a size is not within 0 to 1000 m, or the speed is not
            finite.
    """

    name: str
    category: str
    label: int
    T_lidar_box: Float[Tensor, "4 4"]
    size: tuple[float, float, float]
    track: str
    speed: float = 0.0

    def __post_init__(self):
        geometry.check_rigid(self.T_lidar_box, f"T_lidar_box of {self.name}")
        if not all(0 < length <= MAX_BOX for length in self.size):  # False for NaN
            raise ValueError(
                f"box of {self.name}: sizes must be positive, at most {MAX_BOX:.0f} m, got "
                f"{self.size}"
            )
        if not math.isfinite(self.speed):
            raise ValueError(f"box of {self.name}: the speed must be finite, got {self.speed}")

    def contains(self, points: Float[Tensor, "N 3"], margin: float = 0.0) -> Bool[Tensor, " N"]:
        """Test which points of the lidar frame lie inside the box.

        Args:
            points: lidar frame, metres.
            margin: metres added on all six sides.
        """
        T_box_lidar = geometry.invert_rigid(self.T_lidar_box)
        half = torch.tensor(self.size, dtype=torch.float64) / 2 + margin
        return (geometry.transform_points(T_box_lidar, points).abs() <= half).all(1)


@dataclass(frozen=True, eq=False)
class PixelAnnotations:
    """Class and object at the centre of every pixel of one image.

    Attributes:
        labels: (H, W) class indices, 255 for the sky.
        objects: (H, W) index into the keyframe's boxes, -1 for scenery and sky.
    """

    labels: UInt8[np.ndarray, "H W"]
    objects: Int32[np.ndarray, "H W"]


@dataclass(frozen=True, eq=False)
class ExactAnnotations:
    """Annotations of a simulated keyframe without error: objects, occlusion, labels of pixels.

    Attributes:
        object_of_point: (N,) index into the keyframe's boxes, -1 for scenery: ground, buildings,
            plants, poles, signs, benches.
        hidden: by camera, (N,) whether a point inside that camera's image is occluded there.
        pixels: function from a camera's name to its `PixelAnnotations`.
    """

    object_of_point: Int[Tensor, " N"]
    hidden: Mapping[str, Bool[Tensor, " N"]]
    pixels: Callable[[str], PixelAnnotations] = field(repr=False)

    @property
    def foreground(self) -> Bool[Tensor, " N"]:
        """Points on objects that can move or be moved."""
        return self.object_of_point >= 0
