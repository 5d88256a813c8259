"""The world: the road, the placement of scenery and objects, traffic, and the weather.

In: a seed and a time. Out: the mesh of a scene at that time. Read `scene.py` first (random
properties of a scene), then `layout.py` (builds its mesh), `placement_rules.py` (tables) and
`mesh.py`.
"""
