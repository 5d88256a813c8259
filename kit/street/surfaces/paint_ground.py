"""What the ground and plants look like: painters of `Spots`."""

import numpy as np

from kit.street.surfaces.spots import KERBSIDE, LANE, Spots, chance, line, mix, noise, shiny


def _kerb(s: Spots, colour) -> np.ndarray:
    stone = np.array((0.56, 0.55, 0.53)) * (0.9 + 0.1 * chance(s.x // 1.0)[:, None])
    return mix(s.normal[2] < 0.5, stone, colour)


def asphalt(s: Spots) -> np.ndarray:
    """Asphalt with stains, cracks and patches of repair."""
    stain = noise(s, 0.05) * 0.07 + noise(s, 0.008, 0.3) * 0.1
    colour = s.colour * (1 + stain)
    repair = chance(s.x // 7.3, s.y // 2.9, s.style[:, 0])
    colour *= (1 + 0.13 * ((repair > 0.9) * 1.0 - (repair < 0.12)))[:, None]
    crack = np.abs(noise(s, 0.03, 0.7)[:, 0]) < 0.035
    return mix(0.5 * crack * s.fade(0.04), s.colour * 0.4, colour)


def road(s: Spots) -> np.ndarray:
    """Asphalt with lines between lanes. style: half width, lanes, 1 for a yellow middle, seed."""
    half, lanes, yellow = s.style[:, 0], s.style[:, 1], s.style[:, 2]
    reach = half - KERBSIDE
    off = np.abs(s.y) - (reach - lanes / 2 * LANE)  # from the edge of the median
    across = off % LANE
    colour = asphalt(s._replace(style=s.style[:, 3:]))
    wheels = np.exp(-(((np.abs(across - LANE / 2) - 0.75) / 0.35) ** 2)) * (np.abs(s.y) < reach)
    colour = colour * (1 - 0.07 * wheels)[:, None]
    worn = 0.7 + 0.3 * np.clip(noise(s, 0.02)[:, 0] + 0.8, 0, 1)
    middle = off < LANE / 2
    between = line(np.minimum(across, LANE - across), 0.07, s) * (np.abs(s.y) < reach - 0.5)
    between = between * (middle & (yellow > 0) | (s.x % 9 < 3.5)) * (off > -0.2)
    edge = line(np.abs(s.y) - reach, 0.05, s)
    paint = np.where((middle & (yellow > 0))[:, None], (0.72, 0.52, 0.1), (0.78, 0.78, 0.76))
    return mix(np.maximum(between, edge) * worn, paint, colour)


def marking(s: Spots) -> np.ndarray:
    """Worn paint on a road."""
    return s.colour * (0.9 + 0.08 * np.clip(noise(s, 0.02), -2, 1))


def paving(s: Spots) -> np.ndarray:
    """Slabs of concrete with joints, each a little different; small bricks for a low style."""
    small = s.style[:, 1] < 0.3
    step, width = np.where(small, 0.2, 1.2), np.where(small, 0.01, 0.02)
    row = s.y // step
    shifted = s.x + 0.5 * step * (row % 2) * small
    tone = 0.95 + 0.1 * chance(shifted // step, row)
    u, v = (np.abs(w % step - step / 2) for w in (shifted, s.y))
    joint = np.maximum(u, v) > step / 2 - width
    fade = np.where(small, s.fade(0.1), s.fade(0.2))
    tone = np.where(joint, 0.72, tone) * fade + 0.95 * (1 - fade)
    dirt = 0.05 * noise(s, 0.05) + 0.06 * noise(s, 0.01, 0.4)
    return _kerb(s, s.colour * (tone[:, None] + dirt))


def grass(s: Spots) -> np.ndarray:
    dry = np.clip(0.25 + 0.3 * noise(s, 0.12), 0, 1)
    colour = s.colour * (1 - dry) + np.array((0.40, 0.36, 0.2)) * dry
    blades = 0.35 * noise(s, 0.004, 0.2)
    return _kerb(s, colour * (1 + blades))


def soil(s: Spots) -> np.ndarray:
    return s.colour * (1 + 0.2 * noise(s, 0.03) + 0.15 * noise(s, 0.006))


def water(s: Spots) -> np.ndarray:
    return shiny(s.colour * (1 + 0.08 * noise(s, 0.05)), 0.6)


def hatched(s: Spots) -> np.ndarray:
    """A traffic island: paving with a kerb in black and white."""
    stone = paving(s)
    side = s.normal[2] < 0.7
    return mix(side, np.where((s.x % 2 < 1)[:, None], 0.78, 0.16) * np.ones(3), stone)


def leaf(s: Spots) -> np.ndarray:
    """Leaves: each its own tone, darker inside the crown."""
    tone = 0.78 + 0.44 * chance(*(60 * s.normal).round())
    depth = np.clip(0.85 + 0.3 * (s.z - s.style[:, 1]) / np.maximum(s.style[:, 2], 0.1), 0.6, 1.15)
    return s.colour * (tone * depth)[:, None] * (1 + 0.2 * noise(s, 0.02))


def bark(s: Spots) -> np.ndarray:
    return s.colour * (1 + 0.25 * noise(s._replace(z=s.z / 6), 0.008))
