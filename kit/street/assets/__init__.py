"""Assets: procedural 3-D models of all objects of the street.

Takes a name, such as "red car", and a random generator, and returns the parts of the model: shapes
with their materials. Read `catalogue.py` first, then `shapes.py`; the other files build one kind of
model each.
"""
