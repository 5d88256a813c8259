"""Fisheye lenses of up to 360 degrees field of view."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from numpy.polynomial import Polynomial
from torch import Tensor

from kit.lens.brown_conrady import first_root
from kit.lens.lens import Lens


@dataclass(frozen=True)
class Fisheye(Lens):
    """Kannala-Brandt fisheye: OpenCV's `fisheye`, "equidistant" of ROS and Kalibr.

    A ray at the angle a from the axis is at the radius a * (1 + k1 a^2 + k2 a^4 + k3 a^6 + k4 a^8)
    in the image.

    Source: J. Kannala and S. Brandt, A Generic Camera Model and Calibration Method for
        Conventional, Wide-Angle, and Fish-Eye Lenses (PAMI 2006), in OpenCV's form. Differs:
        OpenCV's projects points behind the camera as if they were in front of it.
    """

    counts, is_wide = (4,), True
    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0

    @cached_property
    def max_angle(self) -> float:
        """The largest valid angle from the optical axis, radians."""
        factors = enumerate((1.0, *self.coefficients))
        slope = Polynomial([(2 * power + 1) * k for power, k in factors])
        return min(math.sqrt(first_root(slope)), math.pi)

    def distort(
        self, points: Float[Tensor, "N 3"]
    ) -> tuple[Float[Tensor, "N 3"], Bool[Tensor, " N"]]:
        """Compute where the lens images points, see `Lens.distort`."""
        off_axis = points[:, :2].norm(dim=1)
        angle = torch.atan2(off_axis, points[:, 2])  # 0..pi
        s = angle * angle
        radius = angle * (1 + s * (self.k1 + s * (self.k2 + s * (self.k3 + s * self.k4))))
        scale = torch.where(off_axis > 0, radius / off_axis, 0.0)
        plane = points[:, :2] * scale[:, None]
        return torch.cat([plane, torch.ones_like(plane[:, :1])], 1), angle < self.max_angle
