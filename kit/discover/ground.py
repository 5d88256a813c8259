"""Heights above the ground, from the points alone."""

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve
from torch import Tensor

from kit.discover.settings import DiscoverConfig

SURFACE_CELL, SURFACE_RADIUS = 1.0, 80.0  # metres; farther out, the surface goes on level
# How far the lowest point of a cell may lie from the surface to count as ground: it gets stricter.
TOLERANCES = (0.5, 0.3, 0.3, 0.3, 0.2, 0.2)
DEEPEST = 0.5  # metres; points lower than this below the ground are echoes of mirrors and water


def height_above_ground(
    points: Float[Tensor, "N 3"],
    config: DiscoverConfig = DiscoverConfig(),  # noqa: B008
) -> Float[Tensor, " N"]:
    """Height of every point above the ground, metres.

    The ground is an inclined plane through the lowest points near the lidar, and a smooth surface
    that follows hills, embankments and pavements above and below this plane.

    Args:
        points: lidar frame, metres, z up.
        config: the fields that begin with `ground` are used.
    """
    xyz = points.double().numpy()
    xyz[:, 2] = _height_above_plane(xyz, config)
    height = xyz[:, 2] - _smooth_surface(xyz, config)
    return torch.from_numpy(height).float()


def _height_above_plane(
    xyz: Float[np.ndarray, "N 3"], config: DiscoverConfig
) -> Float[np.ndarray, " N"]:
    """Height above a plane through the ground near the lidar.

    Source: our own: least squares on the lowest point of every cell. The fit is repeated: first
        with the lower part of the points, then with those within 0.3 m of the plane.
    """
    low = _lowest_of_cells(xyz, config.ground_cell)
    near = low[np.hypot(low[:, 0], low[:, 1]) < config.ground_radius]
    low = near if len(near) >= 10 else low
    if len(low) < 10:  # too few points for an inclined plane
        return xyz[:, 2] - xyz[:, 2].min()
    used = low[:, 2] <= np.quantile(low[:, 2], 0.5)
    for step in range(20):
        plane = np.linalg.lstsq(_design(low[used]), low[used, 2], rcond=None)[0]
        residual = low[:, 2] - _design(low) @ plane
        used = residual <= np.quantile(residual, 0.6) if step < 6 else np.abs(residual) < 0.3
        if used.sum() < 3:
            break
    return xyz[:, 2] - _design(xyz) @ plane


def _smooth_surface(
    xyz: Float[np.ndarray, "N 3"], config: DiscoverConfig
) -> Float[np.ndarray, " N"]:
    """Height of a smooth surface through the lowest points of cells, at every point.

    The surface has a value at each node of a grid and is bilinear between them. It minimises the
    squared distances to the points that count as ground, plus `ground_stiffness` times the squared
    second differences of the nodes. Points above it by more than `TOLERANCES` do not count.

    Source: our own. Smoothing by a difference penalty: Eilers and Marx, Flexible smoothing with
        B-splines and penalties (Statistical Science 1996), in two dimensions.
    """
    low = _lowest_of_cells(xyz, SURFACE_CELL)
    low = low[np.hypot(low[:, 0], low[:, 1]) < SURFACE_RADIUS]
    nodes = int(2 * SURFACE_RADIUS / config.ground_node) + 2  # on each axis
    weights = _bilinear_weights(low[:, :2], config.ground_node, nodes)
    bending = config.ground_stiffness * _bending(nodes)
    surface = np.zeros(nodes**2)
    for tolerance in TOLERANCES:
        above = low[:, 2] - weights @ surface
        ground = weights[(above < tolerance) & (above > -DEEPEST)]
        z = low[(above < tolerance) & (above > -DEEPEST), 2]
        surface = spsolve(ground.T @ ground + bending, ground.T @ z)
    return _bilinear_weights(xyz[:, :2], config.ground_node, nodes) @ surface


def _bilinear_weights(xy: Float[np.ndarray, "M 2"], size: float, nodes: int) -> sparse.csr_array:
    """The weight of every node at every place: (M, nodes²)."""
    place = np.clip((xy + SURFACE_RADIUS) / size, 0, nodes - 1 - 1e-9)
    first = place.astype(np.int64)
    part = place - first
    (i, j), (a, b) = first.T, part.T
    column = np.stack(
        [i * nodes + j, i * nodes + j + 1, (i + 1) * nodes + j, (i + 1) * nodes + j + 1]
    )
    weight = np.stack([(1 - a) * (1 - b), (1 - a) * b, a * (1 - b), a * b])
    row = np.broadcast_to(np.arange(len(xy)), column.shape)
    shape = (len(xy), nodes**2)
    return sparse.csr_array((weight.ravel(), (row.ravel(), column.ravel())), shape=shape)


def _bending(nodes: int) -> sparse.csc_array:
    """The quadratic form of squared second differences, with a little weight on the heights.

    That weight keeps the plane where no point is near.
    """
    one = sparse.eye_array(nodes)
    first, second = _differences(nodes), _differences(nodes - 1) @ _differences(nodes)
    terms = (sparse.kron(second, one), sparse.kron(one, second), sparse.kron(first, first))
    along_x, along_y, mixed = (term.T @ term for term in terms)
    total = along_x + along_y + 2 * mixed
    return sparse.csc_array(total + 0.01 * sparse.eye_array(nodes**2))


def _differences(nodes: int) -> sparse.csr_array:
    """Every node minus the one before it: (nodes - 1, nodes)."""
    shape = (nodes - 1, nodes)
    return sparse.diags_array([-1.0, 1.0], offsets=[0, 1], shape=shape, dtype=np.float64).tocsr()


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
