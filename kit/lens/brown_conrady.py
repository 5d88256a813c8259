"""Radial and tangential distortion of ordinary lenses."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.polynomial import Polynomial
from torch import Tensor

from kit.lens.lens import PINHOLE, Lens


@dataclass(frozen=True)
class BrownConrady(Lens):
    """Brown-Conrady distortion: OpenCV's default model, "plumb bob" of ROS; 4, 5 or 8 coefficients.

    Attributes:
        k1, k2, k3: radial.
        p1, p2: tangential.
        k4, k5, k6: of the rational model, in the denominator.

    Source: OpenCV, "Camera Calibration and 3D Reconstruction", the model of projectPoints; D. C.
        Brown, Close-Range Camera Calibration (1971). Differs: points beyond the radius at which
        the radial distortion stops growing are not valid, nor where the tangential one folds.
    """

    counts = (4, 5, 8)
    k1: float
    k2: float
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0
    k5: float = 0.0
    k6: float = 0.0

    @classmethod
    def _of(cls, numbers: tuple[float, ...]) -> Lens:
        return cls(*numbers) if any(numbers) else PINHOLE

    @cached_property
    def max_radius(self) -> float:
        """The largest valid distance from the axis on the plane at z = 1; may be infinite."""
        return max_radius((self.k1, self.k2, self.k3), (self.k4, self.k5, self.k6))

    @property
    def max_angle(self) -> float:
        return math.atan(self.max_radius)

    def distort(
        self, points: Float[Tensor, "N 3"]
    ) -> tuple[Float[Tensor, "N 3"], Bool[Tensor, " N"]]:
        plane, valid = self.distort_plane(points[:, :2] / points[:, 2:])
        return torch.cat([plane, torch.ones_like(plane[:, :1])], 1), valid & (points[:, 2] > 0)

    def distort_plane(
        self, plane: Float[Tensor, "N 2"]
    ) -> tuple[Float[Tensor, "N 2"], Bool[Tensor, " N"]]:
        """Distort coordinates on the plane at z = 1."""
        x, y = plane.unbind(1)
        s = x * x + y * y  # squared radius
        above = 1 + s * (self.k1 + s * (self.k2 + s * self.k3))
        below = 1 + s * (self.k4 + s * (self.k5 + s * self.k6))
        radial = above / below
        dx = 2 * self.p1 * x * y + self.p2 * (s + 2 * x * x)
        dy = self.p1 * (s + 2 * y * y) + 2 * self.p2 * x * y
        slope_above = self.k1 + s * (2 * self.k2 + s * 3 * self.k3)
        slope_below = self.k4 + s * (2 * self.k5 + s * 3 * self.k6)
        slope = 2 * (slope_above - radial * slope_below) / below  # d radial / d x = slope * x
        valid = (s < self.max_radius**2) & (self._determinant(x, y, radial, slope) > 0)
        return torch.stack([x * radial + dx, y * radial + dy], 1), valid

    def _determinant(self, x: Tensor, y: Tensor, radial: Tensor, slope: Tensor) -> Tensor:
        """Determinant of the Jacobian; not above 0 where the image folds over."""
        p1, p2 = self.p1, self.p2
        xx = radial + slope * x * x + 2 * p1 * y + 6 * p2 * x
        xy = slope * x * y + 2 * p1 * x + 2 * p2 * y
        yy = radial + slope * y * y + 6 * p1 * y + 2 * p2 * x
        return xx * yy - xy * xy


def max_radius(above: tuple[float, ...], below: tuple[float, ...] = (0.0,)) -> float:
    """The radius at which r * (1 + a1 r^2 + ...) / (1 + b1 r^2 + ...) stops growing.

    Args:
        above: a1, a2, ...
        below: b1, b2, ...

    Returns:
        infinite if it grows for ever.
    """
    s = Polynomial([0.0, 1.0])  # r^2
    N, D = Polynomial([1.0, *above]), Polynomial([1.0, *below])
    growth = (N + 2 * s * N.deriv()) * D - 2 * s * N * D.deriv()  # 0 where the slope is 0
    return math.sqrt(min(first_root(growth), first_root(D)))


def first_root(polynomial: Polynomial) -> float:
    """The smallest positive root at which a polynomial changes its sign; infinite if none does."""
    coef = np.trim_zeros(polynomial.coef, "b")
    roots = Polynomial(coef).roots() if len(coef) > 1 else np.zeros(0)
    real = roots[np.abs(roots.imag) <= 1e-9 * np.maximum(np.abs(roots), 1)].real
    for root in np.sort(real[real > 0]):
        if polynomial(root * (1 - 1e-6)) * polynomial(root * (1 + 1e-6)) < 0:
            return float(root)
    return math.inf
