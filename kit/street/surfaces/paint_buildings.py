"""Materials of buildings, and of boards with text."""

import numpy as np

from kit.street.surfaces.patterns import (
    SurfacePoints,
    hashed,
    line,
    mix,
    noise,
    paint_where,
    with_gloss,
)


def _brick(s: SurfacePoints, along) -> np.ndarray:
    """Bricks of 22 x 7.5 cm with mortar joints; `along` is in metres along the wall."""
    row = s.z // 0.075
    u = along + 0.11 * (row % 2)
    tone = 0.82 + 0.36 * hashed(u // 0.22, row)
    joint = (u % 0.22 < 0.012) | (s.z % 0.075 < 0.012)
    fade = s.fade(0.06)
    brick = s.colour * (tone * fade + 1 - fade)[:, None]
    return mix(0.8 * joint * fade + 0.13 * (1 - fade), (0.62, 0.58, 0.52), brick)


def facade(s: SurfacePoints, along) -> np.ndarray:
    """A wall without openings. Its kind is style 3: 0 plaster, 1 brick, 2 panels, 3 boards."""
    kind = s.style[:, 3]
    streaks = 0.035 * noise(s._replace(z=s.z / 8), 0.03) + 0.04 * noise(s, 0.06, 0.5)
    colour = s.colour * (1 + streaks)
    if (kind == 1).any():
        colour = paint_where(kind == 1, _brick, colour, s, along) * (1 + 0.5 * streaks)
    seams = np.where(kind == 2, (along % 3 < 0.03) | (s.z % 2.8 < 0.03), s.z % 0.2 < 0.02)
    seams = seams & (kind >= 2)
    colour = mix(0.35 * seams * s.fade(0.05), s.colour * 0.5, colour)
    return mix(0.35 * np.clip(1 - s.z / 0.5, 0, 1), s.colour * 0.45, colour)  # dirt near the ground


def wall_along(s: SurfacePoints) -> np.ndarray:
    """Position along a wall in metres, for walls along x and along y."""
    return np.where(s.normal[1] > 0.7, s.x, s.y + 100)


def _window(s: SurfacePoints, u, v, wide, high, pane_seed, bars):
    """A window centred at u = v = 0.

    Args:
        u, v: horizontal and vertical position, metres.
        wide, high: half width and half height, metres.
        pane_seed: in [0, 1], draws brightness and curtains.
        bars: in [0, 1], decides on glazing bars.

    Returns:
        ratios covered by frame and by pane, colour of the pane.
    """
    inside = np.minimum(wide - np.abs(u), high - np.abs(v))
    soft = np.maximum(s.pixel, 0.015)
    framed = np.clip(0.5 + inside / soft, 0, 1)
    paned = np.clip(0.5 + (inside - 0.06) / soft, 0, 1)
    rails = line(u, 0.025, s) * (bars > 0.3) + line(v - 0.2 * high, 0.025, s) * (bars > 0.55)
    paned = paned * (1 - np.clip(rails, 0, 1))
    dark = 0.07 + 0.25 * pane_seed**2 + 0.04 * v
    curtain = (pane_seed > 0.72) & (np.abs(u) > 0.45 * wide) | (pane_seed > 0.86) & (v > 0)
    pane = np.where(curtain[:, None], (0.55, 0.52, 0.46), dark[:, None] * np.array((0.9, 1, 1.1)))
    return framed, paned, pane


def wall(s: SurfacePoints) -> np.ndarray:
    """A house front with windows, doors and shops.

    style: seed, width of a bay, height of a storey, kind of `facade`.
    """
    seed, bay, tall = s.style[:, 0], s.style[:, 1], s.style[:, 2]
    along = wall_along(s)
    column, storey = along // bay, s.z // tall
    u, v = (along / bay - column - 0.5) * bay, (s.z / tall - storey - 0.52) * tall
    ground, pick = storey < 1, seed * 7 % 1
    shop = ground & (pick > 0.55)
    door = ground & ~shop & (column % 3 == (seed * 31 // 1) % 3)
    wide = np.select([shop, door], [0.44, 0.2], 0.24 + 0.14 * (seed * 13 % 1)) * bay
    high = np.select([shop, door], [0.36, 0.4], 0.26 + 0.1 * (seed * 29 % 1)) * tall
    v = v + np.where(door, 0.12 * tall, np.where(shop, 0.08 * tall, 0))
    glass = hashed(column, storey, seed)
    frame = np.where((seed * 5 % 1 < 0.55)[:, None], 0.82, 0.2) * np.ones(3, np.float32)
    framed, paned, pane = _window(s, u, v, wide, high, glass, seed * 17 % 1 * ~shop)
    blank = (s.normal[1] < 0.7) & (seed * 41 % 1 < 0.6)  # a side wall without windows
    framed, paned = framed * ~blank, paned * ~blank
    inner = np.where((door & (glass < 0.7))[:, None], s.colour[:, ::-1] * 0.5, pane)
    colour = facade(s, along)
    sill = (np.abs(u) < wide + 0.08) & (np.abs(v + high + 0.05) < 0.05) & ~ground & ~blank
    lintel = (np.abs(u) < wide + 0.05) & (np.abs(v - high - 0.1) < 0.09) & (pick > 0.3) & ~blank
    colour = mix(0.8 * (sill | lintel) * s.fade(0.08), (0.68, 0.66, 0.62), colour)
    colour = mix(0.5 * (s.z % tall < 0.1) * ~ground * (pick < 0.4), (0.72, 0.7, 0.66), colour)
    board = shop & (s.z > 0.82 * tall) & ~blank
    colour = paint_where(board, lettering, colour, s, along, s.z - 0.82 * tall, 0.15 * tall)
    colour = mix(framed, frame, colour)
    return with_gloss(mix(paned, inner, colour), (0.35 + 0.5 * glass) * paned * ~door)


def lettering(s: SurfacePoints, u, v, high) -> np.ndarray:
    """Strokes that resemble text, on a coloured board of height `high` in metres."""
    seed = np.floor(u / 9) + 57 * s.style[:, 0]
    hue = hashed(seed)[:, None] + np.array((0.0, 0.33, 0.67))
    ground = 0.45 + 0.3 * hashed(seed + 3)[:, None] * np.cos(2 * np.pi * hue)
    size = np.maximum(high, 0.05) / 3
    stroke = hashed(u // (0.4 * size), v // (0.5 * size), seed) > 0.5
    word = (hashed(u // (6 * size), seed) > 0.25) & (v > 0.6 * size) & (v < high - 0.4 * size)
    ink = np.where(ground.mean(1, keepdims=True) > 0.45, 0.08, 0.92)
    return mix(stroke * word * (0.35 + 0.65 * s.fade(0.15)), ink, ground)


def glazing(s: SurfacePoints) -> np.ndarray:
    """A glass front with mullions. style: seed, width of a bay, height of a storey."""
    bay, tall, along = s.style[:, 1], s.style[:, 2], wall_along(s)
    column, storey = along // bay, s.z // tall
    u, v = along % bay, s.z % tall
    bars = np.maximum(line(u, 0.07, s), line(u - bay, 0.07, s))
    bars = np.maximum(bars, np.maximum(line(v, 0.35, s), line(v - tall, 0.2, s)))
    lit = hashed(column, storey, s.style[:, 0])
    pane = s.colour * (0.35 + 0.5 * lit**2)[:, None]
    return with_gloss(mix(bars, s.colour * 0.4 + 0.3, pane), 0.6 * (1 - bars))


def hall(s: SurfacePoints) -> np.ndarray:
    """A wall with rolling gates and, for some seeds, a band of windows.

    style: seed, below 0.6 for ribs, unused, kind of `facade`.
    """
    along = wall_along(s)
    ribs = (along % 0.3 < 0.06) * s.fade(0.08) * (s.style[:, 1] < 0.6)
    colour = facade(s, along) * (1 - 0.12 * ribs)[:, None]
    column, u = along // 5.5, along % 5.5 - 2.75
    gate = (np.abs(u) < 1.7) & (s.z < 3.2) & (hashed(column, s.style[:, 0]) > 0.35)
    gate &= s.normal[1] > 0.7
    slats = 1 - 0.22 * (s.z % 0.35 < 0.05) * s.fade(0.1)
    tone = np.where((hashed(column, 3.0) > 0.5)[:, None], s.colour * 0.85, (0.36, 0.42, 0.5))
    colour = mix(gate, tone * slats[:, None], colour)
    band = (s.z > 4.3) & (s.z < 5.4) & (along % 1.3 > 0.08) & (s.normal[2] < 0.5)
    band &= (s.style[:, 0] * 7 % 1 < 0.5) & (s.normal[1] > 0.7)
    dark = 0.08 + 0.2 * hashed(along // 1.3, s.style[:, 0])[:, None] * np.ones(3)
    return with_gloss(mix(band, dark, colour), 0.4 * band)


def roof(s: SurfacePoints) -> np.ndarray:
    """Rows of tiles on sloped surfaces, the facade on gables. style: seed, -, -, kind."""
    fade = s.fade(0.12)
    tile = 0.93 + fade * (0.07 - 0.22 * (s.z % 0.22 > 0.16)) + 0.06 * noise(s, 0.05)[:, 0]
    red = np.where((s.style[:, 0] * 3 % 1 < 0.5)[:, None], (0.42, 0.22, 0.16), (0.25, 0.25, 0.28))
    return mix(s.normal[2] > 0.1, red * tile[:, None], facade(s, wall_along(s)))


def board(s: SurfacePoints) -> np.ndarray:
    """A poster or a board with text. style: seed, height above ground, height."""
    v = s.z - s.style[:, 1]
    colour = lettering(s, np.where(s.normal[0] > 0.5, s.y, s.x) + 50, v, s.style[:, 2])
    return mix(np.minimum(v, s.style[:, 2] - v) < 0.04, (0.75, 0.75, 0.75), colour)
