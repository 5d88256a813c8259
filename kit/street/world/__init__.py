"""The world: where the road goes, what stands where, who moves, and the weather.

In: a seed. Out: a scene of meshes. Read `layout.py` first, then `plan.py`.
"""
