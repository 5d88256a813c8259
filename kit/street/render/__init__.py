"""Rendering: simulated lidar scans and camera images of a scene, with exact annotations.

In: a moment of a scene and a sensor rig. Out: points, images, and the annotations of both. Read
`moment.py` first, then `lidar.py`, `camera.py` and `rays.py`; `portraits.py` renders single assets.
"""
