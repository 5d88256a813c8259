"""Materials of the ground and of plants."""

import numpy as np

from kit.street.surfaces.patterns import SurfacePoints, hashed, line, mix, noise, with_gloss

LANE_WIDTH = 3.5  # metres
PARKING_WIDTH = 2.4  # metres; of the strip between the outer lane and the kerb


def _kerb(s: SurfacePoints, colour) -> np.ndarray:
    """Kerb stones where the surface is steep."""
    stone = np.array((0.56, 0.55, 0.53)) * (0.9 + 0.1 * hashed(s.x // 1.0)[:, None])
    return mix(s.normal[2] < 0.5, stone, colour)


def asphalt(s: SurfacePoints) -> np.ndarray:
    """Asphalt with stains, cracks and repaired patches."""
    stain = noise(s, 0.05) * 0.07 + noise(s, 0.008, 0.3) * 0.1
    colour = s.colour * (1 + stain)
    repair = hashed(s.x // 7.3, s.y // 2.9, s.style[:, 0])
    colour *= (1 + 0.13 * ((repair > 0.9) * 1.0 - (repair < 0.12)))[:, None]
    crack = np.abs(noise(s, 0.03, 0.7)[:, 0]) < 0.035
    return mix(0.5 * crack * s.fade(0.04), s.colour * 0.4, colour)


def road(s: SurfacePoints) -> np.ndarray:
    """Asphalt with lane markings.

    style: half width, number of lanes, 1 for a yellow centre line, seed.
    """
    half, lanes, yellow = s.style[:, 0], s.style[:, 1], s.style[:, 2]
    outer = half - PARKING_WIDTH  # lateral position of the edge line
    off = np.abs(s.y) - (outer - lanes / 2 * LANE_WIDTH)  # from the edge of the median
    across = off % LANE_WIDTH
    colour = asphalt(s._replace(style=s.style[:, 3:]))
    from_wheel = np.abs(across - LANE_WIDTH / 2) - 0.75
    wheels = np.exp(-((from_wheel / 0.35) ** 2)) * (np.abs(s.y) < outer)
    colour = colour * (1 - 0.07 * wheels)[:, None]
    worn = 0.7 + 0.3 * np.clip(noise(s, 0.02)[:, 0] + 0.8, 0, 1)
    middle = off < LANE_WIDTH / 2
    between = line(np.minimum(across, LANE_WIDTH - across), 0.07, s) * (np.abs(s.y) < outer - 0.5)
    between = between * (middle & (yellow > 0) | (s.x % 9 < 3.5)) * (off > -0.2)
    edge = line(np.abs(s.y) - outer, 0.05, s)
    paint = np.where((middle & (yellow > 0))[:, None], (0.72, 0.52, 0.1), (0.78, 0.78, 0.76))
    return mix(np.maximum(between, edge) * worn, paint, colour)


def marking(s: SurfacePoints) -> np.ndarray:
    """Worn paint of road markings."""
    return s.colour * (0.9 + 0.08 * np.clip(noise(s, 0.02), -2, 1))


def paving(s: SurfacePoints) -> np.ndarray:
    """Concrete slabs with joints, or small bricks. style: seed, below 0.3 for bricks."""
    small = s.style[:, 1] < 0.3
    step, width = np.where(small, 0.2, 1.2), np.where(small, 0.01, 0.02)
    row = s.y // step
    shifted = s.x + 0.5 * step * (row % 2) * small
    tone = 0.95 + 0.1 * hashed(shifted // step, row)
    u, v = (np.abs(w % step - step / 2) for w in (shifted, s.y))
    joint = np.maximum(u, v) > step / 2 - width
    fade = np.where(small, s.fade(0.1), s.fade(0.2))
    tone = np.where(joint, 0.72, tone) * fade + 0.95 * (1 - fade)
    dirt = 0.05 * noise(s, 0.05) + 0.06 * noise(s, 0.01, 0.4)
    return _kerb(s, s.colour * (tone[:, None] + dirt))


def grass(s: SurfacePoints) -> np.ndarray:
    """Grass with dry patches."""
    dry = np.clip(0.25 + 0.3 * noise(s, 0.12), 0, 1)
    colour = s.colour * (1 - dry) + np.array((0.40, 0.36, 0.2)) * dry
    blades = 0.35 * noise(s, 0.004, 0.2)
    return _kerb(s, colour * (1 + blades))


def soil(s: SurfacePoints) -> np.ndarray:
    """Bare soil."""
    return s.colour * (1 + 0.2 * noise(s, 0.03) + 0.15 * noise(s, 0.006))


def water(s: SurfacePoints) -> np.ndarray:
    """Water of a basin."""
    return with_gloss(s.colour * (1 + 0.08 * noise(s, 0.05)), 0.6)


def hatched(s: SurfacePoints) -> np.ndarray:
    """A traffic island: paving with a black and white kerb."""
    stone = paving(s)
    side = s.normal[2] < 0.7
    return mix(side, np.where((s.x % 2 < 1)[:, None], 0.78, 0.16) * np.ones(3), stone)


def leaf(s: SurfacePoints) -> np.ndarray:
    """Leaves of different tones, darker low in the crown. style: seed, centre z, half height."""
    tone = 0.78 + 0.44 * hashed(*(60 * s.normal).round())
    depth = np.clip(0.85 + 0.3 * (s.z - s.style[:, 1]) / np.maximum(s.style[:, 2], 0.1), 0.6, 1.15)
    return s.colour * (tone * depth)[:, None] * (1 + 0.2 * noise(s, 0.02))


def bark(s: SurfacePoints) -> np.ndarray:
    """Bark with vertical structure."""
    return s.colour * (1 + 0.25 * noise(s._replace(z=s.z / 6), 0.008))
