"""Order points so that the first n, for any n, are spread evenly over the cloud.

Large clouds are sent and drawn in this order: their first picture, and every frame while the view
moves, shows a beginning of it.
"""

import numpy as np
from jaxtyping import Float, Int

from kit.show.arrays import choose

LARGE = 150_000  # points, above which a keyframe is drawn and coloured part by part
PART = 32_768  # points of a large keyframe that are sent to the GPU or coloured at once
BITS = 16  # of each coordinate: 65,536 cells along the longest side of the cloud


def even_order(points: Float[np.ndarray, "N 3"]) -> Int[np.ndarray, " N"]:
    """Sort points (N, 3) so that each beginning of them is even in space, not in their density.

    First comes one point of each cell of a coarse grid, then one of each cell of half the side that
    has none yet, and so on; at random within a level. The order of equal clouds is equal.

    Source: the order of Morton (1966): points that share k leading bits of their interleaved
        coordinates share a cell of level k. So one sort finds the levels of all points.
    """
    low = points.min(0)
    side = max(float((points.max(0) - low).max()), 1e-6)
    cells = ((points - low) * ((2**BITS - 1) / side)).astype(np.int64)
    code = _spread(cells[:, 0]) | _spread(cells[:, 1]) << 1 | _spread(cells[:, 2]) << 2
    by_code = np.argsort(code, kind="stable")
    sorted_code = code[by_code]
    changed = sorted_code[1:] ^ sorted_code[:-1]
    num_bits = np.frexp(changed.astype(np.float64))[1]  # up to the highest bit that differs
    coarseness = np.full(len(points), BITS + 1, dtype=np.int64)  # the very first point leads
    coarseness[by_code[1:]] = (num_bits + 2) // 3
    mixed = np.random.default_rng(0).permutation(len(points))
    return mixed[np.argsort(-coarseness[mixed], kind="stable")]


def _spread(values: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """The bits of numbers below 2^16, with two zeros before each."""
    for shift, mask in (
        (16, 0x00FF0000FF0000FF),
        (8, 0xF00F00F00F00F00F),
        (4, 0x30C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        signed = np.uint64(mask).astype(np.int64)
        values = (values | values << shift) & signed
    return values


def part_of(count: int) -> int:
    """How many of `count` points are sent to the GPU and coloured at once; all if they are few."""
    return count if count <= LARGE else PART


def drawn_points(points: Float[np.ndarray, "N 3"], max_points: int) -> Int[np.ndarray, " M"]:
    """The index of the points that are drawn: ascending, or in `even_order` of many points."""
    chosen = choose(len(points), max_points)
    return chosen if len(chosen) <= LARGE else chosen[even_order(points[chosen])]
