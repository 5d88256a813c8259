"""Assets: procedural 3-D models of all objects of the street.

In: a name, such as "red car", and a random generator. Out: the parts of the model, which are shapes
with their materials. Read `catalogue.py` first, then `shapes.py`; each other file builds one kind
of model.
"""
