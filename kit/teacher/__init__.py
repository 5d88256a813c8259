"""Teachers: frozen image networks whose features a student learns to predict.

In: camera images in [0, 1]. Out: feature maps, sampled at the pixels that lidar points fall on. Read
`teacher.py` first (what every teacher is), then `presets.py` (teachers by name, `build_teacher`) and
`feature_maps.py` (sampling).
"""
