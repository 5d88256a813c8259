"""What a surface looks like at a place: formulas of the position on the object, no image files.

A painter takes `Spots` and returns (N, 3) colours in [0, 1], before light falls on them, or (N, 4)
with the gloss: how much of a mirror the surface is, 0 to 1. Patterns fade to their mean where they
are finer than a pixel, or they would flicker.
"""

from typing import NamedTuple

import numpy as np

# Share of the laser that a white surface sends back; 0.35 where nothing is said.
REFLECTANCE = {
    "sign": 3.0, "plate": 2.0, "striped": 0.6, "cabin": 0.1, "leaf": 0.55, "grass": 0.5,
    "glazing": 0.15, "glazed": 0.1, "road": 0.3, "lot": 0.3, "water": 0.05, "tyre": 0.15, "print": 0.7,
}  # fmt: skip


KERBSIDE = 2.4  # metres of the road beside the kerb where one parks


class Spots(NamedTuple):
    """N places on surfaces.

    x, y, z: (N,) m in the object's frame (ground: along, lateral, height). normal: (3, N) sizes of
    the unit normal's components there. colour: (N, 3) and style: (N, 4) of the part. pixel: (N,)
    metres that a pixel covers there, 0 for a laser.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    normal: np.ndarray
    colour: np.ndarray
    style: np.ndarray
    pixel: np.ndarray

    def fade(self, size: float) -> np.ndarray:
        """1 where a detail of this size in metres is seen, 0 where a pixel covers it."""
        return np.clip(1.6 - 0.8 * self.pixel / size, 0, 1)


def _noise_table() -> np.ndarray:
    """A (512, 512) tile of noise with detail at every scale, mean 0, deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)) + 1 / 512
    spectrum = np.fft.rfft2(np.random.default_rng(0).normal(size=(512, 512)))
    table = np.fft.irfft2(spectrum / frequency**0.9)
    return ((table - table.mean()) / table.std()).astype(np.float32)


NOISE = _noise_table()


def look_up(u, v) -> np.ndarray:
    """Noise at places u, v of any size, interpolated between whole numbers."""
    i, j = np.floor(u), np.floor(v)
    a, b = (u - i).astype(np.float32), (v - j).astype(np.float32)
    i, j = (i.astype(np.int32) & 511) * 512, j.astype(np.int32) & 511
    below, right = (i + 512) & 0x3FFFF, (j + 1) & 511
    tile = NOISE.ravel()
    top = tile.take(i + j) * (1 - b) + tile.take(i + right) * b
    return top * (1 - a) + (tile.take(below + j) * (1 - b) + tile.take(below + right) * b) * a


def _noise(s: Spots, grain: float, seed=0.0) -> np.ndarray:
    """Noise (N, 1) over any surface, `grain` metres fine, fading with distance."""
    flat = s.normal[2] > 0.7
    shift = 997 * (s.style[:, 0] + seed)
    u = np.where(flat, s.x, s.x + s.y) / np.float32(grain) + shift
    v = np.where(flat, s.y, s.z) / np.float32(grain) + np.float32(0.37) * shift
    # 1/f noise: what is finer than a pixel averages out, what is coarser stays.
    return (look_up(u, v) * np.clip(1.2 - s.pixel / (24 * grain), 0.25, 1))[:, None]


def _chance(*numbers) -> np.ndarray:
    """A number in [0, 1) that looks random, the same for the same integers."""
    factors = (12.9898, 78.233, 37.719)
    total = sum(n * f for n, f in zip(numbers, factors, strict=False))
    return np.sin(total) * 43758.5 % 1


def _mix(share, other, colour) -> np.ndarray:
    """`share` (N,) of `other`, the rest of `colour`; a mask is a share of 0 or 1."""
    share = np.asarray(share, np.float32)[:, None]
    return colour + share * (np.asarray(other, np.float32) - colour)


def _shiny(colour, gloss) -> np.ndarray:
    return np.column_stack([colour, np.broadcast_to(gloss, len(colour))])


