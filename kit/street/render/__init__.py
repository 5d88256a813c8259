"""Rendering: what a car's sensors measure in a scene.

In: a moment of a scene and a rig. Out: points, images, and the exact annotations of both. Read
`moment.py` first, then `camera.py` and `lidar.py`.
"""
