"""Models of buildings: one corner is at the origin, the front faces y > 0; metres."""

import numpy as np

from kit.street.assets.colours import COLOURS, WALL_COLOURS
from kit.street.assets.shapes import Part, box, extrude, moved


def house(rng, width: float) -> list[Part]:
    """A house with 2 to 5 storeys and a gable or flat roof."""
    depth, storeys = 10.0, rng.choice([2, 3, 4, 5], p=[0.35, 0.35, 0.2, 0.1])
    tall = rng.uniform(2.8, 3.4)  # of a storey
    index = rng.integers(len(WALL_COLOURS))
    colour = np.array(WALL_COLOURS[index]) * rng.uniform(0.85, 1.1)
    kind = 1 if index in (2, 3) else 0  # brick or plaster
    eaves, seed = storeys * tall + 0.2, rng.random()
    bay = width / max(round(width / rng.uniform(2, 3)), 1)
    style = (seed, bay, tall, kind)
    parts = [Part(moved(box(width, depth, eaves), width / 2, -depth / 2), "wall", colour, style)]
    if rng.random() < 0.5:
        x, ridge = width / 2 + 0.2, eaves + rng.uniform(1.5, 3.5)
        roof = extrude([(-x, eaves), (x, eaves), (0, ridge)], depth + 0.6)
        parts.append(Part(moved(roof, width / 2, -depth / 2), "roof", colour, style))
        place = rng.uniform(0.2, 0.8) * width
        parts.append(
            Part(moved(box(0.8, 0.6, ridge - eaves + 0.4, eaves), place, -5), "plain", colour * 0.6)
        )
    else:
        ledge = moved(box(width + 0.3, depth + 0.3, 0.45, eaves - 0.05), width / 2, -depth / 2)
        parts.append(Part(ledge, "plain", colour * 0.85 + 0.08))
    if rng.random() < 0.5:
        parts += _balconies(width, storeys, tall, bay)
    if rng.random() < 0.4:  # an awning
        x = rng.uniform(0.3, 0.7) * width
        slope = [(x - 1.5, 2.6), (x + 1.5, 2.6), (x + 1.5, 2.66), (x - 1.5, 2.66)]
        tint = np.array(COLOURS[str(rng.choice(["red", "green", "blue", "beige"]))])
        parts.append(Part(moved(extrude(slope, 1.6), 0, 0.6), "striped", tint, (1, 0.25)))
    return parts


def _balconies(width: float, storeys, tall: float, bay: float) -> list[Part]:
    """A balcony at every second bay, above the ground floor."""
    parts = []
    for storey in range(1, storeys):
        for at in np.arange(bay / 2, width, 2 * bay):
            slab = moved(box(0.8 * bay, 1.1, 0.15, storey * tall), at, 0.5)
            rail = moved(box(0.8 * bay, 0.05, 0.9, storey * tall + 0.1), at, 1.0)
            parts.append(Part(slab, "plain", (0.5, 0.5, 0.5)))
            parts.append(Part(rail, "lattice", (0.2, 0.2, 0.22)))
    return parts


def office(rng, width: float) -> list[Part]:
    """An office building with 4 to 11 storeys, of glass or with a plain facade."""
    tall, storeys = rng.uniform(3.2, 3.8), rng.integers(4, 12)
    tint = np.array(((0.4, 0.5, 0.55), (0.3, 0.36, 0.4), (0.55, 0.56, 0.55))[rng.integers(3)])
    high, depth, bay = tall * storeys, 16.0, width / max(round(width / 1.6), 1)
    glass = moved(box(width, depth, high), width / 2, -depth / 2)
    if rng.random() < 0.6:
        parts = [Part(glass, "glazing", tint, (rng.random(), bay, tall))]
    else:
        colour = np.array(WALL_COLOURS[rng.integers(len(WALL_COLOURS))])
        parts = [Part(glass, "wall", colour, (rng.random(), 2 * bay, tall, 2))]
    base = moved(box(width + 0.6, depth + 0.6, 0.5, tall - 0.4), width / 2, -depth / 2)
    columns = [moved(box(0.5, 0.5, tall), at, 0.4) for at in np.arange(0.5, width, 5.0)]
    return parts + [Part(shape, "plain", (0.5, 0.5, 0.49)) for shape in [base, *columns]]


def hall(rng, width: float) -> list[Part]:
    """A workshop or a warehouse with rolling gates."""
    high, depth, seed = rng.uniform(4.5, 9.5), 20.0, rng.random()
    colour = np.array(WALL_COLOURS[rng.choice([0, 1, 4, 6, 8, 9, 10, 2])]) * rng.uniform(0.8, 1.05)
    style = (seed, rng.random(), 0, float(rng.choice([0, 2, 3])))
    parts = [Part(moved(box(width, depth, high), width / 2, -depth / 2), "hall", colour, style)]
    if rng.random() < 0.4:  # a rounded gable
        turn = np.linspace(0, np.pi, 9)
        arch = np.column_stack([-width / 2 * np.cos(turn), high + 1.6 * np.sin(turn)])
        parts.append(
            Part(moved(extrude(arch, depth), width / 2, -depth / 2), "hall", colour, style)
        )
    band = moved(box(width + 0.1, depth + 0.1, 0.4, high - 0.4), width / 2, -depth / 2)
    parts.append(Part(band, "plain", colour * 0.7))
    if rng.random() < 0.5:
        board = moved(box(4.5, 0.15, 1.1, 4.2), rng.uniform(0.3, 0.7) * width, 0.1)
        parts.append(Part(board, "print", (0, 0, 0), (rng.random(), 4.2, 1.1)))
    return parts
