"""Omnidirectional cameras: mirrors and very wide lenses."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kit.lens.brown_conrady import BrownConrady
from kit.lens.lens import Lens


@dataclass(frozen=True)
class Mei(Lens):
    """The unified model of Mei and Rives: OpenCV's `omnidir`, the fisheye cameras of KITTI-360.

    A point is projected onto the unit sphere, then from a point `xi` behind its centre onto a
    plane, where it is distorted.

    Attributes:
        xi: the distance from the centre of the sphere, 0 or more; 0 is an ordinary lens.
        k1, k2: radial distortion.
        p1, p2: tangential distortion.

    Source: C. Mei and P. Rives, Single View Point Omnidirectional Camera Calibration from Planar
        Grids (ICRA 2007). `K` holds their gamma and the principal point.
    """

    counts, is_wide = (5,), True
    xi: float
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0

    def __post_init__(self):
        if not self.xi >= 0:
            raise ValueError(f"xi of a Mei lens: expected 0 or more, got {self.xi}")

    @cached_property
    def _distortion(self) -> BrownConrady:
        return BrownConrady(self.k1, self.k2, self.p1, self.p2)

    @property
    def _lowest(self) -> float:
        """The cosine of the angle at which points reach infinity (xi <= 1) or fold over."""
        return -self.xi if self.xi <= 1 else -1 / self.xi

    @cached_property
    def max_angle(self) -> float:
        """The largest valid angle from the optical axis, radians."""
        end, radius = math.acos(self._lowest), self._distortion.max_radius
        low, high = 0.0, end  # the radius on the plane grows with the angle up to `end`
        for _ in range(60):
            middle = (low + high) / 2
            inside = math.sin(middle) < radius * (math.cos(middle) + self.xi)
            low, high = (middle, high) if inside else (low, middle)
        return high

    def distort(
        self, points: Float[Tensor, "N 3"]
    ) -> tuple[Float[Tensor, "N 3"], Bool[Tensor, " N"]]:
        """Compute where the lens images points, see `Lens.distort`."""
        sphere = points / points.norm(dim=1, keepdim=True)
        plane = sphere[:, :2] / (sphere[:, 2:] + self.xi)
        plane, valid = self._distortion.distort_plane(plane)
        valid &= sphere[:, 2] > self._lowest
        return torch.cat([plane, torch.ones_like(plane[:, :1])], 1), valid
