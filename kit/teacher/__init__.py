"""Teachers: frozen image networks whose features a student learns to predict.

In: camera images in [0, 1]. Out: feature maps, which are read at the pixels of lidar points. Read
`teacher.py` first (the interface), then `presets.py` (teachers by name, `build_teacher`),
`feature_maps.py` (sampling, merging over cameras) and `precompute.py` (the maps of a whole data
set).
"""
