"""Heights above the ground, from the points alone."""

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from kit.discover.settings import DiscoverConfig


def height_above_ground(
    points: Float[Tensor, "N 3"],
    config: DiscoverConfig = DiscoverConfig(),  # noqa: B008
) -> Float[Tensor, " N"]:
    """Height of every point above a plane through the ground near the lidar, metres.

    The plane may be inclined. Where a street bends up or down, heights are wrong by as much.

    Args:
        points: lidar frame, metres, z up.
        config: `ground_radius` and `ground_cell` are used.

    Source: our own: least squares on the lowest point of every cell. The fit is repeated: first
        with the lower part of the points, then with those within 0.3 m of the plane.
    """
    xyz = points.double().numpy()
    low = _lowest_of_cells(xyz, config.ground_cell)
    near = low[np.hypot(low[:, 0], low[:, 1]) < config.ground_radius]
    low = near if len(near) >= 10 else low
    if len(low) < 10:  # too few points for an inclined plane
        return (points[:, 2] - points[:, 2].min()).float()
    used = low[:, 2] <= np.quantile(low[:, 2], 0.5)
    for step in range(20):
        plane = np.linalg.lstsq(_design(low[used]), low[used, 2], rcond=None)[0]
        residual = low[:, 2] - _design(low) @ plane
        used = residual <= np.quantile(residual, 0.6) if step < 6 else np.abs(residual) < 0.3
        if used.sum() < 3:
            break
    return torch.from_numpy(xyz[:, 2] - _design(xyz) @ plane).float()


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


def _lowest_of_cells(xyz: Float[np.ndarray, "N 3"], size: float) -> Float[np.ndarray, "M 3"]:
    cell = np.floor(xyz[:, :2] / size).astype(np.int64)
    order = np.lexsort((xyz[:, 2], cell[:, 1], cell[:, 0]))
    cell = cell[order]
    first = np.r_[True, (cell[1:] != cell[:-1]).any(1)]
    return xyz[order[first]]


def _design(xyz: Float[np.ndarray, "M 3"]) -> Float[np.ndarray, "M 3"]:
    """The design matrix of a plane z = a x + b y + c."""
    return np.c_[xyz[:, :2], np.ones(len(xyz))]
