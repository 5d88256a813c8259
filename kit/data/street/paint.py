"""What colour a surface has at a place: formulas of the position on the object, no image files.

A painter takes `Spots` and returns (N, 3) colours in [0, 1], before light falls on them.
"""

from typing import NamedTuple

import numpy as np

# Share of the laser that a white surface sends back; 0.35 where nothing is said.
REFLECTANCE = {"sign": 3.0, "striped": 0.5, "cabin": 0.15, "leaf": 0.5, "grass": 0.45}


class Spots(NamedTuple):
    """N places on surfaces.

    x, y, z: (N,) m in the object's frame (ground: along, lateral, height). normal: (3, N) sizes of
    the unit normal's components there. colour: (N, 3) and style: (N,) of the part.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    normal: np.ndarray
    colour: np.ndarray
    style: np.ndarray


def _noise_table() -> np.ndarray:
    """A (512, 512) tile of noise with detail at every scale, mean 0, deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)) + 1 / 512
    spectrum = np.fft.rfft2(np.random.default_rng(0).normal(size=(512, 512)))
    table = np.fft.irfft2(spectrum / frequency**0.9)
    return ((table - table.mean()) / table.std()).astype(np.float32)


_NOISE = _noise_table()


def _noise(s: Spots, grain: float) -> np.ndarray:
    """Noise (N, 1) over any surface, `grain` metres fine."""
    flat = s.normal[2] > 0.7
    u = np.where(flat, s.x, s.x + s.y) / grain + 997 * s.style
    v = np.where(flat, s.y, s.z) / grain
    return _NOISE[u.astype(np.int32) & 511, v.astype(np.int32) & 511][:, None]


def _chance(*numbers) -> np.ndarray:
    """A number in [0, 1) that looks random, the same for the same integers."""
    return (
        np.sin(sum(n * f for n, f in zip(numbers, (12.9898, 78.233, 37.719), strict=False)))
        * 43758.5
        % 1
    )


def _mix(where, other, colour) -> np.ndarray:
    """`other` where the mask (N,) holds, else `colour`."""
    return np.where(where[:, None], np.asarray(other, np.float32), colour)


def _kerb(s: Spots, colour) -> np.ndarray:
    return _mix(s.normal[2] < 0.5, (0.6, 0.59, 0.57), colour)


def _asphalt(s: Spots) -> np.ndarray:
    """Asphalt with patches of repair."""
    colour = s.colour * (1 + 0.1 * _noise(s, 0.02) + 0.06 * _noise(s, 0.3))
    return _mix(_noise(s, 0.45)[:, 0] > 1.6, colour * 0.75, colour)


def _road(s: Spots) -> np.ndarray:
    """Asphalt with a dashed middle, edge lines, and a zebra crossing every 84 m."""
    off, half = np.abs(s.y), s.style
    line = (off < 0.08) & (s.x % 9 < 4.5) | (np.abs(off - half + 0.3) < 0.06)
    zebra = np.abs((s.x + 1e3 * half) % 84 - 12) < 1.8
    line = np.where(zebra, (s.y % 1 < 0.5) & (off < half - 0.4), line)
    return _mix(line, (0.86, 0.86, 0.83) - 0.08 * np.abs(_noise(s, 0.03)), _asphalt(s))


