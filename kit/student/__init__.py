"""Students: 3-D networks on lidar points that learn to predict a teacher's features.

In: the points and intensities of a keyframe. Out: a feature for every point, at any layer, and in
the teacher's feature space after the distillation head. Read `student.py` first (the interface),
then `presets.py` (students by name), `scans.py` and `point_batch.py` (their inputs),
`second_pass.py` (points outside of the field of view), `augment.py` and `waffleiron/`. Four files
concern stored students: `checkpoints.py` saves and loads them, `pretrained.py` has the one that
comes with the kit, `published.py` imports checkpoints of other code, and `released.py` lists those
that are available by name.
"""
