"""Everything that can stand on the street, as meshes.

In: a name and random numbers. Out: a shape with its surfaces. Read `catalogue.py` first, then
`shapes.py`.
"""
