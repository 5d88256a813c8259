"""The painters by surface: what a surface looks like at a place, in formulas, no image files.

A painter takes `Spots` and returns (N, 3) colours in [0, 1], before light falls on them, or (N, 4)
with the gloss: how much of a mirror the surface is, 0 to 1.
"""

from kit.street.surfaces import paint_buildings, paint_ground, paint_things

# Share of the laser that a white surface sends back; 0.35 where nothing is said.
REFLECTANCE = {
    "plate": 3.0, "striped": 0.6, "cabin": 0.1, "leaf": 0.55, "grass": 0.5,
    "glazing": 0.15, "glazed": 0.1, "road": 0.3, "lot": 0.3, "water": 0.05, "tyre": 0.15,
    "print": 0.7,
}  # fmt: skip

PAINTERS = {
    "plain": paint_things.plain,
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
    "car": paint_things.car,
    "cabin": paint_things.cabin,
    "panel": paint_things.panel,
    "container": paint_things.container,
    "coach": paint_things.coach,
    "cab": paint_things.cab,
    "tyre": paint_things.tyre,
    "machine": paint_things.machine,
    "plate": paint_things.plate,
    "striped": paint_things.striped,
    "cloth": paint_things.cloth,
    "lattice": paint_things.lattice,
    "glazed": paint_things.glazed,
    "wall_plain": paint_things.plain_wall,
}
