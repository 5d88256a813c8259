"""Settings of a MinkUNet; importing them loads neither the network nor spconv."""

from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

from kit.store.ranges import check_choice, check_whole
from kit.student.minkunet.voxels import GRIDS, REDUCES, num_voxels
from kit.student.student import MAX_SIZE, StudentConfig

BLOCKS = {18: (2, 2, 2, 2, 2, 2, 2, 2), 34: (2, 3, 4, 6, 2, 2, 2, 2)}
LEVELS = 4
MAX_VOXELS = 2**48  # of a scan's grid: the voxels of a batch are numbered in int64


@dataclass(frozen=True)
class MinkUNetConfig(StudentConfig):
    """Size and variant of a MinkUNet.

    Attributes:
        depth: 18 or 34, which sets the numbers of residual blocks (`BLOCKS`).
        widths: channels of the stem and of the eight groups of blocks, four down and four up.
        cylindrical: use cylindrical voxels (SLidR on nuScenes) instead of cubes.
        grid: where the grid begins. Halved grids group its cells from there. "corner": at the lower
            corner of the field of view and at an azimuth of -180 degrees. "sensor": a multiple of
            16 cells away from the sensor, as in MinkowskiEngine (SLidR). "scan": at the lowest
            cell of each scan, and cells are rounded to the nearest (SuperFlow).
        reduce: the features of a voxel are the "mean" of its points, or those of the "first" one
            (SLidR, SuperFlow).
        channels: of the input. 1: intensity (SLidR). 4: x, y, z and intensity (SuperFlow).
        stem_convs: convolutions before the first halving: 1 (SLidR) or 2 (SuperFlow).

    The convolutions work on voxels of size `inputs.voxel_size`. Planes and neighbours are not used:
    they are switched off in `inputs`.

    Raises:
        ValueError: a value outside of its range.
    """

    network: ClassVar[str] = "kit.student.minkunet.model:MinkUNet"
    depth: int = 34
    widths: tuple[int, ...] = (32, 32, 64, 128, 256, 256, 128, 96, 96)
    cylindrical: bool = False
    grid: str = "corner"
    reduce: str = "mean"
    channels: int = 1
    stem_convs: int = 1

    def __post_init__(self):
        super().__post_init__()
        check_choice(self, depth=BLOCKS, grid=GRIDS, reduce=REDUCES)
        check_choice(self, channels=(1, 4), stem_convs=(1, 2))
        if len(self.widths) != 2 * LEVELS + 1:
            raise ValueError(f"widths must be {2 * LEVELS + 1} numbers, got {self.widths}")
        check_whole(self, 1, MAX_SIZE, "widths")
        inputs = replace(self.inputs, cell_size=None, num_neighbours=0)
        object.__setattr__(self, "inputs", inputs)
        grid = num_voxels(inputs.bounds, inputs.voxel_size, self.cylindrical, self.grid)
        if prod(grid) > MAX_VOXELS:
            raise ValueError(
                f"voxel_size must be larger or fov smaller: {inputs.voxel_size} m in "
                f"{inputs.fov} m give {prod(grid):.3g} voxels, {MAX_VOXELS:.3g} are allowed"
            )

    @property
    def width(self) -> int:
        """Channels C of the point features before the head."""
        return self.widths[-1]
