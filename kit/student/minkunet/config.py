"""Settings of a MinkUNet; importing them loads neither the network nor spconv."""

from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

from kit.store.ranges import check_whole
from kit.student.minkunet.voxels import num_voxels
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

    The convolutions work on voxels of size `inputs.voxel_size`. Planes and neighbours are not used:
    they are switched off in `inputs`.

    Raises:
        ValueError: a value outside of its range.
    """

    network: ClassVar[str] = "kit.student.minkunet.model:MinkUNet"
    depth: int = 34
    widths: tuple[int, ...] = (32, 32, 64, 128, 256, 256, 128, 96, 96)
    cylindrical: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.depth not in BLOCKS:
            raise ValueError(f"depth must be one of {list(BLOCKS)}, got {self.depth}")
        if len(self.widths) != 2 * LEVELS + 1:
            raise ValueError(f"widths must be {2 * LEVELS + 1} numbers, got {self.widths}")
        check_whole(self, 1, MAX_SIZE, "widths")
        inputs = replace(self.inputs, cell_size=None, num_neighbours=0)
        object.__setattr__(self, "inputs", inputs)
        grid = num_voxels(inputs.bounds, inputs.voxel_size, self.cylindrical)
        if prod(grid) > MAX_VOXELS:
            raise ValueError(
                f"voxel_size must be larger or fov smaller: {inputs.voxel_size} m in "
                f"{inputs.fov} m give {prod(grid):.3g} voxels, {MAX_VOXELS:.3g} are allowed"
            )

    @property
    def width(self) -> int:
        """Channels C of the point features before the head."""
        return self.widths[-1]
