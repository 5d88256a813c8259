"""Students: 3-D networks on lidar points that learn to predict a teacher's features.

In: the points and intensities of a keyframe. Out: a feature for every point, at any layer, and in
the teacher's feature space after the distillation head. Read `student.py` first (the interface),
then `presets.py` (students by name), `scans.py` and `augment.py` (their inputs), `checkpoints.py`
(their files), `waffleiron/` and `minkunet/` (the networks; in each, `published.py` reads
checkpoints of other code).
"""

from kit._lazy import lazy

_HOME = {
    "ReferenceWaffleIron": "kit.student.waffleiron.reference",
    "pad_scans": "kit.student.waffleiron.reference",
    "voxel_subsample": "kit.student.scans",
}
__getattr__ = lazy(__name__, _HOME)