def _paving(s: Spots) -> np.ndarray:
    """Slabs with joints, each a little different."""
    step = np.where(s.style < 0.5, 0.6, 0.9)
    tone = 0.93 + 0.14 * _chance(s.x // step, s.y // step)
    joint = (s.x % step < 0.035) | (s.y % step < 0.035)
    colour = s.colour * (np.where(joint, 0.72, tone)[:, None] + 0.05 * _noise(s, 0.02))
    return _kerb(s, colour)


def _grass(s: Spots) -> np.ndarray:
    dry = np.clip(0.3 + 0.35 * _noise(s, 0.25), 0, 1)
    colour = s.colour * (1 - dry) + np.array((0.42, 0.38, 0.2)) * dry
    return _kerb(s, colour * (1 + 0.3 * _noise(s, 0.015)))


def _leaf(s: Spots) -> np.ndarray:
    """Every leaf has its own tone."""
    tone = 0.7 + 0.6 * _chance(*(1e3 * s.normal).round())
    return s.colour * (tone[:, None] + 0.12 * _noise(s, 0.01))


def _wall(s: Spots) -> np.ndarray:
    """House fronts: plaster, a framed window in every bay, doors, a shop now and then."""
    across, pick = np.where(s.normal[1] > 0.7, s.x, s.y + 4.8) / 2.4, s.style * 7 % 1
    column, storey = across // 1, s.z // 3
    u, v = across - column - 0.5, s.z / 3 - storey - 0.54
    ground = storey < 1
    shop, door = (
        ground & (s.style > 0.7),
        ground & (s.style <= 0.7) & (column % 3 == (7 * pick) // 1 % 3),
    )
    wide = np.select([shop, door], [0.43, 0.22], 0.2 + 0.1 * (s.style * 13 % 1))
    high = np.select([shop, door], [0.34, 0.4], 0.2 + 0.1 * (s.style * 29 % 1))
    edge = np.maximum(np.abs(u) / wide, np.abs(v + 0.13 * door) / high)
    glow = 0.6 + 0.9 * _chance(column, storey, s.style) + 0.8 * v.clip(-0.2)
    pane = np.array((0.16, 0.2, 0.25)) * glow[:, None]
    frame = np.where(s.style[:, None] % 0.2 < 0.1, 0.9, 0.3) * np.ones(3)
    bars = (np.abs(u) < 0.014) & ~shop | (np.abs(v - 0.06) < 0.012) & (pick > 0.5)
    inside = _mix(door, s.colour[:, ::-1] * 0.55, _mix(bars, frame, pane))
    colour = s.colour * (1 + 0.05 * _noise(s, 0.05))
    colour = _mix(s.z % 3 < 0.14, colour * 0.5 + 0.36, colour)
    colour = _mix(edge < 1, frame, colour)
    return _mix((edge < 0.87) & (s.z % 3 > 0.1), inside, colour)


def _roof(s: Spots) -> np.ndarray:
    """Rows of tiles; the gable is the wall's."""
    tile = 0.75 + 0.25 * (s.z % 0.2 < 0.14) + 0.06 * _noise(s, 0.05)[:, 0]
    red = np.where(s.style[:, None] % 0.34 < 0.17, (0.46, 0.22, 0.16), (0.27, 0.27, 0.3))
    return _mix(s.normal[2] > 0.1, red * tile[:, None], s.colour)


def _lamps(s: Spots, low, inner: float, colour) -> np.ndarray:
    """White lamps in front, red ones behind."""
    lamp = (s.normal[0] > 0.7) & (np.abs(s.z - low) < 0.1) & (np.abs(s.y) > inner)
    return _mix(lamp, _mix(s.x > 0, (0.95, 0.95, 0.9), (0.75, 0.05, 0.05)), colour)


def _car(s: Spots) -> np.ndarray:
    """Painted metal: dark sill, door lines, grille, lamps and number plates."""
    flank, ends = s.normal[1] > 0.7, s.normal[0] > 0.7
    middle = flank & (np.abs(s.x) < 0.5 * s.style)
    colour = _mix(middle & (np.abs(s.x % 1.05 - 0.3) < 0.015), s.colour * 0.4, s.colour)
    colour = _mix(
        middle & (np.abs(s.z - 0.74) < 0.02) & (s.x % 1.05 < 0.2), (0.75, 0.75, 0.75), colour
    )
    arch = np.abs(np.abs(s.x) - 0.61 * s.style) < 0.42
    colour = _mix((s.z < 0.38) | flank & arch & (s.z < 0.7), (0.05, 0.05, 0.06), colour)
    colour = _mix(ends & (s.x > 0) & (s.z < 0.58) & (np.abs(s.y) < 0.5), (0.06, 0.06, 0.07), colour)
    colour = _mix(
        ends & (np.abs(s.y) < 0.26) & (np.abs(s.z - 0.47) < 0.06), (0.95, 0.94, 0.85), colour
    )
    return _lamps(s, np.where(s.x > 0, 0.56, 0.7), 0.5, colour)


def _glass(s: Spots, low: float) -> np.ndarray:
    """Dark panes that mirror more sky the higher one looks."""
    return np.array((0.1, 0.13, 0.16)) * (0.7 + (s.z - low).clip(0, 1.2))[:, None]


def _cabin(s: Spots) -> np.ndarray:
    """A car's windows between pillars, under a painted roof."""
    pillar = (s.normal[1] > 0.6) & (np.abs((s.x + 0.35) % 1.1 - 0.5) < 0.05)
    return _mix(pillar | (s.normal[2] > 0.95) | (s.z > s.style - 0.07), s.colour, _glass(s, 0.9))


def _coach(s: Spots) -> np.ndarray:
    """A bus or a truck's cab: a band of windows between pillars, a dark skirt, lamps."""
    ends = (s.normal[0] > 0.4) & (np.abs(s.y) < 1.0)
    band = (
        (s.z > 1.25) & (s.z < 2.25) & (ends | ((s.style - s.x) % 1.5 > 0.12)) & (s.normal[2] < 0.9)
    )
    colour = _mix(band, _glass(s, 1.2), s.colour)
    colour = _mix(s.z < 0.55, (0.12, 0.12, 0.12), colour)
    return _lamps(s, 0.75, 0.72, colour)


def _panel(s: Spots) -> np.ndarray:
    """A truck's box: ribs, a coloured band, a door behind."""
    flank = s.normal[1] > 0.7
    colour = _mix(flank & (s.x % 0.55 < 0.03), s.colour * 0.8, s.colour)
    colour = _mix(flank & (np.abs(s.z - 2.2) < 0.25), s.colour[:, [2, 0, 1]] * 0.6, colour)
    back = (s.normal[0] > 0.7) & ((np.abs(s.y) < 0.02) | (np.abs(s.y) > 1.08))
    return _mix(back | (s.z < 1.0), (0.12, 0.12, 0.12), colour)


def _striped(s: Spots) -> np.ndarray:
    """White bands: level on a cone (style 0), slanted on a barrier's boards (style 1)."""
    level = np.abs((s.z - 0.3) % 0.25 - 0.08) < 0.07
    white = np.where(s.style > 0.5, (s.x + s.z) % 0.5 < 0.25, level & (s.z > 0.2))
    return _mix(white, (0.94, 0.94, 0.94), s.colour)


def _plain(s: Spots) -> np.ndarray:
    return s.colour * (1 + 0.1 * _noise(s, 0.02))


PAINTERS = {
    "plain": _plain, "sign": _plain, "striped": _striped, "road": _road, "lot": _asphalt,
    "paving": _paving, "grass": _grass, "leaf": _leaf, "wall": _wall, "roof": _roof,
    "car": _car, "cabin": _cabin, "coach": _coach, "panel": _panel,
}  # fmt: skip