def _line(distance, half_width, s: Spots):
    """Share of a pixel that a line covers, `distance` from its middle, metres."""
    return np.clip(0.5 + (half_width - np.abs(distance)) / np.maximum(s.pixel, 0.01), 0, 1)


# --- ground -------------------------------------------------------------------------------------


def _kerb(s: Spots, colour) -> np.ndarray:
    stone = np.array((0.56, 0.55, 0.53)) * (0.9 + 0.1 * _chance(s.x // 1.0)[:, None])
    return _mix(s.normal[2] < 0.5, stone, colour)


def _asphalt(s: Spots) -> np.ndarray:
    """Asphalt with stains, cracks and patches of repair."""
    stain = _noise(s, 0.05) * 0.07 + _noise(s, 0.008, 0.3) * 0.1
    colour = s.colour * (1 + stain)
    repair = _chance(s.x // 7.3, s.y // 2.9, s.style[:, 0])
    colour *= (1 + 0.13 * ((repair > 0.9) * 1.0 - (repair < 0.12)))[:, None]
    crack = np.abs(_noise(s, 0.03, 0.7)[:, 0]) < 0.035
    return _mix(0.5 * crack * s.fade(0.04), s.colour * 0.4, colour)


def _road(s: Spots) -> np.ndarray:
    """Asphalt with lines between lanes. style: half width, lanes, 1 for a yellow middle, seed."""
    half, lanes, yellow = s.style[:, 0], s.style[:, 1], s.style[:, 2]
    off, reach = np.abs(s.y), half - KERBSIDE
    lane = 2 * reach / lanes
    across = (s.y + reach) % lane
    colour = _asphalt(s._replace(style=s.style[:, 3:]))
    wheels = np.exp(-(((np.abs(across - lane / 2) - 0.75) / 0.35) ** 2)) * (off < reach)
    colour = colour * (1 - 0.07 * wheels)[:, None]
    worn = 0.7 + 0.3 * np.clip(_noise(s, 0.02)[:, 0] + 0.8, 0, 1)
    middle = (off < lane / 2) & (yellow > 0)
    between = _line(np.minimum(across, lane - across), 0.07, s) * (off < reach - 0.5)
    between = between * (middle | (s.x % 9 < 3.5))
    edge = _line(off - reach, 0.05, s)
    paint = np.where(middle[:, None], (0.72, 0.52, 0.1), (0.78, 0.78, 0.76))
    return _mix(np.maximum(between, edge) * worn, paint, colour)


def _marking(s: Spots) -> np.ndarray:
    """Worn paint on a road."""
    return s.colour * (0.9 + 0.08 * np.clip(_noise(s, 0.02), -2, 1))


def _paving(s: Spots) -> np.ndarray:
    """Slabs of concrete with joints, each a little different; small bricks for a low style."""
    small = s.style[:, 1] < 0.3
    step, width = np.where(small, 0.2, 1.2), np.where(small, 0.01, 0.02)
    row = s.y // step
    shifted = s.x + 0.5 * step * (row % 2) * small
    tone = 0.95 + 0.1 * _chance(shifted // step, row)
    u, v = (np.abs(w % step - step / 2) for w in (shifted, s.y))
    joint = np.maximum(u, v) > step / 2 - width
    fade = np.where(small, s.fade(0.1), s.fade(0.2))
    tone = np.where(joint, 0.72, tone) * fade + 0.95 * (1 - fade)
    dirt = 0.05 * _noise(s, 0.05) + 0.06 * _noise(s, 0.01, 0.4)
    return _kerb(s, s.colour * (tone[:, None] + dirt))


def _grass(s: Spots) -> np.ndarray:
    dry = np.clip(0.25 + 0.3 * _noise(s, 0.12), 0, 1)
    colour = s.colour * (1 - dry) + np.array((0.40, 0.36, 0.2)) * dry
    blades = 0.35 * _noise(s, 0.004, 0.2)
    return _kerb(s, colour * (1 + blades))


def _soil(s: Spots) -> np.ndarray:
    return s.colour * (1 + 0.2 * _noise(s, 0.03) + 0.15 * _noise(s, 0.006))


def _water(s: Spots) -> np.ndarray:
    return _shiny(s.colour * (1 + 0.08 * _noise(s, 0.05)), 0.6)


def _hatched(s: Spots) -> np.ndarray:
    """A traffic island: paving with a kerb in black and white."""
    stone = _paving(s)
    side = s.normal[2] < 0.7
    return _mix(side, np.where((s.x % 2 < 1)[:, None], 0.78, 0.16) * np.ones(3), stone)


# --- plants -------------------------------------------------------------------------------------


def _leaf(s: Spots) -> np.ndarray:
    """Leaves: each its own tone, darker inside the crown."""
    tone = 0.78 + 0.44 * _chance(*(60 * s.normal).round())
    depth = np.clip(0.85 + 0.3 * (s.z - s.style[:, 1]) / np.maximum(s.style[:, 2], 0.1), 0.6, 1.15)
    return s.colour * (tone * depth)[:, None] * (1 + 0.2 * _noise(s, 0.02))


def _bark(s: Spots) -> np.ndarray:
    return s.colour * (1 + 0.25 * _noise(s._replace(z=s.z / 6), 0.008))


# --- buildings ----------------------------------------------------------------------------------


def _brick(s: Spots, along) -> np.ndarray:
    """Bricks of 22 x 7 cm in mortar."""
    row = s.z // 0.075
    u = along + 0.11 * (row % 2)
    tone = 0.82 + 0.36 * _chance(u // 0.22, row)
    joint = (u % 0.22 < 0.012) | (s.z % 0.075 < 0.012)
    fade = s.fade(0.06)
    brick = s.colour * (tone * fade + 1 - fade)[:, None]
    return _mix(0.8 * joint * fade + 0.13 * (1 - fade), (0.62, 0.58, 0.52), brick)


def _facade(s: Spots, along) -> np.ndarray:
    """The wall itself. style 3: 0 plaster, 1 brick, 2 concrete panels, 3 boards."""
    kind = s.style[:, 3]
    streaks = 0.035 * _noise(s._replace(z=s.z / 8), 0.03) + 0.04 * _noise(s, 0.06, 0.5)
    colour = s.colour * (1 + streaks)
    if (kind == 1).any():
        colour = np.where((kind == 1)[:, None], _brick(s, along) * (1 + streaks), colour)
    seams = np.where(kind == 2, (along % 3 < 0.03) | (s.z % 2.8 < 0.03), s.z % 0.2 < 0.02)
    seams = seams & (kind >= 2)
    colour = _mix(0.35 * seams * s.fade(0.05), s.colour * 0.5, colour)
    return _mix(0.35 * np.clip(1 - s.z / 0.5, 0, 1), s.colour * 0.45, colour)  # splashes below


def _along(s: Spots) -> np.ndarray:
    """Metres along a wall, whichever way it looks."""
    return np.where(s.normal[1] > 0.7, s.x, s.y + 100)


def _window(s: Spots, u, v, wide, high, pane_seed, frame, bars):
    """Share of frame and pane, and the pane's colour, in a cell whose centre is u = v = 0 (m)."""
    inside = np.minimum(wide - np.abs(u), high - np.abs(v))
    soft = np.maximum(s.pixel, 0.015)
    framed = np.clip(0.5 + inside / soft, 0, 1)
    paned = np.clip(0.5 + (inside - 0.06) / soft, 0, 1)
    rails = _line(u, 0.025, s) * (bars > 0.3) + _line(v - 0.2 * high, 0.025, s) * (bars > 0.55)
    paned = paned * (1 - np.clip(rails, 0, 1))
    dark = 0.07 + 0.25 * pane_seed**2 + 0.04 * v
    curtain = (pane_seed > 0.72) & (np.abs(u) > 0.45 * wide) | (pane_seed > 0.86) & (v > 0)
    pane = np.where(curtain[:, None], (0.55, 0.52, 0.46), dark[:, None] * np.array((0.9, 1, 1.1)))
    return framed, paned, pane


def _wall(s: Spots) -> np.ndarray:
    """A house front: bays with windows, doors, shops. style: seed, bay, storey height, kind."""
    seed, bay, tall = s.style[:, 0], s.style[:, 1], s.style[:, 2]
    along = _along(s)
    column, storey = along // bay, s.z // tall
    u, v = (along / bay - column - 0.5) * bay, (s.z / tall - storey - 0.52) * tall
    ground, pick = storey < 1, seed * 7 % 1
    shop = ground & (pick > 0.55)
    door = ground & ~shop & (column % 3 == (seed * 31 // 1) % 3)
    wide = np.select([shop, door], [0.44, 0.2], 0.24 + 0.14 * (seed * 13 % 1)) * bay
    high = np.select([shop, door], [0.36, 0.4], 0.26 + 0.1 * (seed * 29 % 1)) * tall
    v = v + np.where(door, 0.12 * tall, np.where(shop, 0.08 * tall, 0))
    glass = _chance(column, storey, seed)
    frame = np.where((seed * 5 % 1 < 0.55)[:, None], 0.82, 0.2) * np.ones(3, np.float32)
    framed, paned, pane = _window(s, u, v, wide, high, glass, frame, seed * 17 % 1 * ~shop)
    blank = (s.normal[1] < 0.7) & (seed * 41 % 1 < 0.6)  # a fire wall to the neighbour
    framed, paned = framed * ~blank, paned * ~blank
    inner = np.where((door & (glass < 0.7))[:, None], s.colour[:, ::-1] * 0.5, pane)
    colour = _facade(s, along)
    sill = (np.abs(u) < wide + 0.08) & (np.abs(v + high + 0.05) < 0.05) & ~ground & ~blank
    lintel = (np.abs(u) < wide + 0.05) & (np.abs(v - high - 0.1) < 0.09) & (pick > 0.3) & ~blank
    colour = _mix(0.8 * (sill | lintel) * s.fade(0.08), (0.68, 0.66, 0.62), colour)
    colour = _mix(0.5 * (s.z % tall < 0.1) * ~ground * (pick < 0.4), (0.72, 0.7, 0.66), colour)
    board = shop & (s.z > 0.82 * tall) & ~blank
    colour = _mix(board, _lettering(s, along, s.z - 0.82 * tall, 0.15 * tall), colour)
    colour = _mix(framed, frame, colour)
    return _shiny(_mix(paned, inner, colour), (0.35 + 0.5 * glass) * paned * ~door)


def _lettering(s: Spots, u, v, high) -> np.ndarray:
    """Something like writing: strokes on a coloured board, `high` metres tall."""
    seed = np.floor(u / 9) + 57 * s.style[:, 0]
    hue = _chance(seed)[:, None] + np.array((0.0, 0.33, 0.67))
    ground = 0.45 + 0.3 * _chance(seed + 3)[:, None] * np.cos(2 * np.pi * hue)
    size = np.maximum(high, 0.05) / 3
    stroke = _chance(u // (0.4 * size), v // (0.5 * size), seed) > 0.5
    word = (_chance(u // (6 * size), seed) > 0.25) & (v > 0.6 * size) & (v < high - 0.4 * size)
    ink = np.where(ground.mean(1, keepdims=True) > 0.45, 0.08, 0.92)
    return _mix(stroke * word * (0.35 + 0.65 * s.fade(0.15)), ink, ground)


def _glazing(s: Spots) -> np.ndarray:
    """An office front of glass between mullions. style: seed, bay, storey height."""
    bay, tall, along = s.style[:, 1], s.style[:, 2], _along(s)
    column, storey = along // bay, s.z // tall
    u, v = along % bay, s.z % tall
    bars = np.maximum(_line(u, 0.07, s), _line(u - bay, 0.07, s))
    bars = np.maximum(bars, np.maximum(_line(v, 0.35, s), _line(v - tall, 0.2, s)))
    lit = _chance(column, storey, s.style[:, 0])
    pane = s.colour * (0.35 + 0.5 * lit**2)[:, None]
    return _shiny(_mix(bars, s.colour * 0.4 + 0.3, pane), 0.6 * (1 - bars))


def _hall(s: Spots) -> np.ndarray:
    """A hall: sheet metal or concrete, rolling gates, a band of windows. style: seed, gates."""
    along = _along(s)
    ribs = (along % 0.3 < 0.06) * s.fade(0.08) * (s.style[:, 1] < 0.6)
    colour = _facade(s, along) * (1 - 0.12 * ribs)[:, None]
    column, u = along // 5.5, along % 5.5 - 2.75
    gate = (np.abs(u) < 1.7) & (s.z < 3.2) & (_chance(column, s.style[:, 0]) > 0.35)
    gate &= s.normal[1] > 0.7
    slats = 1 - 0.22 * (s.z % 0.35 < 0.05) * s.fade(0.1)
    tone = np.where((_chance(column, 3.0) > 0.5)[:, None], s.colour * 0.85, (0.36, 0.42, 0.5))
    colour = _mix(gate, tone * slats[:, None], colour)
    band = (s.z > 4.3) & (s.z < 5.4) & (along % 1.3 > 0.08) & (s.normal[2] < 0.5)
    band &= (s.style[:, 0] * 7 % 1 < 0.5) & (s.normal[1] > 0.7)
    dark = 0.08 + 0.2 * _chance(along // 1.3, s.style[:, 0])[:, None] * np.ones(3)
    return _shiny(_mix(band, dark, colour), 0.4 * band)


def _roof(s: Spots) -> np.ndarray:
    """Rows of tiles; the gable is the wall's."""
    fade = s.fade(0.12)
    tile = 0.93 + fade * (0.07 - 0.22 * (s.z % 0.22 > 0.16)) + 0.06 * _noise(s, 0.05)[:, 0]
    red = np.where((s.style[:, 0] * 3 % 1 < 0.5)[:, None], (0.42, 0.22, 0.16), (0.25, 0.25, 0.28))
    return _mix(s.normal[2] > 0.1, red * tile[:, None], _facade(s, _along(s)))


def _print(s: Spots) -> np.ndarray:
    """A poster or a board with writing. style: seed, height above ground, height."""
    v = s.z - s.style[:, 1]
    colour = _lettering(s, np.where(s.normal[0] > 0.5, s.y, s.x) + 50, v, s.style[:, 2])
    return _mix(np.minimum(v, s.style[:, 2] - v) < 0.04, (0.75, 0.75, 0.75), colour)


# --- vehicles -----------------------------------------------------------------------------------


def _lamps(s: Spots, low, inner, colour) -> np.ndarray:
    """White lamps in front, red ones behind."""
    lamp = (s.normal[0] > 0.45) & (np.abs(s.z - low) < 0.085) & (np.abs(s.y) > inner)
    shade = 0.7 + 0.3 * (np.abs(s.y) * 9 % 1)
    tint = np.where((s.x > 0)[:, None], (0.85, 0.86, 0.85), (0.62, 0.04, 0.04)) * shade[:, None]
    return _mix(lamp, tint, colour)


def _car(s: Spots) -> np.ndarray:
    """Painted metal: sill, door gaps, handles, grille, lamps, plates, arches over the wheels.

    style: front x, front axle, rear axle, belt height.
    """
    front, ahead, behind, belt = s.style.T
    flank, ends = s.normal[1] > 0.6, s.normal[0] > 0.55
    middle = flank & (s.x < ahead - 0.42) & (s.x > behind + 0.3) & (s.z > 0.35)
    gaps = _line((s.x - ahead + 0.5) % 1.05, 0.012, s) * middle
    colour = _mix(0.8 * gaps, s.colour * 0.25, s.colour)
    handle = middle & (np.abs(s.z - belt + 0.14) < 0.02) & ((s.x - ahead + 0.5) % 1.05 < 0.22)
    colour = _mix(0.7 * handle, s.colour * 0.5 + 0.25, colour)
    near = np.minimum(np.abs(s.x - ahead), np.abs(s.x - behind))
    arch = flank & (np.hypot(near, s.z - 0.33) < 0.41)
    dark = arch | (s.z < 0.3)
    grille = ends & (s.x > 0) & (np.abs(s.y) < 0.52) & (s.z > 0.33) & (s.z < 0.6)
    bars = 0.35 + 0.65 * (s.z % 0.06 < 0.03) * s.fade(0.03)
    colour = _mix(grille, bars[:, None] * np.array((0.12, 0.12, 0.13)), colour)
    bumper = ends & (s.x < 0) & (s.z < 0.42)
    colour = _mix(bumper, s.colour * 0.25, colour)
    height = np.where(s.x > 0, 0.44, belt - 0.28)
    plate = ends & (np.abs(s.y) < 0.26) & (np.abs(s.z - height) < 0.06)
    text = (s.y % 0.06 < 0.03) & (np.abs(s.z - height) < 0.03)
    colour = _mix(plate, np.where(text[:, None], (0.3, 0.3, 0.4), (0.9, 0.9, 0.86)), colour)
    colour = _lamps(s, np.where(s.x > 0, 0.66, belt - 0.16), 0.5, colour)
    colour = _mix(dark, (0.025, 0.025, 0.028), colour)
    return _shiny(colour, np.where(dark | grille | plate, 0.03, 0.22))


def _cabin(s: Spots) -> np.ndarray:
    """Windows between pillars, under a painted roof. style: belt, roof height, rear, front."""
    low, roof, rear, front = s.style.T
    seen = (s.z > low + 0.03) & (s.z < roof - 0.09) & (s.normal[2] < 0.9)
    side = s.normal[1] > 0.5
    third = (s.x - rear) / (front - rear)
    pillar = np.abs(third - 0.5) < 0.022
    pillar |= (third < 0.1) | (np.abs(third - 0.2) < 0.015) | (third > 0.93)
    ends = np.abs(s.y) > np.where(s.z > (low + roof) / 2, 0.56, 0.64)
    glass = seen & ~np.where(side, pillar, ends)
    inside = 0.035 + 0.05 * np.clip(_noise(s, 0.03), 0, 2)
    inside = inside + 0.05 * ((third * 2.6 % 1 < 0.3) & side & (s.z < low + 0.35))[:, None]
    colour = _mix(glass, inside * np.ones(3), s.colour)
    return _shiny(colour, np.where(glass, 0.55, 0.2))


def _panel(s: Spots) -> np.ndarray:
    """The flank of a van or a truck's box: ribs, a firm's name. style: seed, bottom, height."""
    flank = s.normal[1] > 0.7
    ribs = flank & (s.x % 0.45 < 0.05)
    colour = _mix(0.6 * ribs * s.fade(0.08), s.colour * 0.6, s.colour * (1 + 0.03 * _noise(s, 0.1)))
    v, high = s.z - s.style[:, 1] - 0.45 * s.style[:, 2], 0.3 * s.style[:, 2]
    named = flank & (v > 0) & (v < high) & (s.style[:, 0] > 0.2)
    colour = _mix(named, _lettering(s, s.x + 90, v, high), colour)
    back = (s.normal[0] > 0.7) & ((np.abs(s.y) < 0.02) | (np.abs(s.y) > 1.05))
    return _shiny(_mix(back, (0.15, 0.15, 0.16), colour), 0.08)


def _container(s: Spots) -> np.ndarray:
    """Corrugated steel with rust, and doors behind. style: seed."""
    wave = np.where(s.normal[1] > 0.7, s.x, s.y) % 0.28
    groove = (wave < 0.1) * s.fade(0.08) + 0.35 * (1 - s.fade(0.08))
    colour = s.colour * (1 - 0.45 * groove)[:, None] * (1 + 0.05 * _noise(s, 0.05))
    rust = np.clip(_noise(s, 0.04, 0.2)[:, 0] - 1.1, 0, 0.8)
    return _mix(rust, (0.3, 0.17, 0.1), colour)


def _coach(s: Spots) -> np.ndarray:
    """A bus: a band of windows, doors on its right, a lit sign in front. style: front x, height."""
    front, tall = s.style[:, 0], s.style[:, 1]
    ends, flank = s.normal[0] > 0.5, s.normal[1] > 0.6
    u = (front - s.x) % 1.55
    band = (s.z > 1.2) & (s.z < tall - 0.55)
    door = flank & (s.y < 0) & ((np.abs(front - s.x - 1.0) < 0.55) | (np.abs(s.x) < 0.6))
    glass = flank & band & (u > 0.1) | door & (s.z > 0.45) & (s.z < tall - 0.55)
    glass |= ends & (s.z > 1.0) & (s.z < tall - 0.45) & (np.abs(s.y) < 1.1)
    glass &= ~(door & (np.abs((s.x * 2) % 1.1) < 0.06))
    stripe = (s.z > 0.75) & (s.z < 1.0) & flank
    colour = _mix(0.8 * stripe, s.colour[:, [2, 0, 1]] * 0.8, s.colour)
    colour = _mix(s.z < 0.4, (0.08, 0.08, 0.08), colour)
    sign = ends & (s.z > tall - 0.4) & (s.z < tall - 0.12) & (np.abs(s.y) < 0.8)
    text = (s.y % 0.1 < 0.05) & (s.z % 0.1 < 0.07)
    colour = _mix(sign, np.where((text & (s.x > 0))[:, None], (0.95, 0.55, 0.1), 0.05), colour)
    seats = 0.04 + 0.07 * (_chance(s.x // 0.8, s.style[:, 2]) > 0.5)[:, None] * np.ones(3)
    colour = _lamps(s, 0.62, 0.8, _mix(glass, seats, colour))
    return _shiny(colour, np.where(glass, 0.5, 0.12))


def _cab(s: Spots) -> np.ndarray:
    """A truck's cab. style: front x, sill, top, axle."""
    front, sill, top, axle = s.style.T
    ends, flank = (s.normal[0] > 0.45) & (s.x > front - 0.9), s.normal[1] > 0.6
    glass = (s.z > sill) & (s.z < top - 0.35) & ends & (np.abs(s.y) < 0.98)
    glass |= (s.z > sill) & (s.z < top - 0.4) & flank & (s.x > front - 1.2) & (s.x < front - 0.25)
    gap = flank & (np.abs(s.x - front + 1.3) < 0.015)
    grille = ends & (s.z < sill - 0.25) & (s.z > 0.6) & (np.abs(s.y) < 0.8)
    bars = 0.3 + 0.7 * (s.z % 0.12 < 0.05) * s.fade(0.05)
    colour = _mix(grille, s.colour * 0.5 * bars[:, None], s.colour)
    arch = flank & (np.hypot(s.x - axle, s.z - 0.48) < 0.6)
    colour = _mix((s.z < 0.5) | gap | arch, (0.06, 0.06, 0.06), colour)
    return _shiny(_lamps(s, 0.72, 0.75, _mix(glass, (0.05, 0.05, 0.06), colour)), 0.4 * glass + 0.1)


def _tyre(s: Spots) -> np.ndarray:
    """Rubber with a spoked rim in it. style: x and z of the hub, radius."""
    x, z = s.x - s.style[:, 0], s.z - s.style[:, 1]
    out = np.hypot(x, z) / s.style[:, 2]
    spoke = np.cos(5 * np.arctan2(z, x)) > -0.2
    rim = np.where(((out < 0.2) | spoke | (out > 0.6))[:, None], (0.5, 0.5, 0.52), 0.06)
    rubber = 0.035 + 0.02 * (out > 0.9)[:, None] * np.ones(3)
    return _mix((out < 0.68) & (s.normal[1] > 0.7), rim, rubber)


def _machine(s: Spots) -> np.ndarray:
    """Dusty painted steel with bolts, seams and warning stripes. style: seed."""
    colour = s.colour * (1 + 0.08 * _noise(s, 0.03))
    colour = _mix(0.3 * np.clip(_noise(s, 0.08)[:, 0], 0, 1), (0.42, 0.36, 0.28), colour)
    return _shiny(_mix(s.z < 0.25, (0.2, 0.17, 0.14), colour), 0.06)


def _plate(s: Spots) -> np.ndarray:
    """A traffic sign's face: rim, ground and a figure. style: seed, height of its middle, radius."""
    y, z = s.y / s.style[:, 2], (s.z - s.style[:, 1]) / s.style[:, 2]
    seed = s.style[:, 0]
    rim = np.maximum(np.hypot(y, z), 0) > 0.74
    bar = (np.abs(z) < 0.16) & (np.abs(y) < 0.6) | (np.abs(y) < 0.12) & (seed > 0.4) & ~rim
    blue, red = (0.06, 0.2, 0.55), (0.66, 0.05, 0.06)
    ground = np.where((seed > 0.66)[:, None], blue, np.where((seed > 0.33)[:, None], 0.9, red))
    edge = np.where((seed > 0.66)[:, None], blue, np.where((seed > 0.33)[:, None], red, red))
    ink = np.where(((seed > 0.33) & (seed < 0.66))[:, None], 0.05, 0.92)
    colour = _mix(rim, edge, _mix(bar, ink, ground))
    return np.where((s.normal[0] > 0.7)[:, None] & (s.x > 0)[:, None], colour, (0.5, 0.5, 0.5))


def _striped(s: Spots) -> np.ndarray:
    """Bands: level on a cone, slanted on a barrier. style: 1 slanted, else level; band's width."""
    width = s.style[:, 1]
    slanted, level = (s.x + s.z) % (2 * width) < width, np.abs((s.z - 0.32) % 0.26 - 0.1) < 0.075
    white = np.where(s.style[:, 0] > 0.5, slanted, level & (s.z > 0.2) & (s.z < 0.68))
    dirt = 1 + 0.06 * _noise(s, 0.03)
    return _mix(white, (0.9, 0.9, 0.88), s.colour) * dirt


def _cloth(s: Spots) -> np.ndarray:
    """Clothes with folds. style: seed."""
    return s.colour * (1 + 0.12 * _noise(s, 0.008))


def _glazed(s: Spots) -> np.ndarray:
    return _shiny(s.colour * (1 + 0.2 * _noise(s, 0.1)), 0.55)


def _plain_wall(s: Spots) -> np.ndarray:
    return _facade(s, _along(s))


def _lattice(s: Spots) -> np.ndarray:
    return s.colour * (1 - 0.3 * (s.x % 0.12 < 0.03) * s.fade(0.03))[:, None]


def _plain(s: Spots) -> np.ndarray:
    return s.colour * (1 + 0.06 * _noise(s, 0.02))


PAINTERS = {
    "plain": _plain, "marking": _marking, "road": _road, "lot": _asphalt, "paving": _paving,
    "grass": _grass, "soil": _soil, "water": _water, "island": _hatched, "leaf": _leaf,
    "bark": _bark, "wall": _wall, "glazing": _glazing, "hall": _hall, "roof": _roof,
    "print": _print, "car": _car, "cabin": _cabin, "panel": _panel, "container": _container, "coach": _coach, "cab": _cab,
    "tyre": _tyre, "machine": _machine, "plate": _plate, "sign": _plain, "striped": _striped,
    "cloth": _cloth, "lattice": _lattice, "glazed": _glazed, "wall_plain": _plain_wall,
}  # fmt: skip
