"""Rendering: simulated lidar scans and camera images of a scene, with exact annotations.

In: a scene, the time of a keyframe, and a sensor rig. Out: points, images, and the annotations of
both. Read `moment.py` first (one keyframe), then `mesh.py` (the triangles of the scene at that
time), `rays.py` (ray casting), `lidar.py` and `camera.py`; `portraits.py` renders single assets.
"""
