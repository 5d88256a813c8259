"""The street: the embedded default data set, a simulated city block with its sensors.

In: a seed and a rig. Out: keyframes with labels, boxes and everything else that only a simulation
knows; or a dataroot in the nuScenes schema on disk. Read `dataset.py` first, then `rigs.py`,
`world/layout.py` (what stands where) and `render/moment.py` (points and images of one moment).
"""
