"""The materials by name: the function that paints each, and its reflectance for the lidar.

A painter takes `SurfacePoints` and returns (N, 3) colours in [0, 1] without lighting, or (N, 4)
with the gloss: the ratio of mirrored light, 0 to 1.
"""

from kit.street.surfaces import paint_buildings, paint_ground, paint_objects

# Ratio of the laser's light that a white surface reflects; 0.35 for all other materials.
REFLECTANCE = {
    "plate": 3.0, "striped": 0.6, "cabin": 0.1, "leaf": 0.55, "grass": 0.5,
    "glazing": 0.15, "glazed": 0.1, "road": 0.3, "lot": 0.3, "water": 0.05, "tyre": 0.15,
    "print": 0.7,
}  # fmt: skip

PAINTERS = {
    "plain": paint_objects.plain,
    "marking": paint_ground.marking,
    "road": paint_ground.road,
    "lot": paint_ground.asphalt,
    "paving": paint_ground.paving,
    "grass": paint_ground.grass,
    "soil": paint_ground.soil,
    "water": paint_ground.water,
    "island": paint_ground.hatched,
    "leaf": paint_ground.leaf,
    "bark": paint_ground.bark,
    "wall": paint_buildings.wall,
    "glazing": paint_buildings.glazing,
    "hall": paint_buildings.hall,
    "roof": paint_buildings.roof,
    "print": paint_buildings.board,
    "car": paint_objects.car,
    "cabin": paint_objects.cabin,
    "panel": paint_objects.panel,
    "container": paint_objects.container,
    "coach": paint_objects.coach,
    "cab": paint_objects.cab,
    "tyre": paint_objects.tyre,
    "machine": paint_objects.machine,
    "plate": paint_objects.plate,
    "striped": paint_objects.striped,
    "cloth": paint_objects.cloth,
    "lattice": paint_objects.lattice,
    "glazed": paint_objects.glazed,
    "wall_plain": paint_objects.plain_wall,
}
