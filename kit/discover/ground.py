"""Heights above the ground, from the points alone: the geometry that discovery starts from."""

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

NEAR = 40.0  # metres around the lidar in which the ground is looked for
CELL = 2.0  # metres; the lowest point of each cell may be ground
TALL_CELL = 0.5  # metres; of the columns in which the highest point is looked for


def height_above_ground(points: Float[Tensor, "N 3"]) -> Float[Tensor, " N"]:
    """Height of every point over a plane through the ground near the lidar, metres.

    The plane may be inclined; a street that bends up or down is off by as much as it bends.

    Args:
        points: lidar frame, metres, z up.

    Source: our own: least squares on the lowest point of every 2 m cell, reweighted: first the
        lower part, then what lies within 0.3 m of the plane.
    """
    xyz = points.double().numpy()
    low = _lowest_of_cells(xyz)
    near = low[np.hypot(low[:, 0], low[:, 1]) < NEAR]
    low = near if len(near) >= 10 else low
    if len(low) < 10:  # too few to tell an inclination
        return (points[:, 2] - points[:, 2].min()).float()
    used = low[:, 2] <= np.quantile(low[:, 2], 0.5)
    for step in range(20):
        plane = np.linalg.lstsq(_design(low[used]), low[used, 2], rcond=None)[0]
        off = low[:, 2] - _design(low) @ plane
        used = off <= np.quantile(off, 0.6) if step < 6 else np.abs(off) < 0.3
        if used.sum() < 3:
            break
    return torch.from_numpy(xyz[:, 2] - _design(xyz) @ plane).float()


def top_of_column(points: Float[Tensor, "N 3"], height: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Height of the highest point above each point's place, half a metre around it, metres.

    The lower part of a wall has a high top; a car has none above its roof, unless it stands under a
    tree.
    """
    cell = np.floor(points[:, :2].numpy() / TALL_CELL).astype(np.int64)
    cell -= cell.min(0)
    shape = np.minimum(cell.max(0) + 1, 4000)  # far away points share the last cells
    row, column = np.minimum(cell, shape - 1).T
    top = np.full(shape, -np.inf)
    np.maximum.at(top, (row, column), height.double().numpy())
    top = ndimage.maximum_filter(top, 3)
    return torch.from_numpy(top[row, column]).float()


def _lowest_of_cells(xyz: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "M 3"]:
    cell = np.floor(xyz[:, :2] / CELL).astype(np.int64)
    order = np.lexsort((xyz[:, 2], cell[:, 1], cell[:, 0]))
    cell = cell[order]
    first = np.r_[True, (cell[1:] != cell[:-1]).any(1)]
    return xyz[order[first]]


def _design(xyz: Float[np.ndarray, "M 3"]) -> Float[np.ndarray, "M 3"]:
    return np.c_[xyz[:, :2], np.ones(len(xyz))]
