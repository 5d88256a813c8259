"""The shape of a scan: heights, connected components, and foreground scores from these alone."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kit.data.ground import height_above_ground
from kit.discover.columns import top_of_column
from kit.discover.components import (
    connected_components,
    length_of_components,
    mean_of_components,
    surface_variation,
)
from kit.discover.settings import DiscoverConfig


@dataclass(frozen=True)
class Geometry:
    """The geometry of each point, computed from the scan alone.

    Attributes:
        height: (N,) above the ground, metres.
        top: (N,) height of the highest point above the same place, metres.
        component: (N,) number of its connected component, -1 near the ground.
        surface_variation: (N,) mean surface variation of this component, or of the point itself if
            it has none; 0 for a plane, at most 1/3.
        length: (N,) horizontal length of its connected component, metres.
        config: settings, which define ground, tall and standing points.
    """

    height: Float[Tensor, " N"]
    top: Float[Tensor, " N"]
    component: Int[Tensor, " N"]
    surface_variation: Float[Tensor, " N"]
    length: Float[Tensor, " N"]
    config: DiscoverConfig = DiscoverConfig()

    @classmethod
    def of(
        cls,
        points: Float[Tensor, "N 3"],
        config: DiscoverConfig = DiscoverConfig(),  # noqa: B008
    ) -> "Geometry":
        """The geometry of a scan: lidar frame, metres, z up, the lidar at the origin."""
        height = height_above_ground(points, config.ground)
        component = connected_components(points, height, config)
        variation = mean_of_components(surface_variation(points, config), component)
        top = top_of_column(points, height, config)
        length = length_of_components(points, component)
        return cls(height, top, component, variation, length, config)

    def restrict(self, points: Int[Tensor, " S"]) -> "Geometry":
        """The geometry of the given points, in their order."""
        return Geometry(
            self.height[points],
            self.top[points],
            self.component[points],
            self.surface_variation[points],
            self.length[points],
            self.config,
        )

    @property
    def standing(self) -> Bool[Tensor, " N"]:
        """Low points with nothing above: of a car, a person, a bin; but also of a hedge."""
        low = (self.height > self.config.min_height) & (self.height < self.config.max_height)
        return low & (self.top < self.config.max_top)

    @property
    def ground(self) -> Bool[Tensor, " N"]:
        """Points on the ground."""
        return self.height.abs() < self.config.ground_tolerance

    @property
    def tall(self) -> Bool[Tensor, " N"]:
        """Points below or on something tall: a house, a tree, a pole."""
        return self.top > self.config.tall_top


def height_band_score(height: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """The simplest baseline: above 0 between 0.2 and 1.8 m above the ground, highest at 1 m.

    Args:
        height: above the ground, metres.
    """
    return 0.8 - (height - 1.0).abs()


def shape_score(geometry: Geometry) -> Float[Tensor, " N"]:
    """Foreground score of the shape alone.

    Returns:
        1.3 to 2 on standing points of smooth components; -1 on the ground, on tall things, and on
        standing points of rough components, which are plants, and of long ones, which are walls;
        -0.1 elsewhere: undecided.
    """
    score = torch.full_like(geometry.height, -0.1)
    score[geometry.ground | geometry.tall] = -1.0
    standing = geometry.standing
    score[standing] = 2.0 - (geometry.height[standing] - 1.0).abs() / 1.5
    rough = geometry.surface_variation > geometry.config.max_surface_variation
    long = geometry.length > geometry.config.max_component_length
    score[standing & (rough | long)] = -1.0
    return score
