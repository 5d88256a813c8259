"""The interface of a lens, and the lens without distortion."""

import math
from abc import ABC, abstractmethod
from dataclasses import astuple, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

LARGEST = 1e6  # of a coefficient; fits of the rational model reach some hundreds


class Lens(ABC):
    """How a camera bends rays, apart from its intrinsics `K`. Its fields are coefficients.

    Attributes:
        counts: numbers of coefficients that the model can have.
        is_wide: whether it can see points 90 degrees off the optical axis, and beyond. The depth
            of a point is its distance from the camera then, because its z may be 0 or negative.
    """

    counts: ClassVar[tuple[int, ...]] = (0,)
    is_wide: ClassVar[bool] = False

    @abstractmethod
    def distort(
        self, points: Float[Tensor, "N 3"]
    ) -> tuple[Float[Tensor, "N 3"], Bool[Tensor, " N"]]:
        """Bend the rays of points.

        Args:
            points: camera frame (x right, y down, z forward), metres, float64.

        Returns:
            rays: homogeneous image coordinates (X, Y, W); (u, v) = (K @ ray)[:2] / W.
            valid: whether the model can be used there. Beyond the angle at which the distorted
                radius stops growing, points would fold over into the image: they are not visible.
        """

    @property
    @abstractmethod
    def max_angle(self) -> float:
        """The largest valid angle from the optical axis without tangential distortion, radians."""

    def depth(self, points: Float[Tensor, "N 3"]) -> Float[Tensor, " N"]:
        """Depth of points of the camera frame: z, or the distance if the lens `is_wide`."""
        return points.norm(dim=1) if self.is_wide else points[:, 2]

    @classmethod
    def checked(cls, coefficients: Any, name: str) -> tuple[float, ...]:
        """Convert coefficients to floats.

        Raises:
            ValueError: they are not finite numbers of at most `LARGEST`.
        """
        try:
            numbers = tuple(np.asarray(coefficients, dtype=np.float64).ravel().tolist())
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{name}: expected numbers, got {coefficients!r}") from error
        if not all(math.isfinite(each) and abs(each) <= LARGEST for each in numbers):
            raise ValueError(
                f"{name}: expected finite numbers of at most {LARGEST:,.0f}, got {numbers}"
            )
        return numbers

    @classmethod
    def from_coefficients(cls, coefficients: Any) -> "Lens":
        """Make the lens from its coefficients; raises ValueError."""
        numbers = cls.checked(coefficients, f"coefficients of {cls.__name__}")
        if len(numbers) not in cls.counts:
            counts = " or ".join(map(str, cls.counts))
            raise ValueError(
                f"distortion: the model {cls.__name__} has {counts} coefficients, got "
                f"{len(numbers)}"
            )
        return cls._of(numbers)

    @classmethod
    def _of(cls, numbers: tuple[float, ...]) -> "Lens":
        return cls(*numbers)

    @property
    def coefficients(self) -> tuple[float, ...]:
        """All coefficients, in the order of OpenCV."""
        return astuple(self)


@dataclass(frozen=True)
class Pinhole(Lens):
    """A lens without distortion: straight lines stay straight."""

    max_angle: ClassVar[float] = math.pi / 2

    def distort(
        self, points: Float[Tensor, "N 3"]
    ) -> tuple[Float[Tensor, "N 3"], Bool[Tensor, " N"]]:
        return points, torch.ones(len(points), dtype=torch.bool)


PINHOLE = Pinhole()
