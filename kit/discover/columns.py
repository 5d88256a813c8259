"""The highest point above each place."""

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from kit.discover.settings import DiscoverConfig


def top_of_column(
    points: Float[Tensor, "N 3"],
    height: Float[Tensor, " N"],
    config: DiscoverConfig = DiscoverConfig(),  # noqa: B008
) -> Float[Tensor, " N"]:
    """Height of the highest point above the place of each point and its surroundings, metres.

    The surroundings are the neighbouring cells, half a metre by default. The lower part of a wall
    has a high top. A car has nothing above its roof, unless it stands under a tree.

    Args:
        points: lidar frame, metres, z up.
        height: of each point above the ground, metres.
        config: `column_cell` is used.
    """
    cell = np.floor(points[:, :2].numpy() / config.column_cell).astype(np.int64)
    cell -= cell.min(0)
    shape = np.minimum(cell.max(0) + 1, 4000)  # points far away share the last cells
    row, column = np.minimum(cell, shape - 1).T
    top = np.full(shape, -np.inf)
    np.maximum.at(top, (row, column), height.double().numpy())
    top = ndimage.maximum_filter(top, 3)
    return torch.from_numpy(top[row, column]).float()
