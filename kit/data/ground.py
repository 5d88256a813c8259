"""Heights above the ground, from the points alone."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from scipy.sparse.linalg import spsolve
from torch import Tensor

from kit.store.ranges import check_number

SURFACE_CELL, SURFACE_RADIUS = 1.0, 80.0  # metres; farther out, the surface goes on level
# How far the lowest point of a cell may lie from the surface to count as ground: it gets stricter.
TOLERANCES = (0.5, 0.3, 0.3, 0.3, 0.2, 0.2)
DEEPEST = 0.5  # metres; points lower than this below the ground are echoes of mirrors and water


@dataclass(frozen=True)
class Ground:
    """How the ground is fitted to a scan; lengths are in metres.

    Simulated streets, level and with hills, chose the defaults: see
    `python -m kit bench discover_hills`.

    Attributes:
        radius: a plane is fitted to points within this distance of the lidar.
        cell: size of the cells whose lowest points may be ground.
        node: distance between the nodes of the smooth surface that bends the plane.
        stiffness: how much that surface resists bending; a large value leaves the plane.

    Raises:
        ValueError: a value outside of its range.
    """

    radius: float = 40.0
    cell: float = 2.0
    node: float = 5.0
    stiffness: float = 1.0

    def __post_init__(self):
        # Cells of a centimetre are the smallest that can be numbered.
        check_number(self, 0.1, 1e4, "radius")
        check_number(self, 0.01, 1e3, "cell")
        check_number(self, 0.5, 100, "node")
        check_number(self, 1e-3, 1e9, "stiffness")


def height_above_ground(
    points: Float[Tensor, "N 3"],
    ground: Ground = Ground(),  # noqa: B008
) -> Float[Tensor, " N"]:
    """Height of every point above the ground, metres.

    The ground is an inclined plane through the lowest points near the lidar, and a smooth surface
    that follows hills, embankments and pavements above and below this plane.

    Args:
        points: lidar frame, metres, z up.
        ground: how it is fitted.
    """
    xyz = points.double().numpy()
    xyz[:, 2] = _height_above_plane(xyz, ground)
    height = xyz[:, 2] - _smooth_surface(xyz, ground)
    return torch.from_numpy(height).float()


def _height_above_plane(xyz: Float[np.ndarray, "N 3"], ground: Ground) -> Float[np.ndarray, " N"]:
    """Height above a plane through the ground near the lidar.

    Source: our own: least squares on the lowest point of every cell. The fit is repeated: first
        with the lower part of the points, then with those within 0.3 m of the plane.
    """
    low = _lowest_of_cells(xyz, ground.cell)
    near = low[np.hypot(low[:, 0], low[:, 1]) < ground.radius]
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


def _smooth_surface(xyz: Float[np.ndarray, "N 3"], ground: Ground) -> Float[np.ndarray, " N"]:
    """Height of a smooth surface through the lowest points of cells, at every point.

    The surface has a value at each node of a grid and is bilinear between them. It minimises the
    squared distances to the points that count as ground, plus `stiffness` times the squared
    second differences of the nodes. Points above it by more than `TOLERANCES` do not count.

    Source: our own. Smoothing by a difference penalty: Eilers and Marx, Flexible smoothing with
        B-splines and penalties (Statistical Science 1996), in two dimensions.
    """
    low = _lowest_of_cells(xyz, SURFACE_CELL)
    low = low[np.hypot(low[:, 0], low[:, 1]) < SURFACE_RADIUS]
    nodes = int(2 * SURFACE_RADIUS / ground.node) + 2  # on each axis
    weights = _bilinear_weights(low[:, :2], ground.node, nodes)
    bending = ground.stiffness * _bending(nodes)
    surface = np.zeros(nodes**2)
    for tolerance in TOLERANCES:
        above = low[:, 2] - weights @ surface
        used = (above < tolerance) & (above > -DEEPEST)
        A, z = weights[used], low[used, 2]
        surface = spsolve(A.T @ A + bending, A.T @ z)
    return _bilinear_weights(xyz[:, :2], ground.node, nodes) @ surface


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


def _lowest_of_cells(xyz: Float[np.ndarray, "N 3"], size: float) -> Float[np.ndarray, "M 3"]:
    cell = np.floor(xyz[:, :2] / size).astype(np.int64)
    order = np.lexsort((xyz[:, 2], cell[:, 1], cell[:, 0]))
    cell = cell[order]
    first = np.r_[True, (cell[1:] != cell[:-1]).any(1)]
    return xyz[order[first]]


def _design(xyz: Float[np.ndarray, "M 3"]) -> Float[np.ndarray, "M 3"]:
    """The design matrix of a plane z = a x + b y + c."""
    return np.c_[xyz[:, :2], np.ones(len(xyz))]
